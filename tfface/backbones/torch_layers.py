"""Layers that compute the same as PyTorch's layers of the same name."""

import math
from collections.abc import Callable

import keras
from keras import layers


def default_kernel() -> keras.Initializer:
    """PyTorch's default initializer of convolutions: uniform in +-1/sqrt(fan in)."""
    return keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")


def kaiming_fan_out() -> keras.Initializer:
    """The initializer of convolutions in torchvision's ResNets and VGGs."""
    return keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")


def kaiming_of_groups(kernel_positions: int, filters: int) -> keras.Initializer:
    """`kaiming_fan_out` of a grouped or depthwise convolution.

    PyTorch counts the filters of all groups as the fan out; Keras would compute another fan out
    from the kernel's shape.

    Args:
        kernel_positions: of the kernel, rows times columns.
        filters: of all groups together.

    Returns:
        The initializer.
    """
    return keras.initializers.RandomNormal(stddev=math.sqrt(2 / (kernel_positions * filters)))


def conv(
    features,
    filters: int,
    kernel_size: int | tuple[int, int],
    name: str,
    *,
    strides: int = 1,
    padding: int | tuple[int, int] = 0,
    use_bias: bool = False,
    initializer: Callable[[], keras.Initializer] = default_kernel,
):
    """Convolution of [batch, rows, columns, channels] with `padding` zeros on each side.

    Keras' "same" differs: with a stride it pads more at the end than at the beginning.

    Args:
        features: [batch, rows, columns, channels].
        filters: number of output channels.
        kernel_size: rows and columns of the kernel; one number for a square.
        name: of the layer.
        strides: of both axes.
        padding: rows and columns of zeros on each side; one number for both.
        use_bias: whether the layer has a bias.
        initializer: makes the initializer of the kernel.
    """
    sizes = (kernel_size,) * 2 if isinstance(kernel_size, int) else kernel_size
    paddings = (padding,) * 2 if isinstance(padding, int) else padding
    keeps_size = strides == 1 and all(
        2 * zeros == size - 1 for zeros, size in zip(paddings, sizes, strict=True)
    )
    if not keeps_size and any(paddings):
        features = layers.ZeroPadding2D(paddings, name=f"{name}_padding")(features)
    return layers.Conv2D(
        filters,
        sizes,
        strides=strides,
        padding="same" if keeps_size else "valid",
        use_bias=use_bias,
        # One for each layer: layers that share an initializer get the same values.
        kernel_initializer=initializer(),
        name=name,
    )(features)


def grouped_conv(
    features,
    filters: int,
    kernel_size: int,
    name: str,
    *,
    groups: int,
    strides: int = 1,
    padding: int = 0,
):
    """Grouped convolution without bias, initialized by `kaiming_of_groups`.

    It is computed by matrix products, because a grouped Conv2D can't be trained on a CPU:
    TensorFlow has no gradient for it, and XLA takes 20 to 30 times as long. This needs
    kernel_size^2 copies of the features. The layer `name` has the kernel [kernel_size^2, groups,
    channels of a group, filters of a group].

    Args:
        features: [batch, rows, columns, channels].
        filters: number of output channels, a multiple of `groups`.
        kernel_size: rows and columns of the kernel.
        name: of the layer.
        groups: divides the channels.
        strides: of both axes.
        padding: rows and columns of zeros on each side.
    """
    if padding:
        features = layers.ZeroPadding2D(padding, name=f"{name}_padding")(features)
    _, rows, columns, channels = features.shape
    rows, columns = ((length - kernel_size) // strides + 1 for length in (rows, columns))
    shifted = [
        features[
            :,
            row : row + (rows - 1) * strides + 1 : strides,
            column : column + (columns - 1) * strides + 1 : strides,
        ]
        for row in range(kernel_size)
        for column in range(kernel_size)
    ]
    features = layers.Concatenate(name=f"{name}_places")(shifted)
    features = layers.Reshape(
        (rows, columns, len(shifted), groups, channels // groups), name=f"{name}_groups"
    )(features)
    features = layers.EinsumDense(
        "bhwpgi,pgio->bhwgo",
        (rows, columns, groups, filters // groups),
        kernel_initializer=kaiming_of_groups(len(shifted), filters),
        name=name,
    )(features)
    return layers.Reshape((rows, columns, filters), name=f"{name}_joined")(features)


def batch_norm(features, name: str, epsilon: float = 1e-5):
    """Batch norm. PyTorch's momentum of 0.1 is 0.9 in Keras.

    Args:
        features: [batch, rows, columns, channels].
        name: of the layer.
        epsilon: added to the variance.
    """
    return layers.BatchNormalization(momentum=0.9, epsilon=epsilon, name=name)(features)


def prelu(features, name: str):
    """PReLU with a slope for each channel, initially 0.25.

    Args:
        features: [batch, rows, columns, channels].
        name: of the layer.
    """
    return layers.PReLU(keras.initializers.Constant(0.25), shared_axes=[1, 2], name=name)(features)
