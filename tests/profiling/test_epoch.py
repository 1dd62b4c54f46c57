"""Epochs are measured with one setting changed at a time."""

import csv
import dataclasses
import json
import time
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.reporting.plot_files import is_plot
from tests.training.recipes import TINY
from tfface.cli import benchmark as tool
from tfface.errors import InputError
from tfface.profiling import epoch
from tfface.profiling.epoch import (
    Case,
    DataWaitTimer,
    EpochTime,
    Measurement,
    advice,
    measure_epochs,
    plan_epochs,
    rows,
    to_json,
)

FROZEN = "training.stages.0.freeze=backbone"
FLIP = "data.augment=[random_flip]"


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY, encoding="utf-8")
    return path


def test_each_case_changes_one_setting(recipe):
    cases = plan_epochs(recipe, [FLIP, FROZEN, "data.cache=none"], batch_sizes=[4])
    assert [case.name for case in cases] == [
        "as the recipe says",
        "cache: memory",
        "without augmentation",
        "cache: features",
        "without prefetch",
        "batch size 4",
    ]
    base, memory, bare, features, direct, small = cases
    assert memory.recipe.data == base.recipe.data.model_copy(update={"cache": "memory"})
    assert bare.recipe.data == base.recipe.data.model_copy(update={"augment": []})
    assert features.recipe.data.num_cached_augmentations == 1
    assert direct.recipe == base.recipe
    assert [case.prefetch for case in cases] == [True] * 4 + [False, True]
    assert small.recipe.data.batch_size == 4


def test_cases_with_a_feature_cache(recipe):
    cases = plan_epochs(recipe, [FROZEN, "data.augment=[]", "data.cache=features"])
    assert [case.name for case in cases] == [
        "as the recipe says",
        "cache: none",
        "cache: memory",
        "without prefetch",
    ]
    # Only a frozen backbone has features that stay.
    assert "cache: features" not in [case.name for case in plan_epochs(recipe, [], stage=1)]


@pytest.mark.slow
def test_measures(recipe, tmp_path):
    base, *_, direct = plan_epochs(recipe, [FLIP, "data.cache=none"])
    cases = [base, direct]
    said = []
    measured = measure_epochs(cases, tmp_path, num_rounds=2, say=said.append)
    assert [measurement.case for measurement in measured] == cases
    for measurement in measured:
        assert len(measurement.steady) == 2
        assert 0 <= measurement.first.data_wait_seconds < measurement.first.seconds
        assert 0 <= measurement.data_wait_fraction < 1
        assert 0 < measurement.cpu_utilization <= 1
        # The network alone has thousands of weights, and TensorFlow takes megabytes to begin.
        assert measurement.peak_memory_bytes > 1 << 20
    assert measured[0].relative_time == 1
    assert said[-1] == "memory: without prefetch"
    table, found = rows(measured), to_json(measured)
    assert [row["variant"] for row in table] == [measurement["name"] for measurement in found]
    assert [row["baseline"] for row in table] == ["as the recipe says"] * 2
    # Both have the same memory, in MiB here.
    assert [row["peak_memory_mib"] for row in table] == [
        measurement.peak_memory_bytes / (1 << 20) for measurement in measured
    ]
    for measurement in found:
        rates = measurement["images_per_second"]
        assert 0 < rates["min"] <= rates["median"] <= rates["max"]
        assert measurement["first_epoch_seconds"] > 0
        assert measurement["steady_epoch_seconds"] > 0


def test_the_tool_measures(recipe, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(epoch, "plan_epochs", lambda *a, **b: plan_epochs(*a, **b)[:2])
    tool.main(
        [
            *("epoch", str(recipe), "--runs", "1", "--no-memory", "--set", "data.cache=none"),
            *("--json", str(tmp_path / "epochs.json"), "--results", str(tmp_path / "epochs.csv")),
            *("--plots", str(tmp_path / "plots")),
        ]
    )
    with (tmp_path / "epochs.csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    written = json.loads((tmp_path / "epochs.json").read_text(encoding="utf-8"))
    assert [row["variant"] for row in table] == [case["name"] for case in written]
    assert table[0]["variant"] == "as the recipe says"
    assert len(table) == 2
    assert is_plot(tmp_path / "plots" / "epoch.png")
    assert table[1]["variant"] in capsys.readouterr().out


@pytest.fixture
def model():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    return model


def test_waits_for_batches_are_measured(model):
    def slow():
        for _ in range(3):
            time.sleep(0.1)
            yield np.zeros((2, 1), "float32"), np.zeros((2, 1), "float32")

    spec = tf.TensorSpec((2, 1))
    batches = tf.data.Dataset.from_generator(slow, output_signature=(spec, spec))
    waiting = DataWaitTimer(model)
    history = model.fit(batches, verbose=0, shuffle=False, callbacks=[waiting]).history
    # While a step is computed, the next batch is on its way.
    assert waiting.seconds >= 0.1
    assert np.isfinite(history["loss"][0])


def test_steps_are_no_waits(model, monkeypatch):
    """By a clock that only steps move."""
    clock = types.SimpleNamespace(now=0.0)
    monkeypatch.setattr(epoch.time, "perf_counter", lambda: clock.now)

    class Step(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            clock.now += 7

    ready = tf.data.Dataset.from_tensors((np.zeros((2, 1)), np.zeros((2, 1)))).repeat(3)
    waiting = DataWaitTimer(model)
    # In this order: what a step takes comes before the moment from which waiting is counted.
    model.fit(ready, verbose=0, shuffle=False, callbacks=[Step(), waiting])
    assert clock.now == 21
    assert waiting.seconds == 0


def measured_as(seconds: dict[str, float], waited: float, recipe) -> list[Measurement]:
    base = plan_epochs(recipe, [])[0]
    first = next(iter(seconds.values()))
    return [
        Measurement(
            dataclasses.replace(base, name=name),
            10,
            EpochTime(1, 0, 1),
            (EpochTime(value, waited * value, 0),),
            value / first,
            0,
        )
        for name, value in seconds.items()
    ]


@pytest.mark.parametrize(
    ("seconds", "waited", "expected"),
    [
        (
            {"as the recipe says": 10, "cache: memory": 4, "without prefetch": 12},
            0.6,
            "recommended change: 'cache: memory'; a steady epoch then takes 0.40 times as long",
        ),
        (
            {"as the recipe says": 10, "without augmentation": 5, "without prefetch": 12},
            0.1,
            "augmentation is the largest cost besides the network: without it a steady epoch "
            "takes 0.50 times as long",
        ),
        (
            {"as the recipe says": 10, "cache: memory": 9.8, "without prefetch": 12},
            0.4,
            "the input pipeline limits training: 40% of an epoch is waiting for data",
        ),
        (
            {"as the recipe says": 10, "without augmentation": 9.9, "without prefetch": 12},
            0.01,
            "the network limits training: only 1% of an epoch is waiting for data",
        ),
    ],
)
def test_advice(seconds, waited, expected, recipe):
    assert advice(measured_as(seconds, waited, recipe)).startswith(expected)


def test_unknown_stage(recipe):
    with pytest.raises(InputError, match=r"--stage 7: the recipe's stages are 0 to"):
        plan_epochs(recipe, [], stage=7)


def test_cases_can_be_pickled(recipe):
    import pickle

    case = plan_epochs(recipe, [])[0]
    assert pickle.loads(pickle.dumps(case)) == case
    assert isinstance(case, Case)
