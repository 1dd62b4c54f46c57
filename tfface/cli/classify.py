"""Ask a trained classifier about photos: which of its classes is it?

Example:
    tfface classify beach.jpg --model runs/scenes_mobilenet_v2
    tfface classify photos/ --model runs/celebrity_simple_cnn --top 3

The classifier sees the whole photo. For one that was trained on aligned faces, --find-faces finds
and aligns the faces first. A classifier always answers with one of its classes, even for a
stranger; to turn strangers away, use a gallery ('tfface identify').
"""

import argparse
from pathlib import Path

from tfface.cli import command, model_options, photo_options
from tfface.errors import InputError, say, warn

# Photos that are checked for faces that are not aligned.
_MOST_CHECKED = 8
_ADVICE = "say --find-faces, unless the model was trained on such images"
# How the files of --json begin.
_JSON_LINES = ("{", '  "photos": [', "    {", '      "image": ', '      "classes": [')


def main(arguments: list[str] | None = None) -> None:
    from tfface.alignment.photos import photos_among, warn_of_skipped

    options = _parse(arguments)
    photos, skipped = photos_among(options.images)
    num_given = len(photos) + len(skipped)
    photo_options.check_json(options, _JSON_LINES)
    photo_options.say_loading(options.model)
    command.import_tensorflow_quietly()
    import numpy as np

    import tfface
    from tfface.alignment.photo_faces import NO_FACE, encode_photo
    from tfface.evaluation.sanity_checks import alignment_warning
    from tfface.images.decoding import decode_whole, resize
    from tfface.paths import printable
    from tfface.reporting.format import Table, percent

    classifier = model_options.load_classifier(options)
    size = classifier.image_size
    answers = []
    num_to_check = _MOST_CHECKED if classifier.has_face_head else 0

    def read(photo: Path) -> list[np.ndarray]:
        if options.find_faces:
            return [face.image for face in tfface.align(photo, image_size=size)]
        encoded = encode_photo(photo)
        pixels = decode_whole(encoded, str(photo))
        nonlocal num_to_check
        if num_to_check:
            warning = alignment_warning([encoded], [str(photo)], str(photo), advice=_ADVICE)
            # Said once.
            num_to_check = 0 if warning else num_to_check - 1
            if warning:
                warn(warning)
        keeps = classifier.embedder.keeps_aspect
        return list(resize(pixels[None], *size, keep_aspect=keeps))

    found = photo_options.answer_each(photos, read, skipped, description="classifying")
    for photo, images in found:
        for scores in classifier.scores(np.stack(images)) if images else ():
            if not np.isfinite(scores).all():
                raise InputError(
                    f"{options.model}: its scores of {photo} are NaN or infinite: its weights are "
                    "damaged, its training diverged, or --input-range doesn't suit it"
                )
            order = np.argsort(-scores, kind="stable")[: options.top]
            classes = [
                {"class": classifier.classes[number], "probability": float(scores[number])}
                for number in order
            ]
            answers.append({"image": printable(str(photo)), "classes": classes})
        if not images:
            say(f"{photo}: {NO_FACE}")
    warn_of_skipped(skipped, num_given)
    if not answers:
        raise InputError(
            "no usable face was found in any photo; without --find-faces the whole photo is used"
        )
    rows = []
    for answer in answers:
        for number, one in enumerate(answer["classes"]):
            name = "" if number else answer["image"]
            rows.append([name, one["class"], percent(one["probability"])])
    say(Table(["image", "class", "probability"], rows).to_text())
    photo_options.write_json(options, {"photos": answers})


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = command.Parser(description=__doc__)
    photo_options.add_photos(parser)
    parser.add_argument(
        "--find-faces",
        action="store_true",
        help="find and align the faces, and classify each (default: classify the whole photo)",
    )
    photo_options.add_top(parser, "most probable classes")
    photo_options.add_json(parser, "the answers")
    model_options.add_classifier(parser, option="--model")
    return model_options.parse(parser, arguments)
