"""Say who photos show: every face of each photo, from a gallery of named faces.

Example:
    tfface identify door.jpg --gallery galleries/staff
    tfface identify photos/ --gallery galleries/staff --threshold 0.45 --json answers.json

'tfface gallery build' makes the gallery, which knows its model. Finds and aligns the faces; a photo
without a face says so.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tfface.cli import command, model_options, outputs, photo_options
from tfface.errors import InputError, say

# How the files of --json begin.
_JSON_LINES = (
    *("{", '  "threshold": ', '  "queries": ['),
    *("    {", '      "image": ', '      "name": ', '      "candidates": '),
)


def main(arguments: list[str] | None = None) -> None:
    parser = command.Parser(description=__doc__)
    parser.add_argument(
        "images", nargs="+", type=command.path, metavar="PHOTO", help="photos, or folders of photos"
    )
    parser.add_argument(
        "--gallery", type=command.path, required=True, metavar="DIR", help="the gallery's folder"
    )
    add_options(parser)
    model_options.add(parser, option="--model", required=False)
    run(model_options.parse(parser, arguments))


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say how to answer, and where to."""
    photo_options.add(parser)
    parser.add_argument(
        "--top",
        type=command.positive,
        default=1,
        metavar="K",
        help="show the K people who are most alike (default 1)",
    )
    parser.add_argument(
        "--json", type=command.path, metavar="FILE", help="write the answers to this file"
    )
    outputs.add_overwrite(parser, "--json")


def run(options: argparse.Namespace) -> None:
    """Identifies the faces of `options.images` from `options.gallery`, and prints who they are."""
    command.import_tensorflow_quietly()
    import tfface
    from tfface.alignment.photo_faces import NO_FACE
    from tfface.files import check_replaceable, json_mark, printable, write_json
    from tfface.gallery.gallery import list_images
    from tfface.reporting.identification_tables import query_text

    if options.json:
        check_replaceable(options.json, json_mark(*_JSON_LINES), overwrite=options.overwrite)
    photos = list_images(options.images)
    with command.without_notes():
        gallery = tfface.Gallery.load(options.gallery, model_options.load_public(options))
        # It knows where its model is.
        _ = gallery.model
    answers, without_face = _answers(gallery, photos, options)
    threshold = _threshold(answers)
    results = [_result(photo, face) for photo, faces in answers for face in faces]
    results += [
        {"image": printable(str(photo)), "name": None, "candidates": []} for photo in without_face
    ]
    say(query_text(results, threshold))
    for photo in without_face:
        say(f"{photo}: {NO_FACE}")
    sources = dict.fromkeys(face.threshold_source for _, faces in answers for face in faces)
    for source in sources:
        say(f"threshold: {source}")
    if options.json:
        write_json(options.json, {"threshold": threshold, "queries": results})
        say(f"results: {options.json}")
    if not answers:
        raise InputError(
            "no usable face was found in any photo; if the faces are aligned already, say --aligned"
        )


def _answers(gallery, photos: Sequence[Path], options: argparse.Namespace):
    """Returns (photo, its identified faces) for photos with a face, and the other photos."""
    from tfface.progress import progress

    answers, without_face = [], []
    for photo in progress(photos, description="identifying", unit="photos"):
        faces = gallery.identify(
            photo, threshold=options.threshold, top=options.top, aligned=options.aligned
        )
        if faces:
            answers.append((photo, faces))
        else:
            without_face.append(photo)
    return answers, without_face


def _threshold(answers) -> float | None:
    return answers[0][1][0].threshold if answers else None


def _result(photo: Path, face) -> dict:
    """The answer about one face; without a threshold it is the most similar person's."""
    from tfface.files import printable

    found = face.to_dict()
    return {
        "image": printable(str(photo)),
        "name": found["candidates"][0]["name"] if face.threshold is None else found["name"],
        "candidates": found["candidates"],
        "box": found["box"],
        "confidence": found["confidence"],
    }
