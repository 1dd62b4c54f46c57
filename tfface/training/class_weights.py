"""The weights that a head has for each identity, and their way to another head, by name."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import keras
import numpy as np

from tfface.errors import shown
from tfface.heads import Head, MarginSoftmax
from tfface.heads.linear import SigmoidHead, SoftmaxHead
from tfface.training.distribution import fetch, put

# Of identities in a message.
_MOST_NAMED = 3
_SIGMOID = "the sigmoid unit"


class ClassWeights(NamedTuple):
    """The weights a head has for each identity.

    Attributes:
        kind: what they are, for messages; only heads of one kind match.
        weights: each with the axis along which the identities are.
        num_rows: rows of each identity, along that axis.
    """

    kind: str
    weights: list[tuple[keras.Variable, int]]
    num_rows: int = 1


class TrainedClassWeights(NamedTuple):
    """Those of a trained head.

    Attributes:
        kind, num_rows: as in ClassWeights.
        names: of the identities; position = label.
        arrays: values of the weights, float [identities * num_rows, ...].
    """

    kind: str
    names: Sequence[str]
    arrays: Sequence[np.ndarray]
    num_rows: int = 1


def class_weights(head: Head) -> ClassWeights | None:
    """Returns the weights a head has for each identity; None if it has none."""
    if isinstance(head, MarginSoftmax):
        return ClassWeights(
            "class centers", [(head.class_centers, 0)], num_rows=head.centers.centers_per_class
        )
    if isinstance(head, SoftmaxHead):
        return ClassWeights("classifier rows", [(head.dense.kernel, 1), (head.dense.bias, 0)])
    if isinstance(head, SigmoidHead):
        return ClassWeights(_SIGMOID, [(head.dense.kernel, 1), (head.dense.bias, 0)])
    return None


def mismatch_reason(target: ClassWeights, source: TrainedClassWeights) -> str:
    """Returns why class weights can't be transferred, or ""."""
    if target.kind != source.kind:
        return f"the source has {source.kind} instead"
    if target.num_rows != source.num_rows:
        return f"{source.num_rows} of each identity in the source and {target.num_rows} here"
    (variable, axis), array = target.weights[0], source.arrays[0]
    target_size = np.delete(variable.shape, axis)
    if tuple(target_size) != array.shape[1:]:
        return f"of embeddings of {array.shape[1]} in the source and of {target_size[0]} here"
    return ""


def transfer_class_weights(
    target: ClassWeights, identities: Sequence[str], source: TrainedClassWeights
) -> tuple[str, list[str]]:
    """Transfers the class weights of the identities that both heads know.

    Args:
        target: of the head to initialize.
        identities: its identities; position = label.
        source: of the trained head.

    Returns:
        What was transferred, in a few words, or ""; and what was skipped, in lines.
    """
    if target.kind == _SIGMOID:
        # It is of both at once.
        if list(identities) != list(source.names):
            names = " from ".join(map(_quoted, reversed(source.names)))
            return "", [
                f"{target.kind}: it distinguishes {names} in the source, and others in this model"
            ]
        matched, words = _Matched([0], [0]), target.kind
    else:
        matched = _match(identities, source.names)
        words = (
            f"{target.kind} of {len(matched.target):,} of {len(identities):,} identities by name"
        )
        if matched.num_new:
            words += f" ({matched.num_new:,} new ones start at random)"
    target_rows, source_rows = (
        (np.array(labels, int)[:, None] * target.num_rows + np.arange(target.num_rows)).ravel()
        for labels in (matched.target, matched.source)
    )
    for (variable, axis), array in zip(target.weights, source.arrays, strict=True):
        value = np.array(fetch(variable))
        np.moveaxis(value, axis, 0)[target_rows] = array[source_rows]
        put(variable, value)
    return words, matched.skipped


@dataclass
class _Matched:
    """Identities of the target and of the source that have one name.

    Attributes:
        target, source: labels; each pair is one identity.
        num_new: identities of the target that the source doesn't have.
        skipped: what was not matched, in lines.
    """

    target: list[int]
    source: list[int]
    num_new: int = 0
    skipped: list[str] = field(default_factory=list)


def _match(target: Sequence[str], source: Sequence[str]) -> _Matched:
    target_labels, source_labels = _labels(target), _labels(source)
    target_names, source_names = set(target), set(source)
    matched = [name for name in target_labels if name in source_labels]
    skipped = []
    if unclear := sorted((target_names & source_names).difference(matched)):
        named = ", ".join(map(_quoted, unclear[:_MOST_NAMED]))
        more = f" and {len(unclear) - _MOST_NAMED:,} more" if len(unclear) > _MOST_NAMED else ""
        skipped.append(f"names of two identities, in the source or in this model: {named}{more}")
    if gone := sum(name not in target_names for name in source):
        skipped.append(
            f"{gone:,} of {len(source):,} identities of the source, which aren't in this model"
        )
    return _Matched(
        [target_labels[name] for name in matched],
        [source_labels[name] for name in matched],
        sum(name not in source_names for name in target),
        skipped,
    )


def _labels(names: Sequence[str]) -> dict[str, int]:
    """Returns name -> label, of the names that only one identity has."""
    counts = Counter(names)
    return {name: label for label, name in enumerate(names) if counts[name] == 1}


def _quoted(name: str) -> str:
    return f"'{shown(name)}'"
