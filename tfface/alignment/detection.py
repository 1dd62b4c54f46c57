"""MTCNN: finds faces, and in each the eyes, the nose and the corners of the mouth.

Only the weights of the `mtcnn` package are used. Its own cascade compares all candidates of a photo
with each other in one matrix, which takes 22 GB for a photo of a thousand small faces; it puts the
faces of a batch in wrong places when another photo of the batch has none; and it cuts out patches
without antialiasing, which makes it less sure of large faces.

The networks take RGB, (pixel - 127.5) / 128.

Reference: Zhang et al., "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional
Networks", 2016, arXiv:1604.02878.
"""

import importlib.util
import io
from functools import cache
from pathlib import Path

import joblib
import lz4.frame
import numpy as np
import tensorflow as tf
from PIL import Image

from tfface.alignment.faces import Face
from tfface.extras import not_installed

# For each network the pooling after its convolutions: (window, padding), stride 2; None for none.
_POOLING = {
    "pnet": [(2, "SAME"), None, None],
    "rnet": [(3, "SAME"), (3, "VALID"), None],
    "onet": [(3, "SAME"), (3, "VALID"), (2, "SAME"), None],
}


class Network:
    """One of the three networks; calling it runs it.

    Args:
        name: "pnet" (finds candidates), "rnet" (refines them) or "onet" (judges them, and finds the
            landmarks).
    Call arguments:
        pixels: float32 [batch, height, width, 3]; of P-Net any size from 12, of R-Net 24, O-Net 48.
    Returns: a list of float32 tensors: the box's offsets (left, top, right, bottom, in box widths
        and heights) [..., 4]; O-Net only: the landmarks (5 x, then 5 y, in box widths and heights)
        [..., 10]; the probability of a face [...]. P-Net has one result for every second pixel, the
        others one for each patch.
    """

    def __init__(self, name: str):
        # Found without importing the package, which would build Keras models.
        spec = importlib.util.find_spec("mtcnn")
        if spec is None:
            raise ModuleNotFoundError(not_installed("mtcnn"), name="mtcnn")
        package = spec.submodule_search_locations[0]
        compressed = Path(package, "assets", "weights", f"{name}.lz4").read_bytes()
        # Joblib would close the file before lz4 does, about which Python 3.13 prints an error.
        self._weights = joblib.load(io.BytesIO(lz4.frame.decompress(compressed)))
        self._pooling = _POOLING[name]
        self._is_dense = name != "pnet"

    def __call__(self, pixels: tf.Tensor) -> list[tf.Tensor]:
        weights = iter(self._weights)
        x = pixels
        for pooling in self._pooling:
            x = tf.nn.bias_add(tf.nn.conv2d(x, next(weights), 1, "VALID"), next(weights))
            x = _prelu(x, next(weights))
            if pooling:
                window, padding = pooling
                x = tf.nn.max_pool2d(x, window, 2, padding)
        if self._is_dense:
            # The dense weights are those of a framework that counts columns first.
            x = tf.transpose(x, (0, 2, 1, 3))
            kernel, bias = next(weights), next(weights)
            x = tf.reshape(x, (-1, kernel.shape[0])) @ kernel + bias
            x = _prelu(x, next(weights))
        last = list(weights)
        outputs = [
            _last_layer(x, kernel, bias) for kernel, bias in zip(last[::2], last[1::2], strict=True)
        ]
        return [*outputs[:-1], tf.nn.softmax(outputs[-1])[..., 1]]


def _prelu(x: tf.Tensor, slope: np.ndarray) -> tf.Tensor:
    return tf.nn.relu(x) + slope * tf.minimum(x, 0)


def _last_layer(x: tf.Tensor, kernel: np.ndarray, bias: np.ndarray) -> tf.Tensor:
    if kernel.ndim == 4:
        return tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "VALID"), bias)
    return x @ kernel + bias


# Of the faces that can be found, in pixels.
SMALLEST_FACE = 20

# The side of P-Net's window, and how far it reaches beyond the picture: so large faces are found
# of which only half is in it, or that fill it as those of aligned pictures do.
_WINDOW, _MARGIN = 12, 6
# Each level of the pyramid is so much smaller than the one before. Small levels cost little, and
# finer steps between them give more candidates for large faces: O-Net can choose the best.
_SHRINK, _FINER_SHRINK, _FINER_BELOW = 0.709, 0.842, 150
# Below these probabilities a network's candidates are dropped. Those of O-Net that are left may
# still be no faces: the caller decides.
_LEAST = {"pnet": 0.6, "rnet": 0.7, "onet": 0.5}
# Patches that go through a network together.
_CHUNK = 256


