"""The model card beside an exported file: one for people, in Markdown, and one for programs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from tfface.errors import harmless
from tfface.evaluation.embedders.metadata import ModelMetadata
from tfface.face_template import LANDMARK_NAMES
from tfface.output_paths import json_mark
from tfface.reporting import verification_tables
from tfface.reporting.format import Table

# What `output_paths.check_replaceable` knows our own cards by.
MARKDOWN_MARK = re.compile(rb"\A# Model card: ")
JSON_MARK = json_mark("{", '  "card": "tfface",')

_INTENDED_USE = (
    "To compare aligned faces: whether two show the same person, or whose of a gallery one is. It "
    "is not meant for other images, nor to tell age, gender, origin or mood. A cosine is no proof: "
    "error rates differ between groups of people, so measure them on your own images before "
    "decisions depend on them, and see what the law says about biometric data."
)
_NOT_STATED = "not stated: ask who trained the model"


@dataclass(frozen=True)
class CardFacts:
    """What is known of a model besides its file.

    Attributes:
        recipe: as a mapping, with all defaults; None if it is not known.
        metrics: verification set -> metrics, as `tfface evaluate verification --json` writes them.
        license: of the weights, as the user says.

    Example:
        >>> CardFacts(license="CC BY-NC 4.0").metrics
        {}
    """

    recipe: Mapping[str, Any] | None = None
    metrics: Mapping[str, Mapping[str, Any]] | None = None
    license: str | None = None

    def __post_init__(self) -> None:
        if self.metrics is None:
            object.__setattr__(self, "metrics", {})


def card(
    file: str, format: str, metadata: ModelMetadata, facts: CardFacts, measured: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns the card as a mapping, for JSON.

    Args:
        file: name of the exported file or folder.
        format: a key of `FORMATS`.
        metadata: of the file.
        facts: of the model.
        measured: on the file: `sha256`, `size_mb`, `parity`, `image_ms`, `verification`.
    """
    # The first entry is what our own cards are known by.
    return {
        "card": "tfface",
        "file": file,
        "format": format,
        **metadata.model_dump(mode="json"),
        **measured,
        "metrics": facts.metrics,
        "recipe": _without_folders(facts.recipe),
        "intended_use": _INTENDED_USE,
        "license": facts.license or _NOT_STATED,
        "code": code(file, format, metadata),
    }


