"""Images augmented in the step of training are those that the input pipeline would have made."""

import keras
import pytest

from tests.training.recipes import ONE_STAGE, load_tiny
from tests.training.test_midway import assert_same_run
from tfface.errors import InputError
from tfface.training.device import prepare_device, with_augmentation_place
from tfface.training.run import train

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="augments on the device on TensorFlow only"
)

STAGES = {
    "geometry and colors": "[{random_crop: {from_size: 36}}, random_flip, {color_jitter: {}}]",
    "mixed identities": "[random_flip, mixup]",
    "nothing": "[]",
}


@pytest.mark.parametrize(
    "stages",
    [
        pytest.param(stages, id=name, marks=[] if name == "mixed identities" else pytest.mark.slow)
        for name, stages in STAGES.items()
    ],
)
def test_same_run(tmp_path, stages):
    runs = []
    for place in ("host", "device"):
        how = f"data.augment={stages}", f"data.augment_on={place}"
        recipe = load_tiny(tmp_path, *ONE_STAGE, *how)
        runs.append(train(recipe, tmp_path / place, tmp_path).path)
    assert_same_run(*runs)


@pytest.mark.slow
def test_same_run_of_a_student(tmp_path):
    runs = []
    for place in ("host", "device"):
        distillation = "training.distillation={teacher: pixels, loss: relational}"
        how = "data.augment=[random_flip]", f"data.augment_on={place}", distillation
        runs.append(train(load_tiny(tmp_path, *ONE_STAGE, *how), tmp_path / place, tmp_path).path)
    assert_same_run(*runs)


def test_another_backend(tmp_path, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    recipe = load_tiny(tmp_path, "data.augment_on=device")
    with pytest.raises(InputError) as raised:
        prepare_device(recipe.training, recipe.data)
    assert str(raised.value) == (
        "data.augment_on: device works with KERAS_BACKEND=tensorflow only, and the backend is jax: "
        "use data.augment_on: host"
    )


GPU = ["gpu:0"]
SEVERAL = "training.distribution={mode: data_parallel}"


@pytest.mark.parametrize(
    ("devices", "overrides", "place"),
    [
        (GPU, ["data.augment=[random_flip]"], "device"),
        (["cpu:0"], ["data.augment=[random_flip]"], "host"),
        (GPU, ["data.augment=[]"], "host"),
        (GPU, ["data.augment=[{keras_layer: {layer: RandomSharpness, factor: 0.5}}]"], "host"),
        (
            GPU,
            ["data.augment=[random_flip]", "training.distribution={mode: data_parallel}"],
            "host",
        ),
        (GPU, ["data.augment=[random_flip]", "data.augment_on=host"], "host"),
        (["cpu:0"], ["data.augment=[random_flip]", "data.augment_on=device"], "device"),
    ],
)
def test_auto_is_the_device_where_it_can_be(tmp_path, monkeypatch, devices, overrides, place):
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: devices)
    recipe = load_tiny(tmp_path, *overrides)
    assert with_augmentation_place(recipe).data.augment_on == place


def test_what_auto_has_chosen_stays(tmp_path, monkeypatch):
    recipe = load_tiny(tmp_path, "data.augment=[random_flip]")
    assert recipe.data.augment_on == "auto"
    written = with_augmentation_place(recipe)
    assert written.data.augment_on == "host"
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: GPU)
    assert with_augmentation_place(recipe, written).data.augment_on == "host"
    written = with_augmentation_place(recipe)
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: ["cpu:0"])
    assert with_augmentation_place(recipe, written).data.augment_on == "device"
