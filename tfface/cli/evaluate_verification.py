"""Verify faces with a model: accuracy, TAR@FAR, EER and AUC on one or more pair sets.

Example:
    tfface evaluate verification runs/quickstart --pairs synthetic lfw=data/lfw/pairs.txt \\
        --json figures.json --report report.html

A recipe's file in place of a model means the network it starts from, the baseline of training:
    tfface evaluate verification my_recipe.yaml --pairs synthetic

Templates, as of IJB-B and IJB-C (meta/ and loose_crop/ in a folder), can stand beside pairs:
    tfface evaluate verification model.onnx --pairs lfw.bin --templates data/IJBC
"""

import argparse
from pathlib import Path

from tfface.cli import command, model_options, outputs
from tfface.errors import InputError, say, warn


def main(arguments: list[str] | None = None) -> None:
    options = _parse(arguments)
    if not options.pairs and not options.templates:
        raise InputError("nothing to evaluate on: give --pairs, --templates, or both")
    command.import_tensorflow_quietly()
    from tfface.data.pairs import check_names, find_format, load_pair_set, split_name
    from tfface.data.pairs.template_set import load_template_set
    from tfface.evaluation.verification import (
        check_pair_set,
        check_template_set,
        evaluate_templates,
        evaluate_verification,
    )
    from tfface.evaluation.verification_plots import plot_verification
    from tfface.reporting import verification_tables
    from tfface.reporting.html import write_report

    read = [find_format(given)[1] for given in options.pairs]
    read += [split_name(given)[1] for given in options.templates]
    outputs.check(options, map(Path, read))
    check_names([split_name(given)[0] for given in (*options.pairs, *options.templates)])
    embedder = model_options.load(options)
    pair_sets = [load_pair_set(pairs, images_dir=options.image_root) for pairs in options.pairs]
    template_sets = [
        load_template_set(Path(folder), name) for name, folder in map(split_name, options.templates)
    ]
    for pair_set in pair_sets:
        check_pair_set(pair_set)
    for template_set in template_sets:
        check_template_set(template_set)
    warnings = _warnings(options, embedder, pair_sets, template_sets) if options.check else []
    for warning in warnings:
        warn(warning)

    results = {pair_set.name: evaluate_verification(embedder, pair_set) for pair_set in pair_sets}
    for template_set in template_sets:
        results[template_set.name] = evaluate_templates(
            embedder, template_set, use_scores=options.quality_weights
        )
    figures = {name: result.to_dict() for name, result in results.items()}
    say(verification_tables.to_text(figures))
    outputs.write(
        options,
        {"sets": figures},
        draw=lambda folder: plot_verification(results, pair_sets, folder),
        report=lambda path, **parts: write_report(
            path,
            "verification",
            title=f"{embedder.name}: verification",
            sets=figures,
            warnings=warnings,
            **parts,
        ),
        rows=[
            verification_tables.result_row(options.label or options.model, name, of_set)
            for name, of_set in figures.items()
        ],
    )


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = command.Parser(description=__doc__)
    model_options.add(parser)
    model_options.add_check(parser)
    model_options.add_precision(parser)
    parser.add_argument(
        "--pairs",
        default=[],
        nargs="+",
        metavar="PAIRS",
        help="an InsightFace .bin, a list like LFW's pairs.txt, a .csv of pairs, a folder "
        "of bcolz, AdaFace or CVLface, or synthetic; NAME=PAIRS renames a set",
    )
    parser.add_argument(
        "--templates",
        default=[],
        nargs="+",
        metavar="DIR",
        help="a folder of templates as IJB-B and IJB-C are published; NAME=DIR renames a set",
    )
    parser.add_argument(
        "--no-quality-weights",
        dest="quality_weights",
        action="store_false",
        help="don't weigh images of templates by their detection scores",
    )
    parser.add_argument(
        "--image-root",
        type=command.path,
        metavar="DIR",
        help="images of a pairs.txt or a .csv (default: the folder images beside it; for X.csv, "
        "X_images if it exists)",
    )
    outputs.add(
        parser,
        pictures="ROC, similarities and the hardest pairs",
        picture_names=r"roc|(similarities|false_accepts|false_rejects)_.*",
        json_lines=("{", '  "sets": {', '    "', '      "num_pairs": ', '      "num_genuine": '),
        report_kind="verification",
    )
    return model_options.parse(parser, arguments)


def _warnings(
    options: argparse.Namespace, embedder, pair_sets: list, template_sets: list
) -> list[str]:
    """Returns what may be wrong with how the model is used, in lines."""
    from tfface.data.pairs import FORMATS, find_format
    from tfface.evaluation.sanity_checks import preprocessing_warning

    if options.model == "pixels":
        return []
    if pair_sets:
        images, names = pair_sets[0].images, pair_sets[0].image_names
    else:
        images, names = template_sets[0].images(), template_sets[0].image_names
    found = model_options.model_warnings(options, embedder, images, names)
    # Templates have no pairs of images that other pixels could be tried with.
    if pair_sets:
        found.append(preprocessing_warning(embedder, pair_sets[0]))
    to_align = [
        (pair_set.images, pair_set.image_names, pair_set.name)
        for argument, pair_set in zip(options.pairs, pair_sets, strict=True)
        if find_format(argument)[0] is not FORMATS["synthetic"]
    ]
    sets = [(pair_set.images, pair_set.name) for pair_set in pair_sets]
    for template_set in template_sets:
        images = template_set.images()
        sets.append((images, template_set.name))
        # By landmarks, faces are aligned here.
        if template_set.landmarks is None:
            to_align.append((images, template_set.image_names, template_set.name))
    found += model_options.alignment_warnings(options, to_align)
    return [
        *(warning for warning in found if warning),
        *model_options.training_images_warnings(options, sets),
    ]
