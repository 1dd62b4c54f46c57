"""From the scores of a model that was not made here to the probabilities of its classes."""

from typing import Literal

import numpy as np

from tfface.errors import InputError

ScoreKind = Literal["auto", "probabilities", "logits"]

# Sums of quantized probabilities miss 1 by so much.
_SUM_TOLERANCE = 0.05


class GivenScores:
    """Makes probabilities of scores, one for each class, or a single one for the second of two.

    Of logits it takes the softmax, or the sigmoid of a single one. Whether the scores are logits is
    told by the first batch, unless it is said: probabilities are from 0 to 1, and a row of them
    sums to 1.

    Args:
        model: what to call the model in an error.
        num_classes: how many classes it is said to have, at least two.
        kind: `probabilities`, `logits`, or `auto` for as said above.
    """

    def __init__(self, model: str, num_classes: int, kind: ScoreKind = "auto"):
        self._model = model
        self._num_classes = num_classes
        self._told = kind != "auto"
        self._are_probabilities = kind == "probabilities" if self._told else None

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Returns float32 [n, num_classes], rows that sum to 1; NaN where the scores hold NaN.

        Args:
            scores: float [n, num_classes], or [n, 1] where there are two classes.
        Raises InputError: another number of scores; or they are no probabilities, though the first
            ones were, or were said to be.
        """
        num_scores = scores.shape[1]
        single = num_scores == 1 and self._num_classes == 2
        if num_scores != self._num_classes and not single:
            raise InputError(
                f"{self._model}: the model gives {num_scores} scores for an image, but "
                f"{self._num_classes} classes are named"
            )
        known = scores[np.isfinite(scores).all(axis=1)]
        if self._are_probabilities is None:
            self._are_probabilities = _look_like_probabilities(known)
        elif self._are_probabilities and not _look_like_probabilities(known):
            told = "they were said to be" if self._told else "those of the first images are"
            raise InputError(
                f"{self._model}: the scores of some images are no probabilities (from 0 to 1, with "
                f"the sum 1), though {told}: use --score-type logits"
            )
        scores = scores.astype(np.float64)
        if not self._are_probabilities:
            # The sigmoid is the softmax of the score and 0.
            given = np.concatenate([np.zeros_like(scores), scores], axis=1) if single else scores
            exponents = np.exp(given - given.max(axis=1, keepdims=True))
        else:
            exponents = np.concatenate([1 - scores, scores], axis=1) if single else scores
        return (exponents / exponents.sum(axis=1, keepdims=True)).astype(np.float32)


def _look_like_probabilities(scores: np.ndarray) -> bool:
    inside = np.all((scores >= 0) & (scores <= 1 + 1e-6))
    return bool(
        inside
        and (scores.shape[1] == 1 or np.all(np.abs(scores.sum(axis=1) - 1) <= _SUM_TOLERANCE))
    )
