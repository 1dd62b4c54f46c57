"""Downloads published weights."""

import hashlib
from pathlib import Path
from urllib.parse import urlsplit

import keras

from tfface.errors import InputError

# The message of the bare Exception that Keras raises for a failed download.
DOWNLOAD_FAILED = "URL fetch failure"
PYTORCH = "https://download.pytorch.org/models/"


def refuse_weights(name: str, weights: str | None) -> None:
    """Raises InputError if `weights` is not None, for a network without published weights."""
    if weights is not None:
        raise InputError(
            f"model.backbone.weights: {name} has no '{weights}' weights; use 'none' or a path"
        )


def not_downloaded(error: Exception, file: str) -> InputError:
    """Returns the error for a failed download; `file` describes the alternative."""
    return InputError(
        f"model.backbone.weights: 'imagenet' could not be downloaded ({error}); without network "
        f"access, give the path of {file}, or start from random weights with "
        "--set model.backbone.weights=none"
    )


def download(url: str) -> Path:
    """Downloads a PyTorch checkpoint into Keras' cache, unless it is there already.

    Args:
        url: ends in NAME-HASH.pth, where HASH is the beginning of the file's SHA-256.

    Returns:
        The path of the file.

    Raises:
        InputError: the download fails, or the file has another SHA-256.
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
            f"model.backbone.weights: 'imagenet': {url} is not the published file (its SHA-256 "
            f"begins with {found[: len(published)]}, not {published}); it was removed: try again"
        )
    return path
