"""Export for users: a model in, a file of another runtime and its model card out."""

import hashlib
import os
from pathlib import Path

from tfface import arguments
from tfface import recipe as recipes
from tfface.api.datasets import Source, open_source
from tfface.api.embedding import Embedder, Model, as_embedder, thresholds_of
from tfface.data.pairs import load_pair_set
from tfface.data.pairs.pair_set import PairSet
from tfface.errors import InputError
from tfface.evaluation.embedders.embedding_cache import CachedEmbedder
from tfface.evaluation.embedders.keras_model import MODEL_FILE, KerasEmbedder
from tfface.evaluation.embedders.model_kind import is_recipe_file
from tfface.evaluation.embedders.precision import BFloat16Embedder
from tfface.evaluation.labeled_faces import labeled_faces
from tfface.exporting.exporter import Exporter, ExportResult, check_export
from tfface.exporting.faces import ExportFaces, faces_of, synthetic_faces
from tfface.exporting.model_card import CardFacts
from tfface.exporting.options import ExportOptions, Layout, Quantization
from tfface.paths import expanded
from tfface.training.registries import REGISTRIES
from tfface.training.run_folder import RunFolder


def export(
    model: Model,
    output: str | os.PathLike[str],
    *,
    format: str | None = None,
    normalized: bool = False,
    flip: bool = False,
    batch_size: int | None = None,
    layout: Layout = "nhwc",
    input_range: str | None = None,
    quantize: Quantization | None = None,
    opset: int | None = None,
    float_layers: int = 0,
    calibration: Source | None = None,
    pairs: str | os.PathLike[str] | PairSet | None = None,
    image_root: str | os.PathLike[str] | None = None,
    num_images: int = 32,
    license: str | None = None,
    timing: bool = False,
    overwrite: bool = False,
) -> ExportResult:
    """Writes a model as a file of another runtime, and checks that it still is the same model.

    The file takes uint8 pixels, RGB [n, height, width, 3], contains the input normalization and
    returns float32 embeddings [n, embedding_size]. It says what it takes, so `load_embedder` needs
    no options. A model card lies beside it, as `.md` and `.json`.

    Args:
        model: a run folder, a `.keras` file, a recipe (the network it starts from), what
            `load_embedder` returns of these, or a Keras model from images in 0..255 to embeddings.
        output: the file to write: `.onnx`, `.tflite` (LiteRT), `.xml` (OpenVINO); or a folder (a
            SavedModel).
        format: `onnx`, `litert`, `openvino` or `saved_model`; by default that of the suffix.
        normalized: return embeddings of norm 1.
        flip: return the sum of the embeddings of an image and of its mirror image.
        batch_size: take exactly so many images; None for any number.
        layout: `nchw` takes [n, 3, height, width].
        input_range: take float32 pixels of this range, as in "-1..1", in place of uint8.
        quantize: `float16` (ONNX, LiteRT, OpenVINO), `int8` or `weights-int8` (LiteRT).
        opset: version of ONNX's operations.
        float_layers: with `int8` or `weights-int8`, leave the first so many layers in float32.
        calibration: aligned faces on which `int8` measures ranges, as `open_source` takes them; by
            default the images of `pairs`, or synthetic faces.
        pairs: a verification set: measure its accuracy before and after.
        image_root: folder of the images of a text list of pairs.
        num_images: the number of faces to compare file and model by: those of `pairs`, of
            `calibration`, or synthetic ones.
        license: of the weights, for the model card.
        timing: measure milliseconds for each image, with one thread and with two.
        overwrite: replace files at `output` that no export wrote.

    Returns:
        The file and what was measured on it: `path`, `card`, `parity`, `size_mb`, `verification`.

    Raises:
        InputError: the model is none of Keras, the format does not have an option, the model can't
            be converted, the runtime refuses the file, or the file's embeddings or its accuracy
            differ too much. Nothing is left then.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import tfface
        >>> network = tfface.build_embedder("plain_cnn", image_size=32, embedding_size=16)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     exported = tfface.export(network, Path(folder, "face"), num_images=4)
        ...     embedder = tfface.load_embedder(exported.path)
        >>> exported.parity.cosine_min > 0.9999, embedder.image_size
        (True, (32, 32))
    """
    options = ExportOptions(
        normalized, flip, batch_size, layout, input_range, quantize, opset, float_layers
    )
    path = expanded(output)
    check_export(path, format, options, overwrite=overwrite)
    exporter = make_exporter(
        model,
        options,
        calibration=calibration,
        pairs=pairs,
        image_root=image_root,
        num_images=num_images,
        license=license,
        timing=timing,
    )
    return exporter.write(path, format, overwrite=overwrite)


