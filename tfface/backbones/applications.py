"""The networks of keras.applications as backbones."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import keras
from pydantic import Field

from tfface.backbones.backbone import Backbone
from tfface.backbones.weights.keras_file import check_published_h5
from tfface.backbones.weights.published import DOWNLOAD_FAILED, not_downloaded
from tfface.errors import InputError
from tfface.files import suffix_in_lower_case
from tfface.kernels.keras_internals import instead_of_download

Alpha = Annotated[float, Field(gt=0, le=2, description="Factor on the channels of each layer.")]


def plain(net: Callable[..., keras.Model], pixels: str) -> Callable[..., Backbone]:
    """Returns the builder of a network without options.

    Args:
        net: the function of keras.applications.
        pixels: the input normalization of its published weights.

    Returns:
        The builder. Its `weights` may also be the path of a file that Keras publishes for the
        network.
    """

    def build(*, image_size: tuple[int, int], weights: str | Path | None = None) -> Backbone:
        return Backbone(_build(net, image_size, weights), pixels)

    build.__doc__ = f"{net.__name__} of keras.applications. Input normalization: `{pixels}`."
    build.takes_published_file = True
    return build


def with_alpha(net: Callable[..., keras.Model], pixels: str) -> Callable[..., Backbone]:
    """As `plain`, for a MobileNet, whose option `alpha` scales the channels of each layer."""

    def build(
        alpha: Alpha = 1.0, *, image_size: tuple[int, int], weights: str | Path | None = None
    ) -> Backbone:
        return Backbone(_build(net, image_size, weights, alpha=alpha), pixels)

    build.__doc__ = f"{net.__name__} of keras.applications. Input normalization: `{pixels}`."
    build.takes_published_file = True
    return build


def _build(net, image_size, weights, **options) -> keras.Model:
    if isinstance(weights, Path):
        check_published_h5(weights)
        try:
            with suffix_in_lower_case(weights) as known, instead_of_download(known):
                return _build(net, image_size, "imagenet", **options)
        # Keras' legacy reader raises errors of many types.
        except Exception as error:
            reason = " ".join(str(error).split())
            raise InputError(
                f"model.backbone.weights: {weights} does not fit this backbone: it is not the file "
                f"that Keras publishes for {net.__name__} without its top ({reason[:200]})"
            ) from error
    try:
        with warnings.catch_warnings():
            # MobileNets warn about published weights of another image size, which are intended.
            warnings.filterwarnings("ignore", "`input_shape` is undefined or non-square")
            network = net(
                include_top=False, weights=weights, input_shape=(*image_size, 3), **options
            )
        # Not as an argument, by which EfficientNetV2 selects its configuration.
        network.name = "backbone"
        return network
    except Exception as error:
        # Keras raises Exception for a failed download, and ValueError for a bad size.
        if DOWNLOAD_FAILED in str(error):
            raise not_downloaded(error, f"a {net.__name__} weights file") from error
        if isinstance(error, ValueError):
            reason = " ".join(str(error).split())
            raise InputError(
                f"model.backbone: {net.__name__} can't be built for images of "
                f"{image_size[0]}x{image_size[1]}: {reason}"
            ) from error
        raise
