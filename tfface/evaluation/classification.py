"""Classification of a classifier on a source: from images to figures."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tfface.data.sources.image_source import ImageSource, SourceFilenames, SourceImages
from tfface.errors import InputError
from tfface.evaluation.classifier import Classifier, check_distinct
from tfface.files import printable
from tfface.images.decoding import decode_batches
from tfface.metrics.classification import (
    ClassificationResult,
    ClassMetrics,
    SummaryMetrics,
    class_metrics,
    classification,
    summary_metrics,
)
from tfface.metrics.predictions import Predictions
from tfface.progress import progress


@dataclass(frozen=True)
class SeenIdentities:
    """The people that a model was trained on.

    Attributes:
        attribute: of images, the one that says who is shown. People are told apart by it alone, so
            one of the same name in another class is the same person.
        names: its values in training.
        where: what was looked at to find them.
    """

    attribute: str
    names: frozenset[str]
    where: str


def seen_identities(
    source: ImageSource, attribute: str, indices: np.ndarray | None = None, *, where: str
) -> SeenIdentities:
    """Returns who is in the images of a source, or in some of them.

    Args:
        indices: int [n]; None for all images.

    Raises:
        InputError: the source has no such attribute, or it is known of no image.
    """
    try:
        values = source.attribute(attribute)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    names = frozenset(values if indices is None else values[indices]) - {""}
    if not names:
        raise InputError(f"{where}: the attribute '{attribute}' is known of none of its images")
    return SeenIdentities(attribute, names, where)


# What an empty value of an attribute is called.
NOT_GIVEN = "(not given)"
_MOST_WRONG = 40
_MOST_NAMED = 5


@dataclass(frozen=True)
class Part:
    """The figures of some images, and of the people among them who were seen in training or not.

    Attributes:
        num_people: who are shown; None where that isn't known of any image.
        seen, unseen: of images of people who were, and who weren't, in training; None where there
            are none, or where nobody is known.
        unknown: of images of which it isn't known who is shown; None where there are none.
    """

    summary: SummaryMetrics
    num_people: int | None = None
    seen: "Part | None" = None
    unseen: "Part | None" = None
    unknown: "Part | None" = None

    def to_json(self) -> dict:
        """Returns the figures as `eval_classification --json` writes them."""
        parts = {"seen": self.seen, "unseen": self.unseen, "unknown": self.unknown}
        return {
            **self.summary.to_dict(),
            "num_people": self.num_people,
            **{name: _figures_alone(part) for name, part in parts.items()},
        }


@dataclass(frozen=True)
class Classification:
    """All figures of a classifier on a source.

    Attributes:
        result: of all images together.
        whole: the same, parted by people.
        group_by: the attribute whose values the groups are; None for no groups.
        groups: value -> figures of its images, sorted by value.
        people: who was seen in training; None where that isn't known.
        of_class: the figures of each class on people who were seen, and on those who weren't; None
            where that isn't known.
        most_wrong: int64 [n], the images that were wrong with the highest confidence, highest
            first; 40 at most.
        filenames: of `most_wrong`.
    """

    result: ClassificationResult
    whole: Part
    group_by: str | None
    groups: dict[str, Part]
    people: SeenIdentities | None
    of_class: tuple[ClassMetrics, ClassMetrics] | None = field(repr=False)
    most_wrong: np.ndarray = field(repr=False)
    filenames: list[str] = field(repr=False)

    def to_json(self) -> dict:
        """Returns the figures as `eval_classification --json` writes them."""
        answers, classes, people = self.result.predictions, self.result.classes, self.people
        figures = self.whole.to_json() | self.result.to_dict()
        if self.of_class is not None:
            for label, name in enumerate(classes):
                seen, unseen = (_recalls(part, label) for part in self.of_class)
                figures["per_class"][name] |= {"seen": seen, "unseen": unseen}
        return {
            **figures,
            "group_by": self.group_by,
            "groups": {value: part.to_json() for value, part in self.groups.items()},
            "people": people
            and {
                "attribute": people.attribute,
                "seen_in": people.where,
                "num_in_training": len(people.names),
            },
            "most_wrong": [
                {
                    "image": name,
                    "label": classes[answers.label[image]],
                    "predicted": classes[answers.predicted[image]],
                    "confidence": float(answers.confidence[image]),
                }
                for image, name in zip(self.most_wrong.tolist(), self.filenames, strict=True)
            ],
        }


def evaluate_classification(
    classifier: Classifier,
    source: ImageSource,
    *,
    group_by: str | None = None,
    people: SeenIdentities | None = None,
) -> Classification:
    """Classifies every image of a source and returns the figures.

    Images of another size than the classifier's are resized to it. The source's identities are the
    classifier's classes, by name; they needn't be all of them.

    Args:
        group_by: an attribute of the source's images; its values are groups with figures of their
            own.
        people: who was seen in training; the source must have the attribute that it names.

    Raises:
        InputError: an identity that is no class, no such attribute, an image that can't be decoded,
            or a model that gives NaN.
    """
    labels = match_classes(source, classifier.classes)
    of_group = None if group_by is None else source.attribute(group_by)
    shown = None if people is None else _who_is_shown(source, people)
    answers = predict(classifier, source, labels)
    num_classes = len(classifier.classes)

    groups = {}
    if of_group is not None:
        for value in sorted(set(of_group), key=_by_numbers):
            rows = of_group == value
            groups[printable(value) or NOT_GIVEN] = _part(answers, num_classes, shown, rows)
    most_wrong = _most_wrong(answers)
    return Classification(
        result=classification(answers, [printable(name) for name in classifier.classes]),
        whole=_part(answers, num_classes, shown, np.ones(len(answers), bool)),
        group_by=group_by,
        groups=groups,
        people=people,
        of_class=None
        if shown is None
        else tuple(
            class_metrics(answers.take(rows), num_classes) for rows in (shown.seen, shown.unseen)
        ),
        most_wrong=most_wrong,
        filenames=[printable(source.filename(image)) for image in most_wrong.tolist()],
    )


def predict(classifier: Classifier, source: ImageSource, labels: np.ndarray) -> Predictions:
    """Classifies every image of a source, with a progress bar.

    Args:
        labels: int [num_images], as `match_classes` returns them.

    Raises:
        InputError: an image can't be decoded, or a model gives NaN.
    """
    indices = np.arange(source.num_images)
    names = SourceFilenames(source, indices)
    batches = decode_batches(
        SourceImages(source, indices), names, classifier.image_size, classifier.batch_size
    )
    answers, start = [], 0
    with progress(total=len(indices), description="classifying", unit="images") as bar:
        for images in batches:
            rows = indices[start : start + len(images)]
            probabilities = classifier.scores(images)
            answers.append(
                Predictions.from_probabilities(
                    probabilities, labels[rows], SourceFilenames(source, rows)
                )
            )
            start += len(images)
            bar.update(len(images))
    return Predictions.concatenate(answers)


def match_classes(source: ImageSource, classes: Sequence[str]) -> np.ndarray:
    """Returns the label of each image of a source among classes, by the names of its identities.

    Raises:
        InputError: it has an identity that is none of the classes, or two of one name.
    """
    names = [identity.name for identity in source.identities]
    check_distinct(names, f"{source.name}: two identities")
    places = {name: place for place, name in enumerate(classes)}
    unknown = [name for name in names if name not in places]
    if unknown:
        more = len(unknown) - _MOST_NAMED
        raise InputError(
            f"{source.name}: has classes that the model doesn't know: "
            f"{_listed(unknown)}{f' and {more} more' if more > 0 else ''}; it knows "
            f"{_listed(classes)}"
            + (f", ... ({len(places):,} in all)" if len(places) > _MOST_NAMED else "")
        )
    return np.array([places[name] for name in names], np.int64)[source.labels]


@dataclass(frozen=True)
class _Shown:
    """Who is in each image: names, object [num_images], and bool [num_images] each."""

    names: np.ndarray
    seen: np.ndarray
    unseen: np.ndarray
    unknown: np.ndarray


def _who_is_shown(source: ImageSource, people: SeenIdentities) -> _Shown:
    names = source.attribute(people.attribute)
    unknown = names == ""
    seen = np.array([name in people.names for name in names], bool)
    return _Shown(names, seen, ~seen & ~unknown, unknown)


def _part(answers: Predictions, num_classes: int, shown: _Shown | None, rows: np.ndarray) -> Part:
    """Returns the figures of some images, bool [num_images], at least one."""
    whole = summary_metrics(answers.take(rows), num_classes)
    if shown is None:
        return Part(whole)

    def of(wanted: np.ndarray) -> Part | None:
        wanted = wanted & rows
        if not wanted.any():
            return None
        return Part(summary_metrics(answers.take(wanted), num_classes), _num_people(shown, wanted))

    return Part(
        whole, _num_people(shown, rows), of(shown.seen), of(shown.unseen), of(shown.unknown)
    )


def _num_people(shown: _Shown, rows: np.ndarray) -> int:
    return len(set(shown.names[rows]) - {""})


def _recalls(figures: ClassMetrics, label: int) -> dict:
    support = int(figures.support[label])
    return {"support": support, "recall": float(figures.recall[label]) if support else None}


def _figures_alone(part: Part | None) -> dict | None:
    return part and {**part.summary.to_dict(), "num_people": part.num_people}


def _most_wrong(answers: Predictions) -> np.ndarray:
    wrong = np.flatnonzero(~answers.is_correct)
    return wrong[np.argsort(-answers.confidence[wrong], kind="stable")][:_MOST_WRONG]


def _by_numbers(text: str) -> list:
    """A key that sorts L2 before L10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"([0-9]+)", text)]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(printable, names[:_MOST_NAMED]))
