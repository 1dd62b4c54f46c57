"""Poolings that Keras has no layer for."""

from keras import ops


def average_to(features, size: int):
    """Averages a feature map of any size over `size` x `size` windows.

    The windows are those of PyTorch's adaptive average pooling: number i of a side goes from
    floor(i * length / size) to ceil((i + 1) * length / size), so they overlap where the map can't
    be divided, and repeat where it is smaller. (Keras 3.15's AdaptiveAveragePooling2D gives NaN on
    JAX for many sizes, 3 and 7 to 7 among them.)

    Args:
        features: [batch, rows, columns, channels], rows and columns known.
    Returns: [batch, size, size, channels].
    """
    _, rows, columns, _ = features.shape
    if rows != size:
        parts = [ops.mean(features[:, begin:end], axis=1) for begin, end in _windows(rows, size)]
        features = ops.stack(parts, axis=1)
    if columns != size:
        parts = [
            ops.mean(features[:, :, begin:end], axis=2) for begin, end in _windows(columns, size)
        ]
        features = ops.stack(parts, axis=2)
    return features


def _windows(length: int, size: int) -> list[tuple[int, int]]:
    return [(i * length // size, -(-(i + 1) * length // size)) for i in range(size)]
