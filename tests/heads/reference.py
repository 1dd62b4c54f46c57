"""Compares heads with formulas in float64, in value and gradient."""

from collections.abc import Callable

import numpy as np
from keras import ops
from scipy.special import log_softmax

from tests.contracts.gradients import gradient
from tfface.heads import MarginSoftmax

CENTERS = np.array([[1.0, 0.2, 0.0], [0.0, 2.0, 1.0], [-3.0, 0.5, 1.0], [0.3, -0.4, 0.5]])
EMBEDDINGS = np.array(
    [[9.0, 4.0, -3.0], [2.0, -1.0, 30.0], [-1.0, -1.5, 0.2], [40.0, 9.0, 1.0], [-7.0, 3.0, 12.0]]
)
LABELS = np.array([0, 3, 0, 0, 2], "int32")


def with_centers(head: MarginSoftmax, centers: np.ndarray = CENTERS) -> MarginSoftmax:
    head.build((None, centers.shape[1]))
    head.class_centers.assign(centers)
    return head


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def cross_entropy(logits: np.ndarray, label: int) -> float:
    return -float(log_softmax(logits)[label])


def central_differences(function: Callable[[np.ndarray], float], point: np.ndarray) -> np.ndarray:
    """Returns d function / d point, in float64."""
    result = np.zeros(point.shape)
    for index in np.ndindex(point.shape):
        step = np.zeros(point.shape)
        step[index] = 1e-6 * max(1.0, abs(point[index]))
        result[index] = (function(point + step) - function(point - step)) / (2 * step[index])
    return result


def check(
    head: MarginSoftmax,
    loss: Callable[[np.ndarray, int, float, float], float],
    embeddings: np.ndarray = EMBEDDINGS,
    labels: np.ndarray = LABELS,
    centers: np.ndarray = CENTERS,
) -> None:
    """Compares the losses of a head, and their gradients, with a formula.

    Args:
        loss: (cosines [num_centers], label, norm of the embedding, the same as a constant, for what
            has no gradient) -> the loss of an example.
    """

    def example(embedding: np.ndarray, label: int, constant: float) -> float:
        cosines = unit(centers) @ unit(embedding)
        return loss(cosines, label, float(np.linalg.norm(embedding)), constant)

    norms = np.linalg.norm(embeddings, axis=1)
    examples = list(zip(embeddings, labels, norms, strict=True))
    single = embeddings.astype("float32")
    losses = ops.convert_to_numpy(head.losses_and_correct(single, labels)[0])
    np.testing.assert_allclose(losses, [example(*e) for e in examples], rtol=2e-5, atol=1e-5)
    gradients = gradient(lambda x: ops.sum(head.losses_and_correct(x, labels)[0]), single)
    golden = [central_differences(lambda x, e=e: example(x, *e[1:]), e[0]) for e in examples]
    np.testing.assert_allclose(gradients, golden, rtol=1e-3, atol=1e-5)
