"""Keep a gallery of named faces on disk, and ask it who a photo shows.

Example:
    tfface gallery build runs/my_run data/staff --gallery galleries/staff
    tfface gallery calibrate photos/strangers --gallery galleries/staff
    tfface gallery add runs/my_run new/anna.jpg --name Anna --gallery galleries/staff
    tfface gallery remove Anna --gallery galleries/staff
    tfface identify door.jpg --gallery galleries/staff

The folder holds a FAISS index, the names, and which model embedded the faces; it refuses any other.
A command that is killed leaves it as it was before, or as it is after. The faces of photos are
found and aligned; of a photo with several faces the largest near the center is enrolled. Photos
that are aligned faces already are used as they are.
"""

import argparse
from pathlib import Path

from tfface.cli import command, identify, model_options, photo_options
from tfface.errors import InputError, say, warn


def main(arguments: list[str] | None = None) -> None:
    parser = _parser()
    options = model_options.parse(parser, arguments)
    options.run(options)


def _build(options: argparse.Namespace) -> None:
    from tfface.gallery.storage import check_new
    from tfface.output_paths import check_output

    people = _people(options)
    check_output(_paths(options), options.gallery)
    check_new(options.gallery)
    photo_options.say_loading(options.model)
    command.import_tensorflow_quietly()
    import tfface

    gallery = tfface.Gallery.build(
        model_options.load_public(options),
        people,
        path=options.gallery,
        aligned=options.aligned,
        threshold=options.threshold,
        index=options.index,
    )
    _say_added(gallery.last_change, options)


def _add(options: argparse.Namespace) -> None:
    from tfface.gallery.storage import check_gallery

    check_gallery(options.gallery)
    people = _people(options)
    photo_options.say_loading(options.model)
    command.import_tensorflow_quietly()
    import tfface

    gallery = tfface.Gallery.load(options.gallery, model_options.load_public(options))
    _say_added(gallery.add(people, aligned=options.aligned), options)


def _calibrate(options: argparse.Namespace) -> None:
    from tfface.alignment.photos import photos_among, warn_of_others
    from tfface.gallery.calibration import check_num_strangers
    from tfface.gallery.storage import check_gallery
    from tfface.reporting.format import Table

    check_gallery(options.gallery)
    strangers, others = photos_among(options.strangers)
    warn_of_others(others)
    check_num_strangers(len(strangers), options.fpir)
    gallery = identify.open_gallery(options)
    gallery.calibrate(
        strangers,
        fpir=options.fpir,
        aligned=options.aligned,
        allow_similar=options.allow_similar,
    )
    found = gallery.last_calibration
    before = "" if found.before is None else f" (before: {found.before:.4f})"
    say(f"threshold {found.threshold:.4f}{before}: a face whose cosine is below it gets no name")
    rows = [[one.photo, one.name, f"{one.cosine:.3f}"] for one in found.most_similar]
    say(Table(["most similar strangers", "to", "cosine"], rows).to_text())
    say(options.gallery)


def _remove(options: argparse.Namespace) -> None:
    from tfface.gallery.changes import remove_from_gallery

    change = remove_from_gallery(options.names, options.gallery)
    say(f"removed {_images(change.num_changed)} of {', '.join(dict.fromkeys(options.names))}")
    _say_content(change, options)


def _list(options: argparse.Namespace) -> None:
    from tfface.gallery.storage import read_gallery
    from tfface.reporting.identification_tables import gallery_text

    gallery = read_gallery(options.gallery)
    say(gallery_text([face.name for face in gallery.faces], gallery.model))


def _people(options: argparse.Namespace) -> str | dict[str, list[Path]]:
    """Returns the people as `tfface.Gallery` takes them: a source, or images of one person."""
    from tfface.alignment.photos import photos_among, warn_of_others
    from tfface.images.listing import looks_like_image
    from tfface.images.people_folder import check_people
    from tfface.names import clean_name
    from tfface.paths import check_there

    if options.name is not None:
        try:
            clean_name(options.name)
        except InputError as error:
            raise InputError(f"--name: {error}") from error
        photos, others = photos_among([command.path(source) for source in options.source])
        warn_of_others(others)
        return {options.name: photos}
    if len(options.source) > 1:
        raise InputError(
            "several SOURCEs: give one, as the folder that holds the folders of people; or images "
            "of one person and who it is with --name"
        )
    source = options.source[0]
    if looks_like_image(command.path(source)):
        raise InputError(f"{source}: an image: say with --name whose face it is")
    for path in _paths(options):
        check_there(path)
        check_people(path)
    return source


