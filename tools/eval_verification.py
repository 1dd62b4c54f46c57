"""Verify faces with a model: accuracy, TAR@FAR, EER and AUC on one or more pair sets.

Example:
    python tools/eval_verification.py runs/quickstart --pairs synthetic lfw=data/lfw/pairs.txt \\
        --json figures.json --plots plots/

A recipe in place of a model means the network it starts from, the baseline of its training:
    python tools/eval_verification.py recipes/quickstart.yaml --pairs synthetic
"""

import argparse
from pathlib import Path

import command
import model_options
from tfface.errors import InputError


def main(arguments: list[str] | None = None) -> None:
    options = _parse(arguments)
    command.import_tensorflow_quietly()
    from tfface.data.pair_sets import load_pair_set
    from tfface.evaluation.verification import check_pair_set, draw_verification, verify
    from tfface.files import check_writable, write_json
    from tfface.report import verification_table
    from tfface.report.results import append_row
    from tfface.training.run_folder import environment

    for output in (options.json, options.results, options.plots and options.plots / "roc.png"):
        if output:
            check_writable(output)
    embedder = model_options.load(options)
    pair_sets = [load_pair_set(pairs, images_dir=options.images) for pairs in options.pairs]
    _check_names([pair_set.name for pair_set in pair_sets])
    for pair_set in pair_sets:
        check_pair_set(pair_set)
    if options.check and options.model != "pixels":
        _warn_of_misuse(embedder, options.pairs, pair_sets)

    results = {pair_set.name: verify(embedder, pair_set) for pair_set in pair_sets}
    figures = {name: result.to_json() for name, result in results.items()}
    print(verification_table.as_text(figures))
    if options.json:
        write_json(options.json, {"sets": figures})
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


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    model_options.add(parser)
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
    parser.add_argument("--json", type=Path, metavar="F", help="write all figures to this file")
    parser.add_argument("--plots", type=Path, metavar="D", help="draw ROC and similarities here")
    parser.add_argument(
        "--results", type=Path, metavar="CSV", help="add one row for each set to this file"
    )
    parser.add_argument(
        "--no-check",
        dest="check",
        action="store_false",
        help="don't look at samples of the images, to warn of sets that look unaligned, and of "
        "another --input or --range that suits the model clearly better",
    )
    parser.add_argument("--label", help="what --results calls the model (default: MODEL)")
    return model_options.parse(parser, arguments)


def _warn_of_misuse(embedder, arguments: list[str], pair_sets: list) -> None:
    from tfface.data.pair_sets import FORMATS, find_format
    from tfface.evaluation.alignment_check import alignment_warning
    from tfface.evaluation.pixel_check import pixel_warning

    warnings = [pixel_warning(embedder, pair_sets[0])]
    for argument, pair_set in zip(arguments, pair_sets, strict=True):
        module, _ = find_format(argument)
        if module is not FORMATS["synthetic"]:
            what = (pair_set.images, pair_set.image_names, pair_set.name)
            warnings.append(alignment_warning(*what))
    for warning in filter(None, warnings):
        command.warn(warning)


def _check_names(names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"--pairs: two sets are called '{name}'; rename one with NAME=PATH")


if __name__ == "__main__":
    command.run(main)
