"""Every recipe of recipes/ is strict, documented, and starts on drawn faces."""

import re
import shlex
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.contracts.test_backbones import GOLDEN_COUNTS
from tfface import recipe as recipes
from tfface.errors import InputError
from tfface.training import stages
from tfface.training.datasets import load_data
from tfface.training.recognizer import build_recognizer
from tfface.training.registries import REGISTRIES
from tfface.training.run import train

RECIPES = sorted((Path(__file__).resolve().parent.parent / "recipes").glob("*.yaml"))
each_recipe = pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)


def on_synthetic_faces(path: Path, *more: str) -> recipes.Recipe:
    """The recipe with what it says itself about running it on drawn faces, only fewer of them.

    Args:
        more: further overrides.
    """
    words = shlex.split(recipes.load(path, REGISTRIES).about.demo_overrides)
    overrides = [
        text for flag, text in zip(words[::2], words[1::2], strict=True) if flag == "--set"
    ]
    assert len(overrides) * 2 == len(words)
    loaded = recipes.load(path, REGISTRIES, overrides)
    assert loaded.data.train.name == "synthetic"
    num_identities = min(loaded.data.train.options["num_identities"], 20)
    return recipes.load(
        path,
        REGISTRIES,
        [
            *overrides,
            f"data.train.num_identities={num_identities}",
            "data.train.images_per_identity=4",
            "data.train.size=32",
            "data.batch_size=4",
            "evaluation.verification=[]",
            "evaluation.classification=none",
            *more,
        ],
    )


@each_recipe
def test_header_says_source_command_and_figures(path):
    header = [line for line in path.read_text(encoding="utf-8").split("\n") if line[:1] == "#"]
    assert any(re.search(rf"tfface train {path.stem}(?!\w)", line) for line in header)
    words = ["Measured"] if path.stem == "quickstart" else ["Source", "Published", "Measured"]
    for word in words:
        assert any(line.startswith(f"# {word}:") for line in header)


def test_what_k_face_adds_is_the_only_difference():
    """The two recipes are there to be compared."""
    names = ("arcface_resnet50_ms1m", "arcface_resnet50_ms1m_kface")
    without, with_k_face = (
        recipes.load(RECIPES[0].parent / f"{n}.yaml", REGISTRIES) for n in names
    )
    assert without.data.train != with_k_face.data.train
    for name in ("model", "training", "evaluation"):
        assert getattr(without, name) == getattr(with_k_face, name)
    changed = {"train": without.data.train}
    assert with_k_face.data.model_copy(update=changed) == without.data


# The networks are tested by themselves (tests/contracts); building the large ones takes most of the
# time here.
SMALL_BACKBONE = "model.backbone={name: plain_cnn, channels: [4, 8]}"
_OWN_BY_DEFAULT = 2_000_000
# Recipes whose small network another recipe has as well.
_SAME_NETWORK = {"finetune_published"}


# Recipes that are others with a few other values or another network: in the slow tier.
_VARIANTS = {
    "arcface_iresnet50_ms1m",
    "arcface_resnet50_ms1m_decoupled_decay",
    "arcface_resnet50_ms1m_kface",
    "arcface_scratch_lfw",
    "celebrity_inception_resnet_v1",
    "celebrity_simple_cnn",
    "finetune_published",
    "mobilenetv2_lfw",
    "mobilenetv2_transfer_7",
    "mobilenetv2_transfer_fine_tuned",
    "scenes_resnet34",
    "scenes_resnet152",
    "scenes_resnext101_32x8d",
    "scenes_wide_resnet101_2",
    "vgg16_transfer",
    "vgg16_transfer_bgr",
    "vgg16_transfer_cached_features",
    "vgg16_transfer_plain",
}


def with_its_network_if_small(path: Path):
    """A recipe with another network, and with its own, which is in the slow tier if it's large."""
    backbone = recipes.load(path, REGISTRIES).model.backbone.name
    is_small = sum(GOLDEN_COUNTS[backbone]) <= _OWN_BY_DEFAULT and path.stem not in _SAME_NETWORK
    marks = [pytest.mark.slow] if path.stem in _VARIANTS else []
    own = pytest.param(path, [], id=path.stem, marks=marks if is_small else pytest.mark.slow)
    if is_small:
        return [own]
    return [
        own,
        pytest.param(path, [SMALL_BACKBONE], id=f"{path.stem}-small_backbone", marks=marks),
    ]


@pytest.mark.parametrize(
    ("path", "overrides"), [case for path in RECIPES for case in with_its_network_if_small(path)]
)
def test_every_stage_makes_a_step_on_drawn_faces(path, overrides, tmp_path):
    recipe = on_synthetic_faces(path, *overrides)
    data = load_data(recipe, tmp_path, tmp_path)
    recognizer = build_recognizer(
        recipe.model,
        recipe.data.image_size,
        len(data.identities),
        tmp_path,
        distillation=recipe.training.distillation,
    )
    for number, stage in enumerate(recipe.training.stages):
        stages.prepare(recognizer, stage, data.train.steps_per_epoch)
        # Compiling a large network takes longer than a step of it.
        recognizer.run_eagerly = True
        history = recognizer.fit(data.train.epoch(number).take(1), verbose=0, shuffle=False).history
        assert np.isfinite(history["loss"][0])
    keras.backend.clear_session()


@each_recipe
def test_missing_data_is_explained(path, tmp_path):
    recipe = recipes.load(path, REGISTRIES)
    if recipe.data.train.name == "synthetic":
        pytest.skip("its data is made by the program")
    with pytest.raises(InputError, match="The data of this recipe: ") as caught:
        train(recipe, tmp_path / "run", tmp_path / "data")
    lines = str(caught.value).split("\n")
    # What else is missing has a line of its own.
    assert len(lines) == 3 + any(line.startswith("  Also missing: ") for line in lines)
    assert "The same recipe on synthetic faces: add --set" in lines[-1]
