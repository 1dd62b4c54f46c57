"""Registries without components find the mistakes that the real ones find."""

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import AfterValidator, Field

from tests.training.recipes import TINY
from tfface import recipe
from tfface.errors import InputError
from tfface.recipe import signatures
from tfface.recipe.library import recipe_names
from tfface.training.registries import REGISTRIES

LIGHT = signatures.light()


def test_they_have_the_same_options():
    assert signatures.source(LIGHT) == signatures.source(REGISTRIES)


@pytest.mark.parametrize("name", recipe_names())
def test_recipes_are_the_same(name):
    assert recipe.load(name, LIGHT) == recipe.load(name, REGISTRIES)


@pytest.mark.parametrize(
    "override",
    [
        *("model.backbone=plan_cnn", "model.head={name: arcface, margn: 0.5}", "data.train={}"),
        *("model.head={name: arcface, margin: 0.5, scale: -1}", "model.head.name=7"),
        *("model.head={name: cosface, margin: wide}", "model.backbone={mobilefacenet: {scale: 0}}"),
        *("data.augment=[{random_affine: {rotation: [1]}}]", "data.augment=[{grid_mask: {x: 1}}]"),
        *("data.augment=[{keras_layer: {layer: Gone}}]", "data.train={source: union, of: [1]}"),
        *("data.train={source: split, of: 1, fractions: [2]}", "data.train={source: kface}"),
        *("training.stages.0.optimizer={name: sgd, nesterov: 1}", "training.seed=five"),
        *(
            "training.stages.0.schedule={name: multi_step, epochs: []}",
            "training.stages.0.eppochs=3",
        ),
    ],
)
def test_mistakes_are_the_same(tmp_path, override):
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY, encoding="utf-8")
    said = []
    for registries in (LIGHT, REGISTRIES):
        try:
            said.append(recipe.load(path, registries, [override]))
        except InputError as error:
            said.append(str(error))
    assert said[0] == said[1]


def test_what_cannot_be_written_down_is_said():
    def crop(size: Annotated[int, AfterValidator(abs)]): ...

    def jitter(size: Annotated[str, Field(pattern="x")]): ...

    def paste(image: bytes): ...

    for component in (crop, jitter, paste):
        with pytest.raises(TypeError, match="can't write this"):
            signatures.source({"augmentations": {"new": component}})


def test_paths_are_paths():
    given = {"source": "folder", "path": "faces"}
    loaded = recipe.load_source(given, LIGHT["sources"], "SOURCE")
    assert loaded.options["path"] == Path("faces")
