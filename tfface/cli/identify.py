"""Say who photos show: every face of each photo, from a gallery of named faces.

Example:
    tfface identify door.jpg --gallery galleries/staff
    tfface identify photos/ --gallery galleries/staff --threshold 0.45 --json answers.json

'tfface gallery build' makes the gallery, which knows its model. Finds and aligns the faces; a photo
without a face says so.
"""

import argparse
from functools import partial
from pathlib import Path

from tfface.cli import command, model_options, photo_options
from tfface.errors import InputError, say

# How the files of --json begin.
_JSON_LINES = (
    *("{", '  "threshold": ', '  "queries": ['),
    *("    {", '      "image": ', '      "name": ', '      "candidates": '),
)


def main(arguments: list[str] | None = None) -> None:
    parser = command.Parser(description=__doc__)
    photo_options.add_photos(parser)
    parser.add_argument(
        "--gallery", type=command.path, required=True, metavar="DIR", help="the gallery's folder"
    )
    add_options(parser)
    model_options.add(parser, option="--model", required=False)
    run(model_options.parse(parser, arguments))


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say how to answer, and where to."""
    photo_options.add_faces(parser)
    photo_options.add_top(parser, "people who are most alike")
    photo_options.add_json(parser, "the answers")


def run(options: argparse.Namespace) -> None:
    """Identifies the faces of `options.images` from `options.gallery`, and prints who they are."""
    from tfface.alignment.photos import photos_among, warn_of_skipped
    from tfface.gallery.storage import check_gallery

    photos, skipped = photos_among(options.images)
    num_given = len(photos) + len(skipped)
    check_gallery(options.gallery)
    photo_options.check_json(options, _JSON_LINES)
    gallery = open_gallery(options)
    if not len(gallery):
        raise InputError(f"{options.gallery}: the gallery is empty: add faces to it")
    from tfface.alignment.photo_faces import NO_FACE
    from tfface.gallery.gallery import query_results
    from tfface.paths import printable
    from tfface.reporting.identification_tables import query_text

    named: list = []
    without_face: list[Path] = []
    identify = partial(
        gallery.identify,
        threshold=options.threshold,
        top=options.top,
        aligned=options.aligned,
    )
    answers = photo_options.answer_each(photos, identify, skipped, description="identifying")
    for photo, faces in answers:
        named += [(photo, face) for face in faces]
        without_face += [] if faces else [photo]

    threshold = named[0][1].threshold if named else None
    images = [printable(str(photo)) for photo in (*(photo for photo, _ in named), *without_face)]
    candidates = [face.candidates for _, face in named] + [[] for _ in without_face]
    results = query_results(images, candidates, threshold)
    for result, (_, face) in zip(results, named, strict=False):
        result |= {"box": face.face.box.tolist(), "confidence": face.face.confidence}
        result |= {"unaligned": True} if face.unaligned else {}
    say(query_text(results, threshold))
    for photo, face in named:
        if face.unaligned:
            say(f"{photo}: can't be trusted, as it looks unaligned: drop --aligned")
    for photo in without_face:
        say(f"{photo}: {NO_FACE}")
    for source in dict.fromkeys(face.threshold_source for _, face in named):
        say(f"threshold: {source}")
    left_out = [{"image": image, "reason": reason} for image, reason in skipped]
    content = {"threshold": threshold, "queries": results}
    photo_options.write_json(options, content | ({"skipped": left_out} if left_out else {}))
    warn_of_skipped(skipped, num_given)
    if not named:
        raise InputError(
            "no usable face was found in any photo; if the faces are aligned already, say --aligned"
        )


def open_gallery(options: argparse.Namespace):
    """Returns the `tfface.Gallery` that the options mean, its model loaded quietly."""
    photo_options.say_loading(options.model, options.gallery)
    command.import_tensorflow_quietly()
    import tfface

    gallery = tfface.Gallery.load(options.gallery, model_options.load_public(options))
    # Without --model, the gallery knows where its model is.
    _ = gallery.model
    return gallery
