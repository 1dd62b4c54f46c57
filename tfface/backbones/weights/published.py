"""Weights that others have published for a network: where they come from, and where none do."""

import hashlib
from pathlib import Path
from urllib.parse import urlsplit

import keras

from tfface.errors import InputError

# How Keras' downloads begin to say that they failed; it raises a bare Exception.
DOWNLOAD_FAILED = "URL fetch failure"
PYTORCH = "https://download.pytorch.org/models/"


def refuse_weights(name: str, weights: str | None) -> None:
    """Raises InputError: `weights` asks for published ones, and network `name` has none."""
    if weights is not None:
        raise InputError(
            f"model.backbone.weights: {name} has no '{weights}' weights; use 'none' or a path"
        )


def not_downloaded(error: Exception, file: str) -> InputError:
    """Returns the error for the user: `file` is what may be given instead."""
    return InputError(
        f"model.backbone.weights: 'imagenet' could not be downloaded ({error}); without network "
        f"give the path of {file} instead, or start from random ones with "
        "--set model.backbone.weights=none"
    )


def download(url: str) -> Path:
    """Fetches a PyTorch checkpoint into Keras' cache, or finds it there.

    Args:
        url: ends in NAME-HASH.pth, as PyTorch publishes them; HASH is how the file's SHA-256
            begins.

    Raises:
        InputError: it can't be had, or is not the file that was published.
    """
    name = Path(urlsplit(url).path).name
    try:
        path = Path(keras.utils.get_file(name, url, cache_subdir="models"))
    except Exception as error:
        if DOWNLOAD_FAILED in str(error):
            raise not_downloaded(error, f"a copy of {name}") from error
        raise
    published = Path(name).stem.rpartition("-")[2]
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(published):
        path.unlink()
        raise InputError(
            f"model.backbone.weights: 'imagenet': {url} is not the file that was published (its "
            f"SHA-256 begins with {found[: len(published)]}, not {published}); it was removed, so "
            "try again"
        )
    return path
