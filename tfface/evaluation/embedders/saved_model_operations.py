"""Whether a SavedModel does nothing but compute: a look at its operations before it is loaded.

A SavedModel is a program of TensorFlow's operations, among which are ones that read, write and
print files, run Python, and speak to other machines. Networks need none of these, so only what
networks are made of is let through.
"""

from collections.abc import Iterator
from math import prod
from typing import Any

from tfface.errors import shown

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
# A constant may be one value and a shape to fill with it.
_MOST_FILLED = 1 << 26


def reason_against(saved_model: Any) -> str:
    """Returns what a SavedModel would do beside computing, "" if nothing.

    Args:
        saved_model: TensorFlow's `SavedModel` message.
    """
    filled = 0
    for graph in saved_model.meta_graphs:
        if not graph.HasField("object_graph_def"):
            return "is of TensorFlow 1, of which it can't be told what it would run"
        library = {
            function.signature.name: list(function.node_def)
            for function in graph.graph_def.library.function
        }
        savers = {name for name in library if name.startswith(_SAVERS)}
        named = set(graph.object_graph_def.concrete_functions)
        for node in graph.object_graph_def.nodes:
            named.update(node.function.concrete_functions)
            named.add(node.bare_concrete_function.concrete_function_name)
        # What the folder's own graph holds is run by TensorFlow 1 alone, but for its constants.
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
    return f"has constants of {filled:,} numbers" if filled > _MOST_FILLED else ""


def _called(node: Any) -> Iterator[str]:
    for attribute in node.attr.values():
        yield attribute.func.name
        yield from (function.name for function in attribute.list.func)


def _filled(node: Any) -> int:
    """Returns how many numbers a constant has that are not in the file, each for itself."""
    if node.op != "Const":
        return 0
    tensor = node.attr["value"].tensor
    return (
        0 if tensor.tensor_content else prod(max(axis.size, 0) for axis in tensor.tensor_shape.dim)
    )
