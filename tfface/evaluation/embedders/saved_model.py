"""SavedModel folders, which `model.export(...)` writes, as embedders.

A SavedModel is a program of TensorFlow operations, and some of these read, write and print files,
run Python, or connect to other machines. Networks need none of them, so only operations that
networks consist of are allowed; the others are refused before the model is loaded.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from tfface.errors import InputError, shown
from tfface.evaluation.embedders.external import ExternalEmbedder, read_image_input
from tfface.evaluation.embedders.metadata import KEY, parse_metadata
from tfface.evaluation.embedders.options import EmbedderOptions
from tfface.files import os_errors, read_regular

# Keras' and TensorFlow's own functions that read and write the folder's variables.
_SAVERS = ("__inference__traced_save", "__inference__traced_restore")
_SAVING = {
    "MergeV2Checkpoints",
    "RestoreV2",
    "SaveV2",
    "ShardedFilename",
    "StaticRegexFullMatch",
    "StringJoin",
}
_NAMES = """
    Abs Acos Acosh Add AddN AddV2 All Any ArgMax ArgMin Asin Asinh AssignAddVariableOp
    AssignSubVariableOp AssignVariableOp Atan Atan2 Atanh AvgPool AvgPool3D BatchMatMul
    BatchMatMulV2 BatchMatMulV3 BatchToSpace BatchToSpaceND BiasAdd BiasAddV1 Bitcast BroadcastArgs
    BroadcastTo Cast Ceil CheckNumerics ClipByValue ConcatV2 Const Conv Conv2D Conv2DBackpropInput
    Conv3D Conv3DBackpropInputV2 Cos Cosh Cross Cumprod Cumsum DepthToSpace
    DepthwiseConv2dNative Dequantize DisableCopyOnRead Div DivNoNan Einsum Elu Empty EnsureShape
    Equal Erf Erfc Erfinv Exp ExpandDims Expm1 FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars
    FakeQuantWithMinMaxVarsPerChannel Fill Floor FloorDiv FloorMod FusedBatchNorm FusedBatchNormV2
    FusedBatchNormV3 Gather GatherNd GatherV2 Greater GreaterEqual Identity IdentityN If
    InvertPermutation IsFinite IsInf IsNan L2Loss LRN LeakyRelu Less LessEqual LinSpace Log Log1p
    LogSoftmax LogicalAnd LogicalNot LogicalOr MatMul Max MaxPool MaxPool3D MaxPoolV2 Maximum Mean
    Merge Min Minimum MirrorPad Mod Mul MulNoNan Neg NextIteration NoOp NotEqual OneHot OnesLike
    Pack Pad PadV2 PartitionedCall Placeholder PlaceholderWithDefault Pow PreventGradient Prod
    QuantizeAndDequantizeV2 QuantizeAndDequantizeV3 QuantizeAndDequantizeV4 QuantizeV2
    RandomStandardNormal RandomUniform Range Rank ReadVariableOp RealDiv Reciprocal Relu Relu6
    Reshape ResizeArea ResizeBicubic ResizeBilinear ResizeNearestNeighbor ReverseV2 Rint Round Rsqrt
    Select SelectV2 Selu Shape ShapeN Sigmoid Sign Sin Sinh Size Slice Snapshot Softmax Softplus
    Softsign SpaceToBatch SpaceToBatchND SpaceToDepth Split SplitV Sqrt Square SquaredDifference
    Squeeze StatefulPartitionedCall StatelessIf StatelessRandomGetKeyCounter StatelessRandomNormalV2
    StatelessRandomUniformV2 StatelessWhile StopGradient StridedSlice Sub Sum Switch Tan Tanh
    TensorListFromTensor TensorListGetItem TensorListReserve TensorListSetItem TensorListStack Tile
    TopKV2 Transpose TruncateDiv TruncateMod Unpack VarHandleOp VarIsInitializedOp VariableShape
    Where While XlaConvV2 XlaDotV2 Xdivy Xlogy ZerosLike
    """
_COMPUTING = set(_NAMES.split())
# A constant may be stored as one value and a shape to fill with it.
_MAX_FILLED = 1 << 26


def reason_against(saved_model: Any) -> str:
    """Returns why a SavedModel is refused, or "" if it only computes.

    Args:
        saved_model: TensorFlow's `SavedModel` message.

    Returns:
        The reason, as the end of a sentence.
    """
    filled = 0
    for graph in saved_model.meta_graphs:
        if not graph.HasField("object_graph_def"):
            return "is of TensorFlow 1, so its operations can't be checked"
        library = {
            function.signature.name: list(function.node_def)
            for function in graph.graph_def.library.function
        }
        savers = {name for name in library if name.startswith(_SAVERS)}
        named = set(graph.object_graph_def.concrete_functions)
        for node in graph.object_graph_def.nodes:
            named.update(node.function.concrete_functions)
            named.add(node.bare_concrete_function.concrete_function_name)
        # TensorFlow 2 runs nothing of the top-level graph but its constants.
        for name, nodes in {**library, "": list(graph.graph_def.node)}.items():
            allowed = _COMPUTING | _SAVING if name in savers or not name else _COMPUTING
            for node in nodes:
                if node.op not in allowed:
                    return f"has the operation {shown(node.op)}, which no network needs"
                if name:
                    named.update(_called(node))
                filled += _filled(node)
        if called := savers & named:
            return f"calls {shown(min(called))}, which reads and writes files"
    return f"has constants of {filled:,} numbers" if filled > _MAX_FILLED else ""


def _called(node: Any) -> Iterator[str]:
    for attribute in node.attr.values():
        yield attribute.func.name
        yield from (function.name for function in attribute.list.func)


def _filled(node: Any) -> int:
    """Returns the number of values of a constant that is stored as one value and a shape."""
    if node.op != "Const":
        return 0
    tensor = node.attr["value"].tensor
    return (
        0 if tensor.tensor_content else prod(max(axis.size, 0) for axis in tensor.tensor_shape.dim)
    )


MODEL_FILE = "saved_model.pb"
SIGNATURE = "serving_default"
# Where TensorFlow keeps what it doesn't read itself.
METADATA_FILE = f"assets.extra/{KEY}.json"


def load_saved_model_embedder(model: str, options: EmbedderOptions) -> ExternalEmbedder | None:
    """Loads a SavedModel folder.

    TensorFlow runs the model with any Keras backend. A SavedModel is a program that may read and
    write files, so one with operations that do more than compute is refused.

    Args:
        model: the MODEL argument.
        options: options of the model.

    Returns:
        The embedder; None if `model` is not a SavedModel folder.

    Raises:
        InputError: the folder is refused, can't be loaded, has no signature `serving_default`, or
            that doesn't take images, float32 or uint8, and return one output.
    """
    path = Path(model)
    if not (path / MODEL_FILE).is_file():
        return None
    options.check_single_output(model)
    _check_operations(path)
    try:
        with _without_warnings():
            loaded = tf.saved_model.load(path)
    # TensorFlow raises errors of many types for damaged folders.
    except Exception as error:
        reason = str(error).strip().split("\n")[0]
        raise InputError(
            f"{path}: can't be loaded as a SavedModel ({type(error).__name__}: {reason})"
        ) from error
    function = _signature(path, loaded)
    name, taken = _only_input(path, function)
    output = _only_output(path, function)
    if taken.shape.rank is None:
        raise InputError(f"{path}: the model doesn't say what shape it takes: export it with one")

    # `_loaded` keeps the variables alive; the function does not.
    def run(images: np.ndarray, _loaded=loaded) -> np.ndarray:
        return function(**{name: tf.constant(images)})[output].numpy()

    shape = read_image_input(path, taken.shape.as_list(), is_uint8=taken.dtype == tf.uint8)
    metadata = path / METADATA_FILE
    with os_errors(metadata):
        text = read_regular(metadata).decode(errors="replace") if metadata.exists() else None
    return ExternalEmbedder(run, path, shape, options, metadata=parse_metadata(text, path))


def _check_operations(path: Path) -> None:
    """Raises InputError: it can't be read, or does more than compute."""
    # TensorFlow would read these instead of the file that is checked here.
    if others := [file.name for file in path.glob("saved_model.*") if file.name != MODEL_FILE]:
        raise InputError(f"{path}: refused: it contains {others[0]} beside {MODEL_FILE}")
    saved_model = saved_model_pb2.SavedModel()
    try:
        saved_model.ParseFromString((path / MODEL_FILE).read_bytes())
    except (DecodeError, OSError) as error:
        raise InputError(
            f"{path}: can't be loaded as a SavedModel ({MODEL_FILE} is damaged: {error})"
        ) from error
    if reason := reason_against(saved_model):
        raise InputError(
            f"{path}: refused: a SavedModel is a program, and this one {reason}; export the "
            "network as .onnx or .keras"
        )


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Suppresses TensorFlow's warnings about missing gradients."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _signature(path: Path, loaded):
    if SIGNATURE not in loaded.signatures:
        known = ", ".join(loaded.signatures) or "none"
        raise InputError(
            f"{path}: has no signature {SIGNATURE} (it has: {known}): write it with Keras' "
            "model.export, or with tf.saved_model.save and signatures"
        )
    return loaded.signatures[SIGNATURE]


def _only_input(path: Path, function) -> tuple[str, tf.TensorSpec]:
    inputs = function.structured_input_signature[1]
    (name, taken), *others = inputs.items() or [(None, None)]
    if name is None or others or taken.dtype not in (tf.float32, tf.uint8):
        raise InputError(
            f"{path}: the model takes {_described(inputs)}: expected one input of float32 or uint8 "
            "images"
        )
    return name, taken


def _only_output(path: Path, function) -> str:
    outputs = function.structured_outputs
    if len(outputs) != 1:
        raise InputError(
            f"{path}: the model returns {_described(outputs)}: expected embeddings alone"
        )
    return next(iter(outputs))


def _described(tensors: dict[str, tf.TensorSpec]) -> str:
    return (
        ", ".join(
            f"{name} {spec.shape} {spec.dtype.name}" for name, spec in sorted(tensors.items())
        )
        or "nothing"
    )
