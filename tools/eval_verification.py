"""Verify faces with a model: accuracy, TAR@FAR, EER and AUC on one or more pair sets.

Example:
    python tools/eval_verification.py runs/quickstart --pairs synthetic lfw=data/lfw/pairs.txt \\
        --json figures.json --plots plots/
"""

import argparse
import json
from pathlib import Path

import command
from tfface.errors import InputError


def main(arguments: list[str] | None = None) -> None:
    options = _parse(arguments)
    command.import_tensorflow_quietly()
    from tfface.data.pair_sets import load_pair_set
    from tfface.evaluation.embedder import load_embedder
    from tfface.evaluation.verification import check_pair_set, draw_verification, verify
    from tfface.files import replacing
    from tfface.report.verification_table import as_text

    embedder = load_embedder(options.model, batch_size=options.batch_size)
    pair_sets = [load_pair_set(pairs, images_dir=options.images) for pairs in options.pairs]
    _check_names([pair_set.name for pair_set in pair_sets])
    for pair_set in pair_sets:
        check_pair_set(pair_set)

    results = {pair_set.name: verify(embedder, pair_set) for pair_set in pair_sets}
    figures = {name: result.to_json() for name, result in results.items()}
    print(as_text(figures))
    if options.json:
        with replacing(options.json) as temporary:
            temporary.write_text(json.dumps({"sets": figures}, indent=2) + "\n", encoding="utf-8")
        print(f"figures: {options.json}")
    if options.plots:
        draw_verification(results, options.plots)
        print(f"plots: {options.plots}")


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "model", metavar="MODEL", help="a run folder, a .keras file, or pixels (the baseline)"
    )
    parser.add_argument(
        "--pairs",
        required=True,
        nargs="+",
        metavar="P",
        help="an InsightFace .bin, a list like LFW's pairs.txt, or synthetic; NAME=P renames a set",
    )
    parser.add_argument(
        "--images",
        type=Path,
        metavar="DIR",
        help="images of a pairs.txt (default: the folder images beside it)",
    )
    parser.add_argument("--json", type=Path, metavar="F", help="write all figures to this file")
    parser.add_argument("--plots", type=Path, metavar="D", help="draw ROC and similarities here")
    parser.add_argument(
        "--batch-size",
        type=_positive,
        default=64,
        metavar="N",
        help="images at a time (default 64)",
    )
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got '{text}'")
    return int(text)


def _check_names(names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"--pairs: two sets are called '{name}'; rename one with NAME=PATH")


if __name__ == "__main__":
    command.run(main)
