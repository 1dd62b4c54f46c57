"""A run folder whose model tells the colors of images apart, made without training."""

import csv
from pathlib import Path

import keras
import numpy as np
from PIL import Image

from tfface.heads import HEADS
from tfface.heads.head_file import save_head

COLORS = {"blue": (20, 40, 200), "green": (30, 190, 40), "red": (210, 30, 30)}
SIZE = 16


def write_run(
    run: Path, classes: list[str] | None = None, head: str = "softmax", sharpness: float = 6.0
) -> Path:
    """Writes a model whose embedding is the mean color (red, green, blue, in 0..1).

    Of two classes, the second is told by its being red rather than blue.
    """
    classes = list(COLORS) if classes is None else classes
    run.mkdir(parents=True, exist_ok=True)
    images = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Rescaling(1 / 255)(images)
    keras.Model(images, keras.layers.GlobalAveragePooling2D()(x)).save(run / "model.keras")
    made = HEADS[head](num_identities=len(classes))
    made.build((None, 3))
    directions = np.array(
        [[0, 0, 1], [0, 1, 0], [1, 0, 0]], np.float32
    )  # as the classes are sorted
    if head == "softmax":
        weights = [sharpness * directions[: len(classes)].T, np.zeros(len(classes))]
        if len(classes) == 2:
            weights[0] = sharpness * directions[[0, 2]].T
    elif head == "sigmoid":
        weights = [sharpness * np.array([[1.0], [0.0], [-1.0]]), np.zeros(1)]
    else:
        weights = [np.resize(directions, (len(classes), 3))]
    for weight, values in zip(made.trainable_weights, weights, strict=True):
        weight.assign(values)
    save_head(
        run / "head.npz",
        made,
        name=head,
        options={},
        num_identities=len(classes),
        embedding_size=3,
    )
    with (run / "identities.csv").open(
        "w", newline="", encoding="utf-8", errors="surrogateescape"
    ) as file:
        csv.writer(file).writerows([("label", "name"), *enumerate(classes)])
    return run


def pixels(color: str, seed: int) -> np.ndarray:
    """An image of about this color, uint8 [16, 16, 3]."""
    noise = np.random.default_rng(seed).normal(0, 10, (SIZE, SIZE, 3))
    return np.clip(np.array(COLORS[color]) + noise, 0, 255).astype(np.uint8)


def write_image(path: Path, color: str, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(color, seed)).save(path)
