"""The MODEL argument of all tools that use one, and the options that say how to use it."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from tfface.arguments import EMBED_BATCH_SIZE
from tfface.cli import command


def add(
    parser: argparse.ArgumentParser,
    *,
    option: str | None = None,
    required: bool = True,
    cache: bool = True,
) -> None:
    """Adds MODEL and its options to a tool's parser; `parse` then has to read the arguments.

    Args:
        option: its name, where MODEL is no argument of its own.
        required: whether the option has to be given.
        cache: whether there is an option to keep embeddings.
    """
    parser.add_argument(
        option or "model",
        **({"dest": "model", "required": required} if option else {}),
        type=command.path_text,
        metavar="MODEL",
        help="a run folder, a .keras file, an .h5 file of Keras 2, a SavedModel folder (with "
        "saved_model.pb), an .onnx, .tflite or OpenVINO .xml file, a recipe (the network it "
        "starts from), or the word pixels (the least of baselines)",
    )
    group = parser.add_argument_group("how the model is used")
    _add_input(group)
    group.add_argument(
        "--flip",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="flip test-time augmentation: add the embedding of the mirrored image (default: on)",
    )
    if cache:
        group.add_argument(
            "--cache",
            type=command.path,
            metavar="DIR",
            help="keep embeddings here, by model and image, and compute only what is new",
        )
    else:
        parser.set_defaults(cache=None)
    _add_data_dir(group)
    group.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="replace one value of a recipe; may be given several times",
    )


def add_precision(parser: argparse.ArgumentParser) -> None:
    """Adds the option of tools that evaluate MODEL: the type of numbers it computes in."""
    parser.add_argument(
        "--precision",
        choices=["float32", "bfloat16", "auto"],
        default="float32",
        help="bfloat16 is faster on processors that have it, for run folders, .keras files and "
        "recipes; it is taken if cosines to the embeddings in float32 are above 0.9999 for the "
        "first batch, and with auto if it is also faster there (default float32: as the model is)",
    )


def add_check(parser: argparse.ArgumentParser) -> None:
    """Adds the option of tools that look for mistakes in how a model is used."""
    parser.add_argument(
        "--no-check",
        dest="check",
        action="store_false",
        help="don't look at samples of the images first, to warn where faces look unaligned or "
        "pixels of another kind suit the model clearly better",
    )


def alignment_warnings(
    options: argparse.Namespace, sets: Iterable[tuple], *, each: bool = False
) -> list[str]:
    """Returns lines on images whose faces look unaligned, as `add_check` lets them be looked for.

    None where the model is a run that was trained on such images.

    Args:
        sets: as `alignment_warning` takes them: images, their names, and what to call them.
        each: judge each image by itself, as `alignment_warning` does.
    """
    from tfface.evaluation.sanity_checks import alignment_warning
    from tfface.training.training_identities import was_trained_on_unaligned

    if not options.check or options.model == "pixels":
        return []
    found = [warning for one in sets if (warning := alignment_warning(*one, each=each))]
    if found and was_trained_on_unaligned(Path(options.model), options.data_dir):
        return []
    return found


def model_warnings(options: argparse.Namespace, embedder, images, names) -> list[str]:
    """Returns lines on a model whose output is constant, or depends on more than the image.

    Args:
        embedder: the model.
        images, names: encoded images to try it with, and their names.
    Raises InputError: its output is NaN or infinite for all of a sample, or it can't be run.
    """
    from tfface.evaluation import model_check

    # Tools that classify always check.
    if not getattr(options, "check", True) or options.model == "pixels":
        return []
    return model_check.model_warnings(embedder, images, names)


def add_classifier(
    parser: argparse.ArgumentParser, *, option: str | None = None, more: str = ""
) -> None:
    """As `add`, of a MODEL that classifies.

    Args:
        option: as for `add`.
        more: what else the argument may be.
    """
    parser.add_argument(
        option or "model",
        **({"dest": "model", "required": True} if option else {}),
        type=command.path_text,
        metavar="MODEL",
        help="a run folder; or with --classes any other model that gives a score for each class"
        + more,
    )
    group = parser.add_argument_group("how the model is used")
    _add_input(group)
    group.add_argument(
        "--classes",
        type=command.path,
        metavar="FILE",
        help="the classes of a model that is not a run folder: a text file with a name on "
        "each line, or a CSV like the identities.csv of a run folder",
    )
    group.add_argument(
        "--score-type",
        choices=["auto", "probabilities", "logits"],
        default="auto",
        help="the scores that such a model returns; a softmax is applied to logits (default auto: "
        "probabilities if the scores of the first images are between 0 and 1 and sum to 1). A "
        "model with one output returns the score of the second of two classes",
    )
    group.add_argument(
        "--flip",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="flip test-time augmentation: take the mean of the probabilities of the image and of "
        "the mirrored image (default: off)",
    )
    _add_data_dir(group)


def _add_input(group) -> None:
    group.add_argument(
        "--color-order",
        choices=["rgb", "bgr"],
        help="color order that a SavedModel, an .onnx, .tflite or .xml file takes (default rgb; "
        "files of 'tfface export' store it)",
    )
    group.add_argument(
        "--input-range",
        metavar="RANGE",
        help="the values that such a model expects for pixels 0 and 255: -1..1, 0..1, 0..255, or "
        "a formula (default (x-127.5)/128; 0..255 if its input is of whole numbers)",
    )
    group.add_argument(
        "--image-size",
        type=command.image_size,
        metavar="HxW",
        help="input size of such a model, if it accepts any",
    )
    group.add_argument(
        "--model-output",
        metavar="NAME",
        help="the output to use, if an .onnx or .tflite file has several",
    )
    group.add_argument(
        "--batch-size",
        type=command.batch_size,
        default=EMBED_BATCH_SIZE,
        metavar="N",
        help=f"images at a time (default {EMBED_BATCH_SIZE})",
    )


def _add_data_dir(group) -> None:
    group.add_argument(
        "--data-dir",
        type=command.path,
        default=command.DATA_DIR,
        help="where a recipe's relative paths start (default: $TFFACE_DATA or data)",
    )


def parse(
    parser: argparse.ArgumentParser, arguments: list[str] | None, what: str = "model"
) -> argparse.Namespace:
    """Parses a tool's arguments; `--input-range -1..1` is read as `--input-range=-1..1`.

    Argparse would take its value for another option.

    Args:
        what: MODEL is.

    Raises InputError: MODEL isn't there, or is no model. TensorFlow takes seconds to say so.
    """
    joined = list(sys.argv[1:] if arguments is None else arguments)
    for option in ("--input-range", "--range"):
        while option in joined[:-1]:
            index = joined.index(option)
            joined[index : index + 2] = [f"{option}={joined[index + 1]}"]
    options = parser.parse_args(joined)
    model = getattr(options, "model", None)
    if model is not None and model != "pixels":
        from tfface.evaluation.embedders.model_kind import check_is_model
        from tfface.paths import check_there

        check_there(model, what)
        if what == "model":
            check_is_model(Path(model))
    return options


def load(options: argparse.Namespace):
    """Returns the embedder that the options mean; TensorFlow has to be imported before.

    Raises InputError: as `load_embedder`; or the recipe can't be used.
    """
    return load_public(options).embedder


def load_public(options: argparse.Namespace):
    """Returns the `tfface.Embedder` that the options mean; None where no MODEL is given."""
    import tfface

    if options.model is None:
        return None
    return tfface.load_embedder(
        options.model,
        batch_size=options.batch_size,
        flip=options.flip,
        color_order=options.color_order,
        input_range=options.input_range,
        image_size=options.image_size,
        output=options.model_output,
        cache=options.cache,
        data_dir=options.data_dir,
        overrides=options.set,
        precision=getattr(options, "precision", "float32"),
    )


def load_classifier(options: argparse.Namespace):
    """Returns the classifier that the options of `add_classifier` mean.

    Raises InputError: as the library's `load_classifier`; TensorFlow has to be imported before.
    """
    from tfface.evaluation.classifier import load_classifier

    return load_classifier(
        options.model,
        classes=options.classes,
        scores=options.score_type,
        flip=options.flip,
        batch_size=options.batch_size,
        pixels=_pixels(options),
        image_size=options.image_size,
        output=options.model_output,
        precision=getattr(options, "precision", "float32"),
    )


def classification_warnings(options: argparse.Namespace, classifier, source) -> list[str]:
    """Returns lines on a damaged MODEL, and on images of a source that it was trained on."""
    from tfface.api.evaluating import classification_warnings

    return classification_warnings(classifier, source, Path(options.model), options.data_dir)


def training_images_warnings(options: argparse.Namespace, sets: Sequence[tuple]) -> list[str]:
    """Returns lines on evaluation sets with images that MODEL was trained on.

    Args:
        sets: as the function of that name in `training_identities` takes them.
    """
    from tfface.training import training_identities

    return training_identities.training_images_warnings(Path(options.model), options.data_dir, sets)


def _pixels(options: argparse.Namespace):
    """What --color-order and --input-range say; None where neither is given."""
    from tfface.evaluation.embedders.options import PixelInput, parse_range

    if options.color_order is None and options.input_range is None:
        return None
    order = {} if options.color_order is None else {"order": options.color_order}
    if options.input_range is not None:
        order["scale"], order["shift"] = parse_range(options.input_range)
    return PixelInput(**order)
