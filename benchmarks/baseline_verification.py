"""The baseline of verification.py: the metrics as they are usually written, with plain loops.

The results equal those of `tfface.metrics`; time and memory differ.
"""

from pathlib import Path

import numpy as np

from tfface.metrics.roc import auc, eer, roc, tar_at_far
from tfface.metrics.verification import FARS

_CHUNK = 100_000


def fold_accuracies(
    embeddings: np.ndarray, first: np.ndarray, second: np.ndarray, is_genuine: np.ndarray
) -> list[float]:
    """Returns the accuracy of ten folds, each at the best threshold of the other nine."""
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    distance = np.sum(np.square(unit[first] - unit[second]), axis=1)
    thresholds = np.arange(0, 4, 0.01)
    accuracies = []
    for test in np.array_split(np.arange(len(distance)), 10):
        train = np.setdiff1d(np.arange(len(distance)), test)
        train_accuracies = [np.mean((distance[train] < t) == is_genuine[train]) for t in thresholds]
        best = thresholds[np.argmax(train_accuracies)]
        accuracies.append(float(np.mean((distance[test] < best) == is_genuine[test])))
    return accuracies


def rates_by_threshold(
    similarity: np.ndarray, is_genuine: np.ndarray, num_thresholds: int = 4000
) -> tuple[np.ndarray, np.ndarray]:
    """Returns FAR and TAR at evenly spaced thresholds, one after another."""
    far, tar = np.empty((2, num_thresholds))
    for number, threshold in enumerate(np.linspace(-1, 1, num_thresholds)):
        accepted = similarity >= threshold
        far[number] = np.mean(accepted[~is_genuine])
        tar[number] = np.mean(accepted[is_genuine])
    return far, tar


def intervals(
    similarity: np.ndarray, is_genuine: np.ndarray, is_correct: np.ndarray, num_replicates: int
) -> np.ndarray:
    """Returns 95 % bootstrap intervals of accuracy, EER, AUC and TARs, replicate by replicate."""
    generator = np.random.default_rng(0)
    metrics = []
    for _ in range(num_replicates):
        sample = generator.integers(0, len(similarity), len(similarity))
        curve = roc(similarity[sample], is_genuine[sample])
        tar = [tar_at_far(curve, far).tar for far in FARS]
        metrics.append([np.mean(is_correct[sample]), eer(curve), auc(curve), *tar])
    return np.quantile(metrics, [0.025, 0.975], axis=0)


def read_pairs(path: Path) -> list[np.ndarray]:
    """Returns the columns of a text file of integers."""
    return list(np.loadtxt(path, dtype=np.int64, ndmin=2).T)


def pool(embeddings: np.ndarray, templates: np.ndarray, media: np.ndarray) -> np.ndarray:
    """Returns template embeddings: sums of media means, selected by comparing all images."""
    numbers = np.unique(templates)
    pooled = np.zeros((len(numbers), embeddings.shape[1]))
    for row, template in enumerate(numbers):
        [images] = np.where(templates == template)
        media_means = [
            np.mean(embeddings[images[media[images] == medium]], axis=0)
            for medium in np.unique(media[images])
        ]
        pooled[row] = np.sum(media_means, axis=0)
    return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)


def similarities(templates: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns cosine similarities of pairs, copying both templates of each pair."""
    similarity = np.empty(len(first))
    for start in range(0, len(first), _CHUNK):
        part = slice(start, start + _CHUNK)
        similarity[part] = np.sum(templates[first[part]] * templates[second[part]], axis=-1)
    return similarity


def tar_at_fars(similarity: np.ndarray, is_genuine: np.ndarray) -> tuple[list[float], float]:
    """Returns TAR at each of `FARS`, and AUC, from all pairs sorted by similarity."""
    order = np.argsort(-similarity, kind="mergesort")
    true, similarity = np.cumsum(is_genuine[order]), similarity[order]
    last_of_ties = np.append(np.flatnonzero(np.diff(similarity)), len(similarity) - 1)
    tar = np.append(0, true[last_of_ties] / true[-1])
    false = 1 + last_of_ties - true[last_of_ties]
    far = np.append(0, false / false[-1])
    found = [float(tar[np.flatnonzero(far <= wanted)[-1]]) for wanted in FARS]
    return found, float(np.trapezoid(tar, far))