class MtcnnDetector:
    """Finds faces of 20 pixels and more that stand upright, give or take 30 degrees.

    P-Net looks at the whole picture in many sizes and proposes candidates; R-Net and O-Net look at
    each of them more closely. On one machine, with as many threads within an operation, a picture
    always gives the same result. Threads may call `detect` at once. It runs on the processor.
    """

    def __init__(self):
        with tf.device("CPU:0"):
            self._pnet, self._rnet, self._onet = map(Network, ("pnet", "rnet", "onet"))
        self._propose = _compiled(self._find_candidates, ([None, None, 3], tf.uint8))
        self._refine = _compiled(self._rnet, ([None, 24, 24, 3], tf.float32))
        self._judge = _compiled(self._onet, ([None, 48, 48, 3], tf.float32))

    def detect(self, picture: Image.Image) -> list[Face]:
        """Returns all candidates of a confidence of 0.5 and more, the surest first.

        Args:
            picture: RGB, any size. Time and memory grow with its area.
        """
        with tf.device("CPU:0"):
            return self._detect(picture)

    def _detect(self, picture: Image.Image) -> list[Face]:
        boxes = self._candidates(picture)
        if not len(boxes):
            return []
        levels = _Levels(picture)

        offsets, scores = _in_chunks(self._refine, levels.patches(boxes, 24))
        boxes, offsets, scores = _above(_LEAST["rnet"], boxes, offsets, scores)
        # Before they are moved: many that find the same face are wanted, for O-Net to judge.
        kept = _without_overlaps(boxes, scores)
        boxes = _squares(_moved(boxes[kept], offsets[kept]))
        if not len(boxes):
            return []

        offsets, points, scores = _in_chunks(self._judge, levels.patches(boxes, 48))
        size = (boxes[:, 2:] - boxes[:, :2])[:, None]
        # From the box's corner to pixels' centers: hence the half.
        points = boxes[:, None, :2] + points.reshape(-1, 2, 5).transpose(0, 2, 1) * size - 0.5
        boxes = _moved(boxes, offsets)
        boxes, points, scores = _above(_LEAST["onet"], boxes, points, scores)
        return [
            Face(boxes[i], points[i], float(scores[i])) for i in _not_inside_others(boxes, scores)
        ]

    def _candidates(self, picture: Image.Image) -> np.ndarray:
        """P-Net's candidates: squares, float64 [candidates, 4]."""
        width, height = picture.size
        found = []
        scale = _WINDOW / SMALLEST_FACE
        # Up to a window that is half as large again as the picture.
        while min(width, height) * scale * 1.5 >= _WINDOW:
            size = (round(width * scale) or 1, round(height * scale) or 1)
            level = np.asarray(picture.resize(size, Image.Resampling.BOX, reducing_gap=3))
            windows, offsets, scores = (result.numpy() for result in self._propose(level))
            to_picture = np.array(picture.size) / size
            found.append((windows * np.tile(to_picture, 2), offsets, scores))
            scale *= _SHRINK if max(size) > _FINER_BELOW else _FINER_SHRINK
        if not found:
            return np.empty((0, 4))
        windows, offsets, scores = map(np.concatenate, zip(*found, strict=True))
        kept = _without_overlaps(windows, scores)
        return _squares(_moved(windows[kept], offsets[kept]))

    def _find_candidates(self, level: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """uint8 [height, width, 3] -> windows in its pixels [n, 4], offsets, probabilities."""
        margin = [[_MARGIN, _MARGIN], [_MARGIN, _MARGIN], [0, 0]]
        offsets, scores = self._pnet(tf.pad(_normalised(level), margin)[None])
        places = tf.where(scores[0] > _LEAST["pnet"])
        offsets, scores = tf.gather_nd(offsets[0], places), tf.gather_nd(scores[0], places)
        corners = tf.cast(places[:, ::-1], tf.float32) * 2 - _MARGIN
        windows = tf.concat([corners, corners + _WINDOW], axis=1)
        kept = tf.image.non_max_suppression(windows, scores, tf.size(scores), 0.5)
        return tf.gather(windows, kept), tf.gather(offsets, kept), tf.gather(scores, kept)


@cache
def shared_detector() -> MtcnnDetector:
    """Returns the detector of this process; building its graphs takes longer than a photo."""
    return MtcnnDetector()


class _Levels:
    """A picture in half, a quarter, ... of its size, so that patches are cut without aliasing."""

    def __init__(self, picture: Image.Image):
        self._picture = picture
        self._made: dict[int, np.ndarray] = {}

    def patches(self, boxes: np.ndarray, size: int) -> np.ndarray:
        """Cuts squares out: boxes [n, 4] -> float32 [n, size, size, 3]; grey beyond the picture."""
        # Where the box is more than twice the patch, take it from a smaller picture.
        shrinks = np.log2(np.maximum((boxes[:, 2] - boxes[:, 0]) / size, 1)).astype(int)
        patches = np.empty((len(boxes), size, size, 3), np.float32)
        for shrink in np.unique(shrinks):
            chosen = shrinks == shrink
            scaled = (boxes[chosen] / 2.0**shrink).astype(np.float32)
            patches[chosen] = _cut(self._level(int(shrink)), scaled, size).numpy()
        return patches

    def _level(self, shrink: int) -> np.ndarray:
        if shrink not in self._made:
            factor = 2**shrink
            self._made[shrink] = np.asarray(
                self._picture.reduce(factor) if shrink else self._picture
            )
        return self._made[shrink]


def _compiled(function, *inputs: tuple[list, tf.DType]):
    """One graph for all sizes."""
    signature = [tf.TensorSpec(*of) for of in inputs]
    # None of these has Python's own `if` or `for` over tensors, which take long to look for.
    return tf.function(function, input_signature=signature, autograph=False)


def _normalised(pixels: tf.Tensor) -> tf.Tensor:
    return (tf.cast(pixels, tf.float32) - 127.5) / 128


@tf.function(
    input_signature=[
        tf.TensorSpec([None, None, 3], tf.uint8),
        tf.TensorSpec([None, 4], tf.float32),
        tf.TensorSpec([], tf.int32),
    ],
    autograph=False,
)
def _cut(picture: tf.Tensor, boxes: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    corners, ends = boxes[:, :2], boxes[:, 2:]
    half = (ends - corners) / tf.cast(size, tf.float32) / 2
    # Of the first and last pixel's center; the operation counts from 0 to 1 between those of the
    # picture.
    height, width = tf.shape(picture)[0], tf.shape(picture)[1]
    last = tf.cast(tf.maximum(tf.stack([width, height]) - 1, 1), tf.float32)
    first, final = (corners + half - 0.5) / last, (ends - half - 0.5) / last
    places = tf.concat([first[:, ::-1], final[:, ::-1]], axis=1)
    picture_of_each = tf.zeros(tf.shape(boxes)[:1], tf.int32)
    cut = tf.image.crop_and_resize(
        picture[None], places, picture_of_each, [size, size], extrapolation_value=127.5
    )
    return _normalised(cut)


def _in_chunks(network, patches: np.ndarray) -> list[np.ndarray]:
    chunks = [patches[start : start + _CHUNK] for start in range(0, len(patches), _CHUNK)]
    results = [[result.numpy() for result in network(chunk)] for chunk in chunks]
    return [np.concatenate(parts) for parts in zip(*results, strict=True)]


def _squares(boxes: np.ndarray) -> np.ndarray:
    """Boxes widened or heightened to squares about the same center."""
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    return np.concatenate([centers - half, centers + half], axis=1)


def _moved(boxes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    return boxes + offsets * np.tile(boxes[:, 2:] - boxes[:, :2], 2)


def _above(least: float, *rows: np.ndarray) -> list[np.ndarray]:
    """Of several arrays the rows whose score, in the last array, is above `least`."""
    return [array[rows[-1] > least] for array in rows]


def _without_overlaps(boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Which are left, the surest first, when of any two that overlap one is dropped.

    They do when the intersection is more than 0.7 of the union.
    """
    boxes = boxes.astype(np.float32)
    return tf.image.non_max_suppression(boxes, scores, len(boxes), 0.7).numpy()


def _not_inside_others(boxes: np.ndarray, scores: np.ndarray) -> list[int]:
    """The surest first, without those that lie to 70 % within a surer one or the other way."""
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    left = np.argsort(-scores, kind="stable")
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(int(best))
        corners = np.maximum(boxes[best, :2], boxes[left, :2])
        ends = np.minimum(boxes[best, 2:], boxes[left, 2:])
        shared = np.maximum(ends - corners, 0).prod(axis=1)
        left = left[shared <= 0.7 * np.minimum(areas[best], areas[left])]
    return kept