def _paths(options: argparse.Namespace) -> list[Path]:
    """Returns the files and folders of SOURCE; none where what it means is read with it."""
    return [command.path(source) for source in options.source if not set(source) & set("={")]


def _say_added(change, options: argparse.Namespace) -> None:
    say(f"added {_images(change.num_changed)}")
    if change.several_faces:
        number = len(change.several_faces)
        say(
            f"{number} photo{'s have' if number > 1 else ' has'} several faces; the largest near "
            f"the center was added: {', '.join(change.several_faces[:3])}"
        )
    if change.num_known:
        say(f"left out {_images(change.num_known)}, in the gallery already")
    if change.conflicts:
        image, name, known_image, known_name = change.conflicts[0]
        say(
            f"left out {_images(len(change.conflicts))}, in the gallery under another name: for "
            f"example {image} of {name} is {known_image} of {known_name}"
        )
    for name, other in change.case_variants:
        warn(
            f"{options.gallery}: '{name}' and '{other}' are two people there, and differ by upper "
            "and lower case alone"
        )
    _say_content(change, options)


def _say_content(change, options: argparse.Namespace) -> None:
    from tfface.gallery.changes import people_added

    people = "1 person" if change.num_names == 1 else f"{change.num_names:,} people"
    say(f"in the gallery: {_images(change.num_images)} of {people}")
    if change.num_uncalibrated_names:
        say(f"threshold: {people_added(change.num_uncalibrated_names)}")
    say(options.gallery)


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"


def _parser() -> argparse.ArgumentParser:
    parser = command.Parser(description=__doc__)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, run, says in (
        ("build", _build, "make a gallery of faces"),
        ("add", _add, "add faces to a gallery"),
        ("calibrate", _calibrate, "choose the threshold of a gallery by photos of strangers"),
        ("remove", _remove, "remove people from a gallery"),
        ("query", identify.run, "tell whose faces photos show, as tfface identify does"),
        ("list", _list, "tell who is in a gallery"),
    ):
        of_command = commands.add_parser(name, help=says, description=f"{says.capitalize()}.")
        of_command.set_defaults(run=run)
        if name in ("build", "add", "query"):
            model_options.add(of_command)
        if name == "calibrate":
            _add_strangers(of_command)
        if name in ("build", "add"):
            _add_sources(of_command)
            photo_options.add_aligned(of_command)
        of_command.add_argument(
            "--gallery",
            # Other tools call what they write so.
            *(["--output"] if name == "build" else []),
            type=command.path,
            required=True,
            metavar="DIR",
            help="the gallery's folder" + (", a new one" if name == "build" else ""),
        )
        if name == "build":
            of_command.add_argument(
                "--threshold",
                type=photo_options.cosine,
                metavar="T",
                help="the gallery's threshold: a face with a lower cosine is a stranger; 'tfface "
                "evaluate identification' recommends one",
            )
            of_command.add_argument(
                "--index",
                choices=["flat", "hnsw"],
                default="flat",
                help="flat compares with every image, exactly; hnsw is faster for hundreds of "
                "thousands of images and slow to build and change (default flat)",
            )
        if name == "remove":
            of_command.add_argument("names", nargs="+", metavar="NAME", help="who is removed")
        if name == "query":
            photo_options.add_photos(of_command)
            identify.add_options(of_command)
    return parser


def _add_strangers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "strangers",
        nargs="+",
        type=command.path,
        metavar="PHOTO",
        help="photos of people who are not in the gallery, or folders of such photos; copies of a "
        "photo count once",
    )
    parser.add_argument(
        "--fpir",
        type=_rate,
        default=0.01,
        metavar="RATE",
        help="false positive identification rate: the share of strangers who may get a name "
        "(default 0.01); 0.01 needs photos of 100 strangers or more",
    )
    parser.add_argument(
        "--allow-similar",
        action="store_true",
        help="choose the threshold even if some strangers look like photos of a person of the "
        "gallery (default: say which, and leave the threshold as it is)",
    )
    photo_options.add_aligned(parser)
    model_options.add(parser, option="--model", required=False)


def _rate(text: str) -> float:
    return command.number(text, lambda value: 0 < value < 1, "between 0 and 1, as 0.01")


def _add_sources(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        nargs="+",
        metavar="SOURCE",
        help="faces of people: a SOURCE as 'tfface convert' takes it (a folder with one folder for "
        "each person, a converted dataset, a .csv, ...); or with --name images and folders",
    )
    parser.add_argument(
        "--name", metavar="NAME", help="all images are of this one person, whatever their folders"
    )
