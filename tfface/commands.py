"""The commands of `tfface`, and how the user of this process writes them.

`pip install` gives the command `tfface`; a checkout that is not installed has a file in `tools/`
for most commands. Messages name `tfface X`; in a process that a file in `tools/` has started,
`as_typed` replaces this name by that of the file.
"""

import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Command:
    """A command of `tfface`.

    Args:
        name: what the user types behind `tfface`, one word or two.
        module: the file in `tfface/cli`.
        tool: the file in `tools`; None where there is none.
        summary: what it does, for the list of commands.
        group: the heading of the list under which it stands.
    """

    name: str
    module: str
    tool: str | None
    summary: str
    group: str


_GROUPS: dict[str, tuple[tuple[str, str, str | None, str], ...]] = {
    "train": (
        ("train", "train", "train", "train a model from a recipe"),
        ("sweep", "sweep", "compare", "train variants of a recipe over several seeds, and compare"),
        ("recipes", "recipes", None, "list the recipes that come with tfface"),
    ),
    "data": (
        ("convert", "convert", "convert_tfrecord", "write face images as a dataset of TFRecords"),
        ("inspect", "inspect", "inspect_dataset", "check a dataset, find duplicate identities"),
        ("align", "align", "align_faces", "find the faces in photos, and align them"),
        ("pairs", "pairs", "make_pairs", "write pairs of images for verification"),
        ("cutmix", "cutmix", "make_cutmix", "mix images of one person"),
        (
            "remove-background",
            "remove_background",
            "make_remove_background",
            "remove the background of images",
        ),
    ),
    "use": (
        ("verify", "verify", None, "compare two photos: the same person or not"),
        ("gallery", "gallery", "gallery", "keep named faces: build, add, calibrate, remove, list"),
        ("identify", "identify", None, "say who photos show, from a gallery"),
        ("classify", "classify", None, "ask a trained classifier about photos"),
        ("demo", "demo", None, "try a model in a page of the browser"),
        ("export", "export", None, "write a model as ONNX, LiteRT, SavedModel or OpenVINO"),
    ),
    "evaluate": (
        (
            "evaluate verification",
            "evaluate_verification",
            "eval_verification",
            "same person or not: LFW, AgeDB-30, CFP-FP, templates",
        ),
        (
            "evaluate identification",
            "evaluate_identification",
            "eval_identification",
            "who is it: rank-1, open-set identification",
        ),
        (
            "evaluate classification",
            "evaluate_classification",
            "eval_classification",
            "which class: accuracy, confusion, calibration",
        ),
        ("check-score", "check_score", "check_score", "print the accuracy of a classifier"),
    ),
    "measure": (
        ("benchmark", "benchmark", "benchmark", "measure the input pipeline, an epoch or a step"),
    ),
}
COMMANDS = tuple(
    Command(name, module, tool, summary, group)
    for group, rows in _GROUPS.items()
    for name, module, tool, summary in rows
)

_TOOLS = {command.name: command.tool for command in COMMANDS if command.tool}
_NAMED = re.compile(rf"\btfface ({'|'.join(map(re.escape, _TOOLS))})\b(?!\.)")
_started_by_file = False


def use_tools() -> None:
    """Lets `as_typed` name the files in `tools/`: one of them has started this process."""
    global _started_by_file
    _started_by_file = True


def as_typed(text: str) -> str:
    """Returns a text with the commands in it as the user of this process types them.

    Example:
        >>> as_typed("align it with tfface align")
        'align it with tfface align'
    """
    if not _started_by_file:
        return text
    return _NAMED.sub(lambda match: f"python tools/{_TOOLS[match[1]]}.py", text)
