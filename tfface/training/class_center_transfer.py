"""Filling what a head has for each identity from another head, matched by the identities' names."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import keras
import numpy as np

from tfface.errors import shown
from tfface.heads import Head
from tfface.heads.linear import SigmoidHead, SoftmaxHead
from tfface.heads.margin_head import MarginHead
from tfface.training.distribution import fetch, put

# Of names that are told to the user.
_MOST_NAMED = 3
_SIGMOID = "the sigmoid unit"


class OfIdentities(NamedTuple):
    """What a head has for each identity.

    Attributes:
        kind: what that is, for messages; heads of one kind may fill each other.
        weights: each with the axis along which the identities are.
        num_rows: of each identity, along that axis.
    """

    kind: str
    weights: list[tuple[keras.Variable, int]]
    num_rows: int = 1


class Learned(NamedTuple):
    """The same of a trained head.

    Attributes:
        kind, num_rows: as above.
        names: of the identities; position = label.
        arrays: values of the weights, float [identities * num_rows, ...].
    """

    kind: str
    names: Sequence[str]
    arrays: Sequence[np.ndarray]
    num_rows: int = 1


def of_identities(head: Head) -> OfIdentities | None:
    """Returns what a head has for each identity; None where it has nothing."""
    if isinstance(head, MarginHead):
        return OfIdentities(
            "class centers", [(head.class_centers, 0)], num_rows=head.centers_per_identity
        )
    if isinstance(head, SoftmaxHead):
        return OfIdentities("classifier rows", [(head.dense.kernel, 1), (head.dense.bias, 0)])
    if isinstance(head, SigmoidHead):
        return OfIdentities(_SIGMOID, [(head.dense.kernel, 1), (head.dense.bias, 0)])
    return None


def misfit(here: OfIdentities, there: Learned) -> str:
    """Returns why the one can't be filled from the other, or ""."""
    if here.kind != there.kind:
        return f"the head there has {there.kind} instead"
    if here.num_rows != there.num_rows:
        return f"{there.num_rows} of each identity there and {here.num_rows} here"
    (variable, axis), array = here.weights[0], there.arrays[0]
    size_here = np.delete(variable.shape, axis)
    if tuple(size_here) != array.shape[1:]:
        return f"of embeddings of {array.shape[1]} there and of {size_here[0]} here"
    return ""


def fill_identities(
    here: OfIdentities, identities: Sequence[str], there: Learned
) -> tuple[str, list[str]]:
    """Fills what fits, for the identities that are there too.

    Args:
        identities: of the head here; position = label.
    Returns: what was filled, in a few words, or ""; and of whom nothing was taken, in lines.
    """
    if here.kind == _SIGMOID:
        # It is of both at once.
        if list(identities) != list(there.names):
            names = " from ".join(map(_quoted, reversed(there.names)))
            return "", [f"{here.kind}: it tells {names} there, and others here"]
        matched, words = _Matched([0], [0]), here.kind
    else:
        matched = _match(identities, there.names)
        words = f"{here.kind} of {len(matched.here):,} of {len(identities):,} identities by name"
        if matched.num_new:
            words += f" ({matched.num_new:,} new ones start at random)"
    rows_here, rows_there = (
        (np.array(labels, int)[:, None] * here.num_rows + np.arange(here.num_rows)).ravel()
        for labels in (matched.here, matched.there)
    )
    for (variable, axis), array in zip(here.weights, there.arrays, strict=True):
        value = np.array(fetch(variable))
        np.moveaxis(value, axis, 0)[rows_here] = array[rows_there]
        put(variable, value)
    return words, matched.skipped


@dataclass
class _Matched:
    """Which identities here are which there.

    Attributes:
        here, there: labels; each pair is one identity.
        num_new: identities here whose name nobody has there.
        skipped: what was not matched, in lines.
    """

    here: list[int]
    there: list[int]
    num_new: int = 0
    skipped: list[str] = field(default_factory=list)


def _match(here: Sequence[str], there: Sequence[str]) -> _Matched:
    labels_here, labels_there = _labels(here), _labels(there)
    names_here, names_there = set(here), set(there)
    matched = [name for name in labels_here if name in labels_there]
    skipped = []
    if unclear := sorted((names_here & names_there).difference(matched)):
        named = ", ".join(map(_quoted, unclear[:_MOST_NAMED]))
        more = f" and {len(unclear) - _MOST_NAMED:,} more" if len(unclear) > _MOST_NAMED else ""
        skipped.append(f"names that two identities have, there or here: {named}{more}")
    if gone := sum(name not in names_here for name in there):
        skipped.append(f"{gone:,} of {len(there):,} identities of there, who aren't here")
    return _Matched(
        [labels_here[name] for name in matched],
        [labels_there[name] for name in matched],
        sum(name not in names_there for name in here),
        skipped,
    )


def _labels(names: Sequence[str]) -> dict[str, int]:
    """Returns name -> label, of the names that only one identity has."""
    counts = Counter(names)
    return {name: label for label, name in enumerate(names) if counts[name] == 1}


def _quoted(name: str) -> str:
    return f"'{shown(name)}'"
