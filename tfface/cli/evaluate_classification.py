"""Classify images with a model: accuracy, precision and recall, confusion, calibration.

Example:
    tfface evaluate classification runs/scenes --data data/seg_test --report scenes.html

What is a model worth to people it has not seen? With photos at CLASS/PERSON/IMAGE.jpg in both the
training data and the test data:
    tfface evaluate classification runs/glasses --data data/glasses_test --person subfolder
"""

import argparse
from pathlib import Path

from tfface.cli import command, model_options, outputs
from tfface.errors import InputError, say, warn

# The attribute that says who is shown, where --person names no other.
PERSON = "person"


def main(arguments: list[str] | None = None) -> None:
    options = _parse(arguments)
    command.import_tensorflow_quietly()
    from tfface.data.sources.opening import open_source, source_paths
    from tfface.evaluation.classification import evaluate_classification
    from tfface.evaluation.classification_plots import plot_classification
    from tfface.reporting import classification_tables
    from tfface.reporting.html import write_report

    outputs.check(options, source_paths(options.data))
    classifier = model_options.load_classifier(options)
    source = open_source(options.data).source
    people, remark = _people(options, source)
    warnings = model_options.classification_warnings(options, classifier, source)
    for warning in warnings:
        warn(warning)

    result = evaluate_classification(classifier, source, group_by=options.group_by, people=people)
    figures = result.to_dict()
    say(classification_tables.to_text(figures))
    if remark:
        say(remark)
    outputs.write(
        options,
        figures,
        draw=lambda folder: plot_classification(result, source, folder),
        report=lambda path, **parts: write_report(
            path,
            "classification",
            metrics=figures,
            title=f"{classifier.name} on {source.name}",
            remarks=[*warnings, *([remark] if remark else [])],
            **parts,
        ),
        rows=classification_tables.result_rows(
            options.label or options.model, source.name, figures
        ),
    )


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = command.Parser(description=__doc__)
    model_options.add_classifier(parser)
    model_options.add_precision(parser)
    parser.add_argument(
        "--data",
        required=True,
        metavar="SOURCE",
        help="labeled images, a SOURCE as 'tfface convert' takes it (a folder with one folder for "
        "each class, a converted dataset, a .csv, ...), or with options as in a recipe, "
        "'{source: csv, path: P, identity_column: C}'. Its identities are the model's classes, by "
        "name",
    )
    parser.add_argument(
        "--group-by",
        metavar="ATTR",
        help="also show results for each value of this image attribute",
    )
    parser.add_argument(
        "--person",
        metavar="ATTR",
        help="the attribute with the person's name, to show results apart for people who were in "
        "training; subfolder for CLASS/PERSON/IMAGE.jpg (default: person, where the images have "
        "such an attribute)",
    )
    parser.add_argument(
        "--seen",
        metavar="SOURCE",
        help="the training images, with the same attribute (default: those of the run, without "
        "held-out ones)",
    )
    outputs.add(
        parser,
        pictures="confusion, reliability, groups and the most confident mistakes",
        picture_names="confusion|reliability|groups|most_wrong",
        json_lines=("{", '  "num_images": ', '  "num_classes": ', '  "accuracy": '),
        report_kind="classification",
    )
    return model_options.parse(parser, arguments)


def _people(options: argparse.Namespace, source):
    """Returns who was seen in training, or None, and a sentence about that, or ""."""
    attribute = options.person
    if attribute is None and PERSON in source.attribute_names:
        attribute = PERSON
    if attribute is None:
        known = ", ".join(source.attribute_names) or "none"
        if options.seen:
            raise InputError(
                f"--seen: say by --person which attribute tells who is shown; {source.name} has: "
                f"{known}"
            )
        if not source.attribute_names:
            return None, ""
        return None, (
            "People who were in training and others are not told apart. Where the classes are "
            "people, all were in training; else --person has to name the attribute that says who "
            f"is shown, of: {known}."
        )
    source.attribute(attribute)
    try:
        people = _seen(options, attribute)
    except InputError as error:
        if options.person is None and options.seen is None:
            return None, (
                "People who were in training and others are not told apart, as it isn't known who "
                f"was in training: {error}."
            )
        raise InputError(
            f"--person {attribute}: it isn't known who was in training: {error}"
        ) from error
    return people, (
        f"{len(people.names):,} people were seen in training, by the attribute '{attribute}' in "
        f"{people.where}."
    )


def _seen(options: argparse.Namespace, attribute: str):
    from tfface.data.sources.opening import open_source
    from tfface.evaluation.classification import seen_identities
    from tfface.training.training_identities import read_training_identities

    if options.seen is not None:
        return seen_identities(open_source(options.seen).source, attribute, where=options.seen)
    if not Path(options.model).is_dir():
        raise InputError(f"{options.model} is no run folder: give --seen SOURCE")
    try:
        return read_training_identities(Path(options.model), options.data_dir, attribute)
    except InputError as error:
        raise InputError(f"{error}; give --data-dir, or --seen SOURCE") from error
