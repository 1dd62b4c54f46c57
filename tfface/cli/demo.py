"""Try a model in a page of the browser: compare two photos, and ask who a photo shows.

Example:
    tfface demo --model runs/my_run --open
    tfface demo --model mobilefacenet.onnx --threshold 0.41
    tfface demo --gallery galleries/staff

The page answers as 'tfface verify' and 'tfface identify' do. Only this machine can open it, at
127.0.0.1, and photos are not written to disk. Ctrl-C ends it.
"""

import argparse
import webbrowser

from tfface.cli import command, model_options, photo_options
from tfface.cli.identify import open_gallery
from tfface.errors import InputError, say, warn
from tfface.quiet_tensorflow import without_notes


def main(arguments: list[str] | None = None) -> None:
    from tfface.gallery.storage import check_gallery

    options = _parse(arguments)
    if options.gallery:
        check_gallery(options.gallery)
    else:
        photo_options.say_loading(options.model)
    command.import_tensorflow_quietly()
    from tfface.demo.server import DemoServer

    # A port that is in use is found out before the model is loaded.
    with DemoServer(options.port) as server:
        answers = _load(options)
        for line in answers.description:
            say(line)
        say(f"open {server.url} in a browser; Ctrl-C ends it")
        if options.open and not webbrowser.open(server.url):
            warn("no browser was found to open the page in")
        server.serve(answers)


def _load(options: argparse.Namespace):
    """Returns the `PhotoAnswers` that the options mean, with all that they need loaded."""
    from tfface.demo.photo_answers import PhotoAnswers

    gallery = open_gallery(options) if options.gallery else None
    model = model_options.load_public(options) if gallery is None else gallery.model
    with without_notes():
        return PhotoAnswers(
            model, gallery=gallery, threshold=options.threshold, aligned=options.aligned
        )


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = command.Parser(description=__doc__)
    parser.add_argument(
        "--gallery",
        type=command.path,
        metavar="DIR",
        help="a gallery of named faces: the page also says who a photo shows",
    )
    parser.add_argument(
        "--port",
        type=command.port,
        default=7860,
        metavar="N",
        help="port of the page (default 7860; 0 takes one that is free)",
    )
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    photo_options.add_aligned(parser)
    parser.add_argument(
        "--threshold",
        type=photo_options.cosine,
        metavar="T",
        help="smallest cosine at which two faces are of one person (default: the threshold of the "
        "model); a gallery that keeps a threshold uses its own",
    )
    # Nothing of a photo is kept, and so are no embeddings.
    model_options.add(parser, option="--model", required=False, cache=False)
    options = model_options.parse(parser, arguments)
    if options.model is None and options.gallery is None:
        raise InputError("nothing to try: give --model, or --gallery, which knows its model")
    return options
