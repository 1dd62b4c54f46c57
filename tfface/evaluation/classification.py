"""Evaluates a classifier on labeled images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tfface.data.sources.image_source import ImageSource, SourceFilenames, SourceImages
from tfface.errors import InputError
from tfface.evaluation.classifier import Classifier, check_distinct_names
from tfface.images.decoding import decode_batches
from tfface.metrics.classification import (
    ClassificationResult,
    ClassMetrics,
    Predictions,
    SummaryMetrics,
    class_metrics,
    classification,
    summary_metrics,
)
from tfface.names import natural_key
from tfface.paths import printable
from tfface.progress import progress
from tfface.reporting import classification_tables
from tfface.reporting.html import notebook_html

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The name of an empty attribute value.
NOT_GIVEN = "(not given)"
_MAX_WRONG = 40
_MAX_NAMED = 5


@dataclass(frozen=True)
class SeenIdentities:
    """The people in a model's training images.

    Attributes:
        attribute: the attribute of images that names the person. It alone identifies people, so the
            same name in another class is the same person.
        names: its values in training.
        where: the training images, for messages.
    """

    attribute: str
    names: frozenset[str]
    where: str


def seen_identities(
    source: ImageSource, attribute: str, indices: np.ndarray | None = None, *, where: str
) -> SeenIdentities:
    """Returns the people in the images of a source.

    Args:
        source: the training images.
        attribute: the attribute of images that names the person.
        indices: int [n], the images to consider; None for all.
        where: the name of the images for messages.

    Returns:
        The people.

    Raises:
        InputError: the source has no such attribute, or it is empty for all images.
    """
    try:
        values = source.attribute(attribute)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    names = frozenset(values if indices is None else values[indices]) - {""}
    if not names:
        raise InputError(f"{where}: the attribute '{attribute}' is empty for all of its images")
    return SeenIdentities(attribute, names, where)


@dataclass(frozen=True)
class SubsetMetrics:
    """Metrics of some images, split by whether their people were in the training set.

    Attributes:
        summary: of all these images.
        num_people: distinct people; None if no image's person is known.
        seen, unseen: of images of people who were, and were not, in the training set; None if
            there are none, or nobody is known.
        unknown: of images whose person is not known; None if there are none.
    """

    summary: SummaryMetrics
    num_people: int | None = None
    seen: "SubsetMetrics | None" = None
    unseen: "SubsetMetrics | None" = None
    unknown: "SubsetMetrics | None" = None

    def to_dict(self) -> dict:
        """Returns the metrics in the format of `tfface evaluate classification --json`."""
        parts = {"seen": self.seen, "unseen": self.unseen, "unknown": self.unknown}
        return {
            **self.summary.to_dict(),
            "num_people": self.num_people,
            **{name: _summary_only(part) for name, part in parts.items()},
        }


@dataclass(frozen=True, repr=False)
class Classification:
    """The result of `evaluate_classification`, with the data for plots.

    Attributes:
        result: metrics of all images.
        overall: the same, split by whether people were seen in training.
        group_by: the attribute whose values are the groups; None for no groups.
        groups: value -> metrics of its images, sorted by value.
        people: the people in the training images; None if they are not known.
        class_metrics: metrics of each class for people who were seen and for those who weren't;
            None if they are not known.
        most_wrong: int64 [n], the wrong predictions with the highest confidence, in descending
            order; at most 40.
        filenames: of `most_wrong`.
    """

    result: ClassificationResult
    overall: SubsetMetrics
    group_by: str | None
    groups: dict[str, SubsetMetrics]
    people: SeenIdentities | None
    class_metrics: tuple[ClassMetrics, ClassMetrics] | None
    most_wrong: np.ndarray
    filenames: list[str]

    def to_dict(self) -> dict:
        """Returns the metrics in the format of `tfface evaluate classification --json`."""
        predictions, classes, people = self.result.predictions, self.result.classes, self.people
        metrics = self.overall.to_dict() | self.result.to_dict()
        if self.class_metrics is not None:
            for label, name in enumerate(classes):
                seen, unseen = (_recall(part, label) for part in self.class_metrics)
                metrics["per_class"][name] |= {"seen": seen, "unseen": unseen}
        return {
            **metrics,
            "group_by": self.group_by,
            "groups": {value: part.to_dict() for value, part in self.groups.items()},
            "people": people
            and {
                "attribute": people.attribute,
                "seen_in": people.where,
                "num_in_training": len(people.names),
            },
            "most_wrong": [
                {
                    "image": name,
                    "label": classes[predictions.label[image]],
                    "predicted": classes[predictions.predicted[image]],
                    "confidence": float(predictions.confidence[image]),
                }
                for image, name in zip(self.most_wrong.tolist(), self.filenames, strict=True)
            ],
        }

    def plot(self) -> "Figure":
        """Returns a matplotlib figure: the confusion matrix."""
        # That module draws what this one defines.
        from tfface.evaluation.classification_plots import confusion_figure

        predictions = self.result.predictions
        return confusion_figure(predictions.label, predictions.predicted, self.result.classes)

    def __repr__(self) -> str:
        return classification_tables.to_text(self.to_dict())

    def _repr_html_(self) -> str:
        metrics = self.to_dict()
        tables = [
            classification_tables.summary_table(metrics),
            classification_tables.class_table(metrics),
        ]
        return notebook_html(tables, classification_tables.sentences(metrics))


def evaluate_classification(
    classifier: Classifier,
    source: ImageSource,
    *,
    group_by: str | None = None,
    people: SeenIdentities | None = None,
) -> Classification:
    """Classifies every image of a source and returns metrics.

    Images of another size are resized to the classifier's. Identities of the source are matched to
    classes by name; the source may lack some of the classes.

    Args:
        classifier: the model, as `load_classifier` returns it.
        source: the labeled images.
        group_by: an attribute of the source's images; metrics are also computed for each value.
        people: the people in the training images; the source must have the attribute it names.

    Returns:
        The metrics and the data for plots.

    Raises:
        InputError: an identity is not a class, an attribute does not exist, an image can't be
            decoded, or the model returns NaN.

    Example:
        >>> from tfface.data.sources.synthetic import SyntheticSource
        >>> from tfface.evaluation.embedders.embedder import load_embedder
        >>> source = SyntheticSource(num_identities=2, images_per_identity=2, size=32)
        >>> def first_class(embeddings):
        ...     return np.tile(np.float32([0.9, 0.1]), (len(embeddings), 1))
        >>> classifier = Classifier(load_embedder("pixels"), first_class, ["000000", "000001"])
        >>> evaluate_classification(classifier, source).result.summary.accuracy
        0.5
    """
    labels = match_classes(source, classifier.classes)
    group_values = None if group_by is None else source.attribute(group_by)
    shown = None if people is None else _people_in_images(source, people)
    predictions = predict(classifier, source, labels)
    num_classes = len(classifier.classes)

    groups = {}
    if group_values is not None:
        for value in sorted(set(group_values), key=natural_key):
            rows = group_values == value
            groups[printable(value) or NOT_GIVEN] = _subset_metrics(
                predictions, num_classes, shown, rows
            )
    most_wrong = _most_wrong(predictions)
    return Classification(
        result=classification(predictions, [printable(name) for name in classifier.classes]),
        overall=_subset_metrics(predictions, num_classes, shown, np.ones(len(predictions), bool)),
        group_by=group_by,
        groups=groups,
        people=people,
        class_metrics=None
        if shown is None
        else tuple(
            class_metrics(predictions.take(rows), num_classes)
            for rows in (shown.seen, shown.unseen)
        ),
        most_wrong=most_wrong,
        filenames=[printable(source.filename(image)) for image in most_wrong.tolist()],
    )


def predict(classifier: Classifier, source: ImageSource, labels: np.ndarray) -> Predictions:
    """Classifies every image of a source, with a progress bar.

    Args:
        classifier: the model.
        source: the images.
        labels: int [num_images], as `match_classes` returns them.

    Returns:
        The predictions.

    Raises:
        InputError: an image can't be decoded, or the model returns NaN.
    """
    indices = np.arange(source.num_images)
    names = SourceFilenames(source, indices)
    batches = decode_batches(
        SourceImages(source, indices), names, classifier.image_size, classifier.batch_size
    )
    predictions, start = [], 0
    with progress(total=len(indices), description="classifying", unit="images") as bar:
        for images in batches:
            rows = indices[start : start + len(images)]
            predictions.append(
                Predictions.from_probabilities(
                    classifier.scores(images), labels[rows], SourceFilenames(source, rows)
                )
            )
            start += len(images)
            bar.update(len(images))
    return Predictions.concatenate(predictions)


def match_classes(source: ImageSource, classes: Sequence[str]) -> np.ndarray:
    """Returns the class of each image of a source, matched by the name of its identity.

    Args:
        source: the images.
        classes: names; position = label.

    Returns:
        int64 [num_images].

    Raises:
        InputError: an identity is not a class, or two have the same name.
    """
    names = [identity.name for identity in source.identities]
    check_distinct_names(names, f"{source.name}: two identities")
    label_of = {name: label for label, name in enumerate(classes)}
    unknown = [name for name in names if name not in label_of]
    if unknown:
        more = len(unknown) - _MAX_NAMED
        raise InputError(
            f"{source.name}: has classes that the model doesn't know: "
            f"{_listed(unknown)}{f' and {more} more' if more > 0 else ''}; it knows "
            f"{_listed(classes)}"
            + (f", ... ({len(label_of):,} in all)" if len(label_of) > _MAX_NAMED else "")
        )
    return np.array([label_of[name] for name in names], np.int64)[source.labels]


@dataclass(frozen=True)
class _People:
    """The person in each image: names, object [num_images], and bool [num_images] each."""

    names: np.ndarray
    seen: np.ndarray
    unseen: np.ndarray
    unknown: np.ndarray

    def count(self, rows: np.ndarray) -> int:
        return len(set(self.names[rows]) - {""})


def _people_in_images(source: ImageSource, people: SeenIdentities) -> _People:
    names = source.attribute(people.attribute)
    unknown = names == ""
    seen = np.array([name in people.names for name in names], bool)
    return _People(names, seen, ~seen & ~unknown, unknown)


def _subset_metrics(
    predictions: Predictions, num_classes: int, shown: _People | None, rows: np.ndarray
) -> SubsetMetrics:
    """Returns the metrics of some images, bool [num_images], at least one."""
    summary = summary_metrics(predictions.take(rows), num_classes)
    if shown is None:
        return SubsetMetrics(summary)

    def part(wanted: np.ndarray) -> SubsetMetrics | None:
        wanted = wanted & rows
        if not wanted.any():
            return None
        return SubsetMetrics(
            summary_metrics(predictions.take(wanted), num_classes), shown.count(wanted)
        )

    return SubsetMetrics(
        summary, shown.count(rows), part(shown.seen), part(shown.unseen), part(shown.unknown)
    )


def _recall(metrics: ClassMetrics, label: int) -> dict:
    support = int(metrics.support[label])
    return {"support": support, "recall": float(metrics.recall[label]) if support else None}


def _summary_only(part: SubsetMetrics | None) -> dict | None:
    return part and {**part.summary.to_dict(), "num_people": part.num_people}


def _most_wrong(predictions: Predictions) -> np.ndarray:
    wrong = np.flatnonzero(~predictions.is_correct)
    return wrong[np.argsort(-predictions.confidence[wrong], kind="stable")][:_MAX_WRONG]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(printable, names[:_MAX_NAMED]))
