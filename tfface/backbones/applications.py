"""The networks of keras.applications as backbones."""

import warnings
from collections.abc import Callable
from typing import Annotated

import keras
from pydantic import Field

from tfface.backbones.backbone import Backbone
from tfface.backbones.published import DOWNLOAD_FAILED, not_downloaded
from tfface.errors import InputError

Alpha = Annotated[float, Field(gt=0, le=2)]


def plain(net: Callable[..., keras.Model], pixels: str) -> Callable[..., Backbone]:
    """Returns the builder of a network that has no options of its own."""

    def build(*, image_size: tuple[int, int], weights: str | None = None) -> Backbone:
        return Backbone(_build(net, image_size, weights), pixels)

    return build


def with_alpha(net: Callable[..., keras.Model], pixels: str) -> Callable[..., Backbone]:
    """Returns the builder of a MobileNet: `alpha` scales the number of channels of each layer."""

    def build(
        alpha: Alpha = 1.0, *, image_size: tuple[int, int], weights: str | None = None
    ) -> Backbone:
        return Backbone(_build(net, image_size, weights, alpha=alpha), pixels)

    return build


def _build(net, image_size, weights, **options) -> keras.Model:
    try:
        with warnings.catch_warnings():
            # MobileNets: that published weights of another image size are taken, as is meant here.
            warnings.filterwarnings("ignore", "`input_shape` is undefined or non-square")
            network = net(
                include_top=False, weights=weights, input_shape=(*image_size, 3), **options
            )
        # Not as an argument: EfficientNetV2 looks its block table up by it.
        network.name = "backbone"
        return network
    except Exception as error:
        # Keras raises a bare Exception for a failed download, ValueError for a bad size.
        if DOWNLOAD_FAILED in str(error):
            raise not_downloaded(error, f"a {net.__name__} weights file") from error
        if isinstance(error, ValueError):
            reason = " ".join(str(error).split())
            raise InputError(
                f"model.backbone: {net.__name__} can't be built for images of "
                f"{image_size[0]}x{image_size[1]}: {reason}"
            ) from error
        raise
