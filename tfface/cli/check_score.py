"""Print the score of a classifier or of its predictions: the share of images that are right.

Example:
    tfface check-score runs/competition --data data/competition_test
    tfface check-score predictions.csv --data data/competition_test

prints one line:
    top-1: 0.8533 (512 of 600 images); balanced accuracy 0.8410, largest class 0.2017

The first is the score. The others tell what it is worth: the mean over the classes of how many of
each are right, and what always saying the most frequent class would reach. Images that the run was
trained on are warned of.

predictions.csv has a line for each image under a line with the columns' names: `path` (or
`filename`), below the data's folder, and `label`, the name of the predicted class.
"""

import argparse
from pathlib import Path

from tfface.cli import command, model_options
from tfface.errors import InputError, say, warn


def main(arguments: list[str] | None = None) -> None:
    options = _parse(arguments)
    command.import_tensorflow_quietly()
    from tfface.data.sources.opening import open_source
    from tfface.evaluation.classification import match_classes, predict
    from tfface.evaluation.predictions import read_predictions
    from tfface.metrics.classification import score

    if Path(options.model).suffix.lower() == ".csv":
        if options.classes is not None:
            raise InputError("--classes belongs to a model, and MODEL is a list of predictions")
        source = open_source(options.data).source
        labels, is_correct = source.labels, read_predictions(Path(options.model), source)
    else:
        classifier = model_options.load_classifier(options)
        source = open_source(options.data).source
        labels = match_classes(source, classifier.classes)
        is_correct = predict(classifier, source, labels).is_correct
        for line in model_options.classification_warnings(options, classifier, source):
            warn(line)
    found = score(labels, is_correct)
    say(
        f"top-1: {found.accuracy:.4f} ({is_correct.sum():,} of {len(is_correct):,} images); "
        f"balanced accuracy {found.balanced:.4f}, largest class {found.majority_share:.4f}"
    )


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = command.Parser(description=__doc__)
    model_options.add_classifier(parser, more="; or a .csv file of predictions")
    parser.add_argument(
        "--data",
        required=True,
        metavar="SOURCE",
        help="labeled images, a SOURCE as 'tfface convert' takes it",
    )
    return model_options.parse(parser, arguments, "model or list of predictions")
