"""The neck: from a backbone's feature map to embeddings."""

import keras
from keras import layers, ops

from tfface.recipe.schema import NeckConfig
from tfface.typing import Tensor


def build_neck(
    features: Tensor, neck: NeckConfig, embedding_size: int | None, epsilon: float
) -> Tensor:
    """Applies the layers of a neck; their names are those of the variables in checkpoints.

    Args:
        features: a backbone's, [batch, rows, columns, channels].
        neck: a recipe's `model.neck`.
        embedding_size: of the dense layer; None for none.
        epsilon: of the batch norms.
    Returns: float32 embeddings [batch, size].

    Example:
        >>> features = keras.Input((4, 4, 8))
        >>> build_neck(features, NeckConfig(), embedding_size=16, epsilon=1e-5).shape
        (None, 16)
    """
    if neck.input_batch_norm:
        features = _batch_norm("neck_input_batch_norm", epsilon)(features)
    if neck.pooling == "adaptive_average_7x7":
        features = adaptive_average_pool(features, 7)
    if neck.pooling in ("adaptive_average_7x7", "flatten"):
        features = layers.Flatten(name="neck_flatten")(features)
    elif neck.pooling == "max":
        features = layers.GlobalMaxPooling2D(name="neck_pooling")(features)
    else:
        features = layers.GlobalAveragePooling2D(name="neck_pooling")(features)
    # As in VGG: no dropout before the first hidden layer.
    if neck.dropout and not neck.hidden_units:
        features = layers.Dropout(neck.dropout, name="neck_dropout")(features)
    for number, size in enumerate(neck.hidden_units):
        features = layers.Dense(size, activation="relu", name=f"neck_hidden_{number}")(features)
        if neck.dropout:
            features = layers.Dropout(neck.dropout, name=f"neck_hidden_dropout_{number}")(features)
    if embedding_size is not None:
        use_bias = not neck.batch_norm if neck.embedding_bias is None else neck.embedding_bias
        regularizer = keras.regularizers.L2(neck.embedding_l2) if neck.embedding_l2 else None
        features = layers.Dense(
            embedding_size, use_bias=use_bias, kernel_regularizer=regularizer, name="embedding"
        )(features)
    if neck.batch_norm:
        features = _batch_norm("neck_batch_norm", epsilon)(features)
    return layers.Activation("linear", dtype="float32", name="embeddings")(features)


def _batch_norm(name: str, epsilon: float) -> layers.BatchNormalization:
    # The field's momentum (0.1 in PyTorch's terms); Keras' 0.99 lags behind for hundreds of steps.
    return layers.BatchNormalization(momentum=0.9, epsilon=epsilon, name=name)


def adaptive_average_pool(features: Tensor, size: int) -> Tensor:
    """Averages a feature map of any size to `size` x `size`, as PyTorch's AdaptiveAvgPool2d does.

    Window i of a side goes from floor(i * length / size) to ceil((i + 1) * length / size). (The
    AdaptiveAveragePooling2D of Keras 3.15 returns NaN on JAX for many sizes, 3 and 7 to 7 among
    them.)

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
