"""Verify faces with a model: accuracy, TAR@FAR, EER and AUC on one or more pair sets.

Example:
    python tools/eval_verification.py runs/quickstart --pairs synthetic lfw=data/lfw/pairs.txt \\
        --json figures.json --plots plots/

A recipe in place of a model means the network it starts from, the baseline of its training:
    python tools/eval_verification.py recipes/quickstart.yaml --pairs synthetic
"""

import argparse
import json
import sys
from pathlib import Path

import command
from tfface.errors import InputError


def main(arguments: list[str] | None = None) -> None:
    options = _parse(arguments)
    command.import_tensorflow_quietly()
    from tfface.data.pair_sets import load_pair_set
    from tfface.evaluation.verification import check_pair_set, draw_verification, verify
    from tfface.files import check_writable, replacing
    from tfface.report import verification_table
    from tfface.report.results import append_row
    from tfface.training.run_folder import environment

    for output in (options.json, options.results, options.plots and options.plots / "roc.png"):
        if output:
            check_writable(output)
    with command.without_notes():
        embedder = _load_embedder(options)
    pair_sets = [load_pair_set(pairs, images_dir=options.images) for pairs in options.pairs]
    _check_names([pair_set.name for pair_set in pair_sets])
    for pair_set in pair_sets:
        check_pair_set(pair_set)

    results = {pair_set.name: verify(embedder, pair_set) for pair_set in pair_sets}
    figures = {name: result.to_json() for name, result in results.items()}
    print(verification_table.as_text(figures))
    if options.json:
        with replacing(options.json) as temporary:
            temporary.write_text(json.dumps({"sets": figures}, indent=2) + "\n", encoding="utf-8")
        print(f"figures: {options.json}")
    if options.plots:
        draw_verification(results, options.plots)
        print(f"plots: {options.plots}")
    if options.results:
        circumstances = {key: environment()[key] for key in ("machine", "tensorflow", "keras")}
        for name, of_set in figures.items():
            row = verification_table.result_row(options.label or options.model, name, of_set)
            append_row(options.results, row | circumstances)
        print(f"results: {options.results}")


def _load_embedder(options: argparse.Namespace):
    from tfface.evaluation.embedder import load_embedder
    from tfface.evaluation.embedder_options import EmbedderOptions

    pixels = _pixels(options)
    if not options.model.endswith((".yaml", ".yml")):
        if options.set:
            raise InputError("--set changes a recipe, and MODEL is not one")
        return load_embedder(
            options.model,
            batch_size=options.batch_size,
            flip=options.flip,
            pixels=pixels,
            image_size=options.size,
        )
    EmbedderOptions(pixels=pixels, image_size=options.size).check_own(options.model)
    from tfface import recipe
    from tfface.evaluation.keras_embedder import KerasEmbedder
    from tfface.training.parts import TABLES
    from tfface.training.recognizer import build_starting_embedder

    loaded = recipe.load(options.model, TABLES, options.set)
    model = build_starting_embedder(loaded, options.data_dir)
    return KerasEmbedder(model, Path(options.model).stem, options.batch_size, options.flip)


def _pixels(options: argparse.Namespace):
    """What --input and --range say; None where neither is given."""
    from tfface.evaluation.pixel_input import PixelInput, parse_range

    if options.input is None and options.range is None:
        return None
    order = {} if options.input is None else {"order": options.input}
    if options.range is not None:
        order["scale"], order["shift"] = parse_range(options.range)
    return PixelInput(**order)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="a run folder, a .keras, .onnx or .tflite file, a recipe, or the word pixels (the "
        "least of baselines)",
    )
    parser.add_argument(
        "--pairs",
        required=True,
        nargs="+",
        metavar="P",
        help="an InsightFace .bin, a list like LFW's pairs.txt, a .csv of pairs, a bcolz folder, "
        "or synthetic; NAME=P renames a set",
    )
    parser.add_argument(
        "--images",
        type=Path,
        metavar="DIR",
        help="images of a pairs.txt or a .csv (default: the folder images beside it; for X.csv, "
        "the folder X_images before that)",
    )
    parser.add_argument(
        "--input",
        choices=["rgb", "bgr"],
        help="colour order of an .onnx or .tflite file (default rgb)",
    )
    parser.add_argument(
        "--range",
        metavar="R",
        help="what such a file takes for the pixels 0 and 255: -1..1, 0..1, 0..255, "
        "or a formula (default (x-127.5)/128)",
    )
    parser.add_argument(
        "--size",
        type=command.image_size,
        metavar="HxW",
        help="image size of such a file, where it takes any",
    )
    parser.add_argument(
        "--no-flip",
        dest="flip",
        action="store_false",
        help="embed images without adding the embedding of the mirrored image",
    )
    parser.add_argument("--json", type=Path, metavar="F", help="write all figures to this file")
    parser.add_argument("--plots", type=Path, metavar="D", help="draw ROC and similarities here")
    parser.add_argument(
        "--results", type=Path, metavar="CSV", help="add one row for each set to this file"
    )
    parser.add_argument("--label", help="what --results calls the model (default: MODEL)")
    parser.add_argument(
        "--batch-size",
        type=command.positive,
        default=64,
        metavar="N",
        help="images at a time (default 64)",
    )
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=command.DATA_DIR,
        help="where a recipe's relative paths start (default: $TFFACE_DATA or data)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="PLACE=VALUE",
        help="replace one value of a recipe; may be given several times",
    )
    return parser.parse_args(_with_ranges(sys.argv[1:] if arguments is None else arguments))


def _with_ranges(arguments: list[str]) -> list[str]:
    """Writes `--range -1..1` as `--range=-1..1`, since argparse takes the first for two options."""
    joined = list(arguments)
    while "--range" in joined[:-1]:
        place = joined.index("--range")
        joined[place : place + 2] = [f"--range={joined[place + 1]}"]
    return joined


def _check_names(names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"--pairs: two sets are called '{name}'; rename one with NAME=PATH")


if __name__ == "__main__":
    command.run(main)
