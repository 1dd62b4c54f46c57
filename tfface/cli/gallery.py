"""Keep a gallery of named faces on disk, and ask it whose face a picture shows.

Example:
    tfface gallery build runs/my_run data/staff --gallery galleries/staff
    tfface gallery query runs/my_run door.jpg --gallery galleries/staff --threshold 0.45
    tfface gallery add runs/my_run new/anna.jpg --name Anna --gallery galleries/staff
    tfface gallery remove Anna --gallery galleries/staff

The folder holds a FAISS index, the names, and which model embedded the faces; it refuses any other.
A command that is killed leaves it as it was before, or as it is after. Models want aligned faces,
as tfface align makes them; what looks unaligned is warned of.
"""

import argparse

from tfface.cli import command, model_options, outputs
from tfface.errors import InputError, say, warn

# How the files of `query --json` begin.
_JSON_LINES = (
    *("{", '  "threshold": ', '  "queries": ['),
    *("    {", '      "image": ', '      "name": ', '      "candidates": '),
)


def main(arguments: list[str] | None = None) -> None:
    parser = _parser()
    options = model_options.parse(parser, arguments)
    options.run(options)


def _build(options: argparse.Namespace) -> None:
    command.import_tensorflow_quietly()
    from tfface.data.sources.opening import source_paths
    from tfface.files import check_output
    from tfface.gallery.gallery import build_gallery

    given = options.source
    if options.name is not None:
        check_output(map(command.path, given), options.gallery)
    else:
        check_output([path for one in given for path in source_paths(one)], options.gallery)
    faces, embedder = _open_faces(options), model_options.load(options)
    _warn(faces, embedder, options, each=options.name is not None)
    _say_added(build_gallery(embedder, faces, options.gallery, kind=options.index), options)


def _add(options: argparse.Namespace) -> None:
    command.import_tensorflow_quietly()
    from tfface.gallery.gallery import add_to_gallery
    from tfface.gallery.storage import check_gallery

    check_gallery(options.gallery)
    faces, embedder = _open_faces(options), model_options.load(options)
    _warn(faces, embedder, options, each=options.name is not None)
    _say_added(add_to_gallery(embedder, faces, options.gallery), options)


def _remove(options: argparse.Namespace) -> None:
    command.import_tensorflow_quietly()
    from tfface.gallery.gallery import remove_from_gallery

    change = remove_from_gallery(options.names, options.gallery)
    say(f"removed {_images(change.num_changed)} of {', '.join(dict.fromkeys(options.names))}")
    _say_content(change, options)


def _list(options: argparse.Namespace) -> None:
    from tfface.gallery.storage import read_gallery
    from tfface.reporting.identification_tables import gallery_text

    gallery = read_gallery(options.gallery)
    say(gallery_text([face.name for face in gallery.faces], gallery.model))


def _query(options: argparse.Namespace) -> None:
    command.import_tensorflow_quietly()
    from tfface.evaluation.identification import embed_faces
    from tfface.files import check_replaceable, json_mark, write_json
    from tfface.gallery import gallery as galleries
    from tfface.gallery.storage import read_gallery
    from tfface.reporting.identification_tables import query_text

    if options.json:
        check_replaceable(options.json, json_mark(*_JSON_LINES), overwrite=options.overwrite)
    faces = galleries.faces_of_files(galleries.list_images(options.images), "queries")
    gallery = read_gallery(options.gallery)
    embedder = model_options.load(options)
    galleries.check_model(embedder, gallery, options.gallery)
    _warn(faces, embedder, options, each=True)
    vectors = embed_faces(embedder, faces)
    answers = galleries.query_results(
        list(faces.image_names),
        galleries.find_names(gallery, vectors, count=options.top),
        options.threshold,
    )
    say(query_text(answers, options.threshold))
    if options.json:
        write_json(options.json, {"threshold": options.threshold, "queries": answers})
        say(f"results: {options.json}")


def _open_faces(options: argparse.Namespace):
    from tfface.data.sources.opening import open_source
    from tfface.evaluation.labeled_faces import labeled_faces
    from tfface.gallery.gallery import faces_of_files, list_images
    from tfface.images.listing import looks_like_image
    from tfface.names import clean_name

    if options.name is not None:
        try:
            clean_name(options.name)
        except InputError as error:
            raise InputError(f"--name: {error}") from error
        return faces_of_files(
            list_images([command.path(source) for source in options.source]), options.name
        )
    if len(options.source) > 1:
        raise InputError(
            "several SOURCEs: give one, or images of one person and who it is with --name"
        )
    source = options.source[0]
    if looks_like_image(command.path(source)):
        raise InputError(f"{source}: an image: say with --name whose face it is")
    return labeled_faces(open_source(source).source)


def _warn(faces, embedder, options: argparse.Namespace, *, each: bool) -> None:
    """Warns of what may be wrong with the model or the faces."""
    images, names = faces.images, faces.image_names
    found = model_options.model_warnings(options, embedder, images, names)
    found += model_options.alignment_warnings(options, [(images, names, faces.name)], each=each)
    for warning in found:
        warn(warning)


def _say_added(change, options: argparse.Namespace) -> None:
    say(f"added {_images(change.num_changed)}")
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
    people = "1 person" if change.num_names == 1 else f"{change.num_names:,} people"
    say(f"in the gallery: {_images(change.num_images)} of {people}")
    say(options.gallery)


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"


def _parser() -> argparse.ArgumentParser:
    parser = command.Parser(description=__doc__)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, run, says in (
        ("build", _build, "make a gallery of faces"),
        ("add", _add, "add faces to a gallery"),
        ("remove", _remove, "remove people from a gallery"),
        ("query", _query, "tell whose faces pictures show"),
        ("list", _list, "tell who is in a gallery"),
    ):
        of_command = commands.add_parser(name, help=says, description=f"{says.capitalize()}.")
        of_command.set_defaults(run=run)
        if name in ("build", "add", "query"):
            model_options.add(of_command)
            model_options.add_check(of_command)
        if name in ("build", "add"):
            _add_sources(of_command)
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
                "--index",
                choices=["flat", "hnsw"],
                default="flat",
                help="flat compares with every image, exactly; hnsw is faster for hundreds of "
                "thousands of images and slow to build and change (default flat)",
            )
        if name == "remove":
            of_command.add_argument("names", nargs="+", metavar="NAME", help="who is removed")
        if name == "query":
            _add_query(of_command)
    return parser


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


def _add_query(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "images", nargs="+", type=command.path, metavar="IMAGE", help="images, or folders of images"
    )
    parser.add_argument(
        "--top",
        type=command.positive,
        default=1,
        metavar="K",
        help="show the K people who are most alike (default 1)",
    )
    parser.add_argument(
        "--threshold",
        type=_cosine,
        metavar="T",
        help="name nobody whose cosine is less; 'tfface evaluate identification' advises one "
        "(default: name whoever is most alike)",
    )
    parser.add_argument(
        "--json", type=command.path, metavar="FILE", help="write the answers to this file"
    )
    outputs.add_overwrite(parser, "--json")


def _cosine(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 2.0
    if not -1 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be a cosine from -1 to 1, got '{text}'")
    return value