def make_exporter(
    model: Model,
    options: ExportOptions,
    *,
    calibration: Source | None = None,
    pairs: str | os.PathLike[str] | PairSet | None = None,
    image_root: str | os.PathLike[str] | None = None,
    num_images: int = 32,
    license: str | None = None,
    timing: bool = False,
) -> Exporter:
    """Returns what writes a model in one or more formats.

    Args:
        model, calibration, pairs, image_root, num_images, license, timing: as for `export`.
        options: of the export.

    Raises:
        InputError: as `export`, before anything is converted.
    """
    num_images = arguments.whole_number("num_images", num_images, 1)
    if license is not None:
        arguments.text("license", license)
    embedder = as_embedder(model)
    found = embedder.embedder
    inner = found.inner if isinstance(found, CachedEmbedder) else found
    inner = inner.exact if isinstance(inner, BFloat16Embedder) else inner
    if not isinstance(inner, KerasEmbedder):
        raise InputError(
            f"{embedder.name}: only models of Keras can be exported: a run folder, a .keras file, "
            "a recipe or a Keras model"
        )
    pair_set = pairs if pairs is None or isinstance(pairs, PairSet) else _pairs(pairs, image_root)
    path, run = _files(embedder)
    recipe = None if run is None else recipes.load(run.recipe, REGISTRIES)
    text = None if recipe is None else recipes.dump(recipe)
    metrics = {} if run is None else embedder.run_metrics()
    return Exporter(
        inner.model,
        embedder.name,
        options,
        _faces(inner.image_size, options, calibration, pair_set, num_images),
        pair_set=pair_set,
        facts=CardFacts(
            recipe=None if recipe is None else recipe.model_dump(mode="json"),
            metrics=metrics,
            license=license,
        ),
        path=path,
        threshold=next(iter(thresholds_of(metrics)), None),
        recipe_sha256=None if text is None else hashlib.sha256(text.encode()).hexdigest(),
        timing=timing,
    )


def _pairs(pairs: str | os.PathLike[str], image_root: str | os.PathLike[str] | None) -> PairSet:
    return load_pair_set(pairs, images_dir=None if image_root is None else expanded(image_root))


def _files(embedder: Embedder) -> tuple[Path | None, RunFolder | None]:
    """Returns the `.keras` file of a model and its run; None for what there is none of."""
    path = embedder.path
    if path is None or is_recipe_file(path):
        return None, None
    file = path / MODEL_FILE if path.is_dir() else path
    run = RunFolder(file.parent)
    is_run = file.name == MODEL_FILE and run.recipe.is_file()
    return file, run if is_run else None


def _faces(
    image_size: tuple[int, int],
    options: ExportOptions,
    calibration: Source | None,
    pair_set: PairSet | None,
    num_images: int,
) -> ExportFaces:
    """Returns the faces to calibrate on and to compare by."""
    calibrate = options.quantize == "int8"
    if calibration is not None and not calibrate:
        raise InputError("calibration: only for quantize='int8' (--quantize int8)")

    def of_pairs(pairs: PairSet, calibrate: bool) -> ExportFaces:
        return faces_of(
            pairs.images,
            pairs.image_names,
            pairs.name,
            image_size,
            num_compared=num_images,
            calibrate=calibrate,
        )

    if calibration is not None:
        labeled = labeled_faces(open_source(calibration))
        faces = faces_of(
            labeled.images,
            labeled.image_names,
            labeled.name,
            image_size,
            num_compared=num_images,
            calibrate=True,
        )
        if pair_set is None:
            return faces
        compared = of_pairs(pair_set, calibrate=False)
        return ExportFaces(faces.calibration, compared.compared, compared.name)
    if pair_set is not None:
        return of_pairs(pair_set, calibrate)
    return synthetic_faces(image_size, num_compared=num_images, calibrate=calibrate)
