"""Training for users: a recipe in, a trained model out; and the parts of a model of one's own."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import keras

from tfface import arguments
from tfface import recipe as recipes
from tfface.api.embedding import Embedder, load_embedder
from tfface.errors import warn
from tfface.paths import data_dir as resolve_data_dir
from tfface.paths import expanded
from tfface.recipe import Recipe
from tfface.recipe.schema import ModelConfig
from tfface.training import recognizer, run
from tfface.training.folded_norms import num_folded
from tfface.training.registries import REGISTRIES


@dataclass(frozen=True)
class RunResult(run.RunResult):
    """A finished run.

    Attributes:
        path: the run folder, with `report.html`, `model.keras` and all else that the run wrote.
        metrics: name -> value, of the evaluation and of the best epoch.
        data_dir: where the relative paths of the recipe start.
    """

    data_dir: Path

    @cached_property
    def model(self) -> Embedder:
        """The trained embedder, as `load_embedder` returns it."""
        return load_embedder(self.path, data_dir=self.data_dir)


def train(
    recipe: str | os.PathLike[str] | Mapping[str, Any] | Recipe,
    run_dir: str | os.PathLike[str] | None = None,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    overrides: Sequence[str] = (),
    resume: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> RunResult:
    """Trains and evaluates the model that a recipe describes.

    Args:
        recipe: the path of a YAML file, the name of a recipe that comes with tfface, a dict with
            the same keys, or a `Recipe`.
        run_dir: the run folder; by default `runs/` and the recipe's name. If it has a finished run
            of the same recipe, nothing is trained.
        data_dir: where the recipe's relative paths start; by default $TFFACE_DATA or `data`.
        overrides: "key=value" each, such as "training.stages.0.epochs=2"; values are YAML.
        resume: continue from the newest checkpoint that an interrupted run left in `run_dir`.
        callbacks: of Keras; called beside those of the run. A stage is one `fit` to them, with
            epochs counted through all stages.

    Returns:
        The run folder, its metrics and the trained model.

    Raises:
        InputError: the recipe has mistakes (one line for each), data or weights are missing, the
            loss is NaN or infinite, or memory or disk are full.
        TrainingInterrupted: SIGINT or SIGTERM came, for example by Ctrl-C; the same call with
            `resume=True` continues the run. It is a KeyboardInterrupt.

    Example:
        >>> import tfface
        >>> tfface.train("quickstrat")
        Traceback (most recent call last):
        tfface.errors.InputError: quickstrat: no such file, and no recipe of this name; did you mean
        'quickstart'?
    """
    arguments.texts("overrides", overrides)
    callbacks = arguments.listed("callbacks", callbacks, "keras.callbacks.Callback")
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.Callback):
            raise arguments.wrong("a callback", "a keras.callbacks.Callback", callback)
    resolved, name = _resolve(recipe, overrides)
    location = resolve_data_dir(data_dir)
    folder = Path("runs", name) if run_dir is None else expanded(run_dir)
    result = run.train(resolved, folder, location, resume=resume, callbacks=callbacks)
    return RunResult(result.path, result.metrics, location)


def build_embedder(
    backbone: str | Mapping[str, Any],
    *,
    image_size: int | tuple[int, int] = 112,
    embedding_size: int | None = 512,
    neck: Mapping[str, Any] | None = None,
    input_normalization: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
) -> keras.Model:
    """Builds a network from images to embeddings, for a `Recognizer` or your own training loop.

    Args:
        backbone: the name of a network, or its options as a recipe has them, for example
            {"name": "mobilenet_v2", "weights": "imagenet"}.
        image_size: of the images in pixels: one number, or (height, width).
        embedding_size: of the output; None for the pooled features themselves.
        neck: options of the layers between backbone and embedding, as in `model.neck` of a recipe.
        input_normalization: of the pixels; by default the backbone's own.
        data_dir: where the relative path of a weights file starts.

    Returns:
        keras.Model: float32 or uint8 [batch, height, width, 3], RGB in 0..255, to float32
        [batch, embedding_size]. It contains its input normalization.

    Raises:
        InputError: a name or an option is unknown, or the weights can't be loaded.

    Example:
        >>> import tfface
        >>> embedder = tfface.build_embedder("plain_cnn", image_size=32, embedding_size=16)
        >>> embedder.output_shape
        (None, 16)
    """
    config = recipes.parse_section(
        ModelConfig,
        {
            "backbone": backbone,
            "neck": {} if neck is None else neck,
            "embedding_size": embedding_size,
            "input_normalization": input_normalization,
            # It is no part of the embedder.
            "head": "softmax",
        },
        REGISTRIES,
        "build_embedder",
    )
    size = arguments.image_size(image_size)
    embedder = recognizer.build_embedder(config, size, resolve_data_dir(data_dir))
    if number := num_folded(embedder):
        warn(
            f"{number} batch norms of these weights are folded: before you train, give them the "
            "statistics of images, tfface.training.folded_norms.refresh_statistics(embedder, "
            "batches); tfface.train does so by itself"
        )
    return embedder


def _resolve(
    recipe: str | os.PathLike[str] | Mapping[str, Any] | Recipe, overrides: Sequence[str]
) -> tuple[Recipe, str]:
    """Returns a checked recipe, and the name of its run."""
    if isinstance(recipe, Recipe):
        # Through YAML's types again, so that overrides are checked as those of a file.
        recipe = recipe.model_dump(mode="json")
    if isinstance(recipe, Mapping):
        return recipes.parse(recipe, REGISTRIES, overrides), "recipe"
    if not isinstance(recipe, str | os.PathLike):
        raise arguments.wrong("a recipe", "a path, a name, a dict or a Recipe", recipe)
    path = recipes.find_recipe(recipe)
    return recipes.load(path, REGISTRIES, overrides), path.stem
