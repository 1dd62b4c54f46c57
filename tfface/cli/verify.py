"""Compare two photos: do they show the same person?

Example:
    tfface verify anna.jpg door.jpg --model runs/my_run
    tfface verify a.jpg b.jpg --model mobilefacenet.onnx --threshold 0.41

Finds and aligns the faces. Where a photo has several faces, the most similar faces of both photos
decide. A threshold holds for one model: a run folder knows that of its own evaluation, for others
'tfface evaluate verification' prints one.
"""

import argparse

from tfface.cli import command, model_options, photo_options
from tfface.errors import say

# How the files of --json begin.
_JSON_LINES = ("{", '  "is_same": ', '  "cosine": ', '  "threshold": ')


def main(arguments: list[str] | None = None) -> None:
    from tfface.alignment.photos import read_one_photo

    options = _parse(arguments)
    for photo in (options.first, options.second):
        # A damaged one is found before the model is loaded.
        read_one_photo(photo)
    photo_options.check_json(options, _JSON_LINES)
    photo_options.say_loading(options.model)
    command.import_tensorflow_quietly()
    import tfface

    answer = tfface.compare(
        options.first,
        options.second,
        model=model_options.load_public(options),
        threshold=options.threshold,
        aligned=options.aligned,
    )
    say(answer)
    for photo, face, number in zip(
        (options.first, options.second),
        (answer.first, answer.second),
        answer.cosines.shape,
        strict=True,
    ):
        which = "the face" if number == 1 else f"of {number} faces the one"
        say(f"{photo}: {which} at {photo_options.place(face)}")
    photo_options.write_json(options, answer.to_dict())


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = command.Parser(description=__doc__)
    parser.add_argument("first", type=command.path, metavar="PHOTO", help="a photo with a face")
    parser.add_argument("second", type=command.path, metavar="PHOTO", help="another")
    photo_options.add_faces(parser)
    photo_options.add_json(parser, "the answer")
    model_options.add(parser, option="--model")
    return model_options.parse(parser, arguments)