def _without_folders(value: Any) -> Any:
    """Returns a recipe whose absolute paths are their last names.

    The folders of the machine that trained a model are nobody else's business.
    """
    if isinstance(value, Mapping):
        return {key: _without_folders(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_without_folders(one) for one in value]
    is_absolute = isinstance(value, str) and (
        value.startswith("~") or PurePath(value).is_absolute()
    )
    return PurePath(value).name if is_absolute else value


def code(file: str, format: str, metadata: ModelMetadata) -> str:
    """Returns lines of Python that compare two faces by the exported file, without tfface.

    If the file has a threshold, which is for sums of the embeddings of an image and of its mirror
    image, and doesn't add them itself, the lines do.

    Args:
        file: name of the file.
        format: a key of `FORMATS`.
        metadata: of the file.

    Example:
        >>> metadata = ModelMetadata(
        ...     tfface="0.1.0", model="a", image_size=(112, 112), embedding_size=512,
        ...     template=[(0, 0)] * 5,
        ... )
        >>> print(code("a.onnx", "onnx", metadata).splitlines()[-2])
        first, second = embed("face.png"), embed("other.png")
    """
    height, width = metadata.image_size
    # Not JSON, which escapes letters that can be read.
    name = repr(file)
    given = f"np.stack([face] * {batch})" if (batch := metadata.batch_size) else "face[None]"
    common = ["import numpy as np", "from PIL import Image"]
    # Lines that load the file, and the expression that embeds `face`.
    lines, embedding = {
        "onnx": (
            [
                "import onnxruntime",
                "",
                f"session = onnxruntime.InferenceSession({name})",
            ],
            f'session.run(None, {{"images": {given}}})[0][0]',
        ),
        "litert": (
            [
                "from ai_edge_litert.interpreter import Interpreter",
                "",
                f"run = Interpreter({name}).get_signature_runner()",
            ],
            f'run(images={given})["output_0"][0]',
        ),
        "saved_model": (
            [
                "import tensorflow as tf",
                "",
                f'run = tf.saved_model.load({name}).signatures["serving_default"]',
            ],
            f'run(images=tf.constant({given}))["output_0"][0].numpy()',
        ),
        "openvino": (
            [
                "import openvino",
                "",
                f'run = openvino.compile_model({name}, "CPU", '
                '{"INFERENCE_PRECISION_HINT": "f32"})',
            ],
            f"run({given})[0][0]",
        ),
    }[format]
    if metadata.threshold is None or metadata.flip:
        returned = [f"return {embedding}"]
    else:
        mirrored = "face[:, :, ::-1]" if metadata.layout == "nchw" else "face[:, ::-1]"
        returned = [
            "embedding = 0",
            f"for face in (face, {mirrored}):",
            f"    embedding += {embedding}",
            "return embedding",
        ]
    body = [
        f'image = Image.open(file).convert("RGB").resize(({width}, {height}))  # an aligned face',
        f"face = {_as_input(metadata)}",
        *returned,
    ]
    embed = ["", "", "def embed(file):", *(f"    {line}" for line in body), "", ""]
    compare = [
        'first, second = embed("face.png"), embed("other.png")',
        "cosine = first @ second / np.linalg.norm(first) / np.linalg.norm(second)",
    ]
    return "\n".join([*common, *lines, *embed, *compare])


def _as_input(metadata: ModelMetadata) -> str:
    text = "np.asarray(image)"
    if metadata.input_range is not None:
        pixels = metadata.pixels
        text = f"np.float32({pixels.scale!r}) * {text} + np.float32({pixels.shift!r})"
    if metadata.layout == "nchw":
        text = f"({text}).transpose(2, 0, 1)" if " " in text else f"{text}.transpose(2, 0, 1)"
    return text


def to_markdown(content: Mapping[str, Any]) -> str:
    """Returns the card for people.

    Args:
        content: as `card` returns it.
    """
    height, width = content["image_size"]
    points = zip(LANDMARK_NAMES, content["template"], strict=True)
    parts = [
        f"# Model card: {content['model']}",
        f"`{content['file']}` embeds faces: it was exported from `{content['model']}` by tfface "
        f"{content['tfface']}, as {content['format']} in {_precision(content)}. The same facts "
        f"are in `{content['file']}.json`.",
        "## Use",
        f"**Align.** The file takes faces of {width}x{height} pixels (width x height) whose "
        "landmarks lie at these points (x, y), as `tfface align` brings them there: "
        + ", ".join(f"{name.replace('_', ' ')} {x:.1f}, {y:.1f}" for name, (x, y) in points)
        + ".",
        f"**Normalize.** {_input_sentence(content)}",
        f"**Compare.** It returns {_output_sentence(content)}",
        f"```python\n{content['code']}\n```",
        "## Threshold",
        _threshold_sentence(content["threshold"]),
        "## Metrics",
        _metrics(content["metrics"]),
        "## Data and training",
        _training(content["recipe"], content["recipe_sha256"]),
        "## Compared with the original",
        _parity(content),
        "## Intended use",
        content["intended_use"],
        "## License of the weights",
        content["license"],
    ]
    return harmless("\n\n".join(parts)) + "\n"


def _precision(content: Mapping[str, Any]) -> str:
    count = content["float_layers"]
    return content["precision"] + f", the first {count} of its layers in float32" * (count > 0)


def _input_sentence(content: Mapping[str, Any]) -> str:
    layout = "[n, height, width, 3]" if content["layout"] == "nhwc" else "[n, 3, height, width]"
    if content["input_range"] is None:
        pixels = "uint8 pixels in 0..255"
    else:
        pixels = f"float32 pixels in {content['input_range']}"
    inside = (
        "Whatever else the network needs is inside"
        if content["normalization_inside"] is None
        else "The network's own normalization is inside"
    )
    number = f", {content['batch_size']} images at a time" if content["batch_size"] else ""
    return f"Give it {pixels}, RGB, {layout}{number}. {inside}."


def _output_sentence(content: Mapping[str, Any]) -> str:
    of = "the sum of the embeddings of the image and of its mirror image" * content["flip"]
    norm = (
        "of norm 1: the inner product of two is their cosine"
        if content["normalized"]
        else "which are not normalized: divide them by their norms to get a cosine"
    )
    about = f" ({of})" if of else ""
    return f"float32 embeddings of {content['embedding_size']} numbers{about}, {norm}."


def _threshold_sentence(threshold: Mapping[str, Any] | None) -> str:
    if threshold is None:
        return (
            "None is known. Measure one on pairs of your own images: `tfface evaluate verification "
            "FILE --pairs PAIRS`."
        )
    return (
        f"Same person if the cosine is at least {threshold['cosine']:.3f}, for sums of the "
        "embeddings of an image and of its mirror image. Measured before the export on "
        f"{threshold['num_pairs']:,} pairs of `{threshold['pair_set']}`, accuracy "
        f"{threshold['accuracy']:.2%}. Other images than these need a threshold of their own."
    )


def _metrics(sets: Mapping[str, Mapping[str, Any]]) -> str:
    if not sets:
        return "The model was not evaluated."
    table = verification_tables.summary_table(sets)
    notes = [note for note in table.notes if note]
    return "\n\n".join([_markdown(table), *notes])


def _training(recipe: Mapping[str, Any] | None, sha256: str | None) -> str:
    if recipe is None:
        return "Not known: the model is not a run of tfface."
    model, training = recipe["model"], recipe["training"]
    epochs = sum(stage["epochs"] for stage in training["stages"])
    rows = [
        ["data", _text(recipe["data"]["train"])],
        ["backbone", _text(model["backbone"])],
        ["embedding size", _text(model["embedding_size"] or "that of the features")],
        ["head", _text(model["head"])],
        ["epochs", str(epochs)],
        ["recipe, SHA-256", f"`{sha256}`"],
    ]
    return _markdown(Table(["", ""], rows))


def _parity(content: Mapping[str, Any]) -> str:
    parity = content["parity"]
    lines = [
        f"On {parity['num_images']} images ({parity['images']}) the cosine of an image's two "
        f"embeddings is at least {parity['cosine_min']:.6f} (mean {parity['cosine_mean']:.6f}); "
        f"the largest relative difference is {parity['relative_error']:.1e}."
    ]
    for name, both in (content["verification"] or {}).items():
        before, after = (both[when]["accuracy"] for when in ("before", "after"))
        # Pairs of one kind alone have none.
        if before is None or after is None:
            continue
        lines.append(
            f"Accuracy on {both['after']['num_pairs']:,} pairs of `{name}`: {before['mean']:.2%} "
            f"before the export, {after['mean']:.2%} after it."
        )
    times = content["image_ms"] or {}
    lines += [f"{ms:.1f} ms an image with {n} thread{'s' * (n != '1')}." for n, ms in times.items()]
    return " ".join([*lines, f"The file has {content['size_mb']:.1f} MB."])


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(one)}" for key, one in value.items() if one is not None)
    return str(value)


def _markdown(table: Table) -> str:
    rows = [table.header, ["---"] * len(table.header), *table.rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows
    )
