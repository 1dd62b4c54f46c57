"""Training steps, their operations by hand and as published, and plain Keras beside them."""

import csv
import importlib.util
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tests.reporting.plot_files import is_plot
from tests.training.recipes import ONE_STAGE, TINY
from tfface.backbones import BACKBONES
from tfface.cli import benchmark as tool
from tfface.errors import InputError
from tfface.heads import ArcFace
from tfface.profiling import baselines, step
from tfface.profiling.step import (
    _build,
    matmul_flops_per_second,
    measure_steps,
    plan_steps,
    rows,
    step_flops,
    to_json,
)
from tfface.reporting.results import text_table
from tfface.training import stages
from tfface.training.recognizer import Recognizer
from tfface.training.sweep_axes import parse_axis

KERAS_RECIPE = [
    "model.backbone={name: mobilenet_v2}",
    "training.stages=[{name: all, epochs: 1, optimizer: {name: sgd, learning_rate: 0.01}}]",
]


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY, encoding="utf-8")
    return path


def plan(
    recipe,
    *overrides,
    vary=(),
    identity_counts=(6,),
    compare_with=(),
    xla=(False,),
    onednn_settings=(True,),
):
    return plan_steps(
        recipe,
        overrides,
        [parse_axis(text) for text in vary],
        identity_counts,
        compare_with=compare_with,
        xla=xla,
        onednn_settings=onednn_settings,
        num_steps=1,
    )


def test_cases_are_all_combinations(recipe):
    cases = plan(
        recipe,
        *KERAS_RECIPE,
        vary=["data.batch_size=4,8"],
        identity_counts=(6, 9),
        compare_with=["keras"],
        xla=(False, True),
    )
    # Plain Keras is not measured under XLA.
    assert len(cases) == 2 * 2 * (3 + 2)
    assert len({case.name for case in cases}) == len(cases)
    assert cases[0].name == "tfface, 4, 6 identities"


def test_a_frozen_backbone_is_compared_with_its_predictions(recipe):
    cases = plan(recipe, "training.stages.0.freeze=backbone", xla=(False, True))
    assert [case.implementation for case in cases] == [
        "predict",
        "tfface",
        "tfface, in fit",
        "tfface",
        "tfface, in fit",
    ]
    run, _ = _build(cases[0])
    run()


@pytest.mark.slow
def test_the_tool_measures(recipe, tmp_path, capsys, monkeypatch):
    # One of its cases: each takes a process.
    monkeypatch.setattr(step, "plan_steps", lambda *a, **b: plan_steps(*a, **b)[1:2])
    tool.main(
        [
            *("step", str(recipe), "--set", "data.batch_size=4", "--num-identities", "6"),
            *("--steps", "1", "--runs", "1", "--json", str(tmp_path / "steps.json")),
            *("--results", str(tmp_path / "steps.csv"), "--plots", str(tmp_path / "plots")),
        ]
    )
    with (tmp_path / "steps.csv").open(encoding="utf-8") as file:
        [row] = csv.DictReader(file)
    assert (row["implementation"], row["num_identities"]) == ("tfface", "6")
    assert float(row["peak_memory_mib"]) > 0
    assert float(row["images_per_s"]) == pytest.approx(4000 / float(row["step_ms"]), rel=0.01)
    written = json.loads((tmp_path / "steps.json").read_text(encoding="utf-8"))
    assert [case["name"] for case in written] == ["tfface, tiny, 6 identities"]
    assert is_plot(tmp_path / "plots" / "step.png")
    assert "tfface" in capsys.readouterr().out


@pytest.mark.slow
def test_measures(recipe):
    cases = plan(recipe, "data.batch_size=4")
    measured = measure_steps(cases, num_rounds=1, say=lambda line: None)
    predictions, step, trainer = rows(measured)
    assert [row["implementation"] for row in (predictions, step, trainer)] == [
        "predict",
        "tfface",
        "tfface, in fit",
    ]
    assert all(
        measurement.seconds > 0 and measurement.peak_memory_bytes > 0 for measurement in measured
    )
    assert step["images_per_s"] == pytest.approx(4000 / step["step_ms"])


@pytest.mark.slow
def test_measures_compared_with_keras_and_without_onednn(recipe):
    onednn_settings = plan(recipe, *KERAS_RECIPE, "data.batch_size=4", compare_with=["keras"])
    [without, *_] = plan(recipe, *KERAS_RECIPE, "data.batch_size=4", onednn_settings=[False])
    cases = [*onednn_settings, without]
    said = []
    measured = measure_steps(cases, num_rounds=1, say=said.append)
    own, trainer, baseline, elsewhere = rows(measured)
    assert [row["onednn"] for row in (own, elsewhere)] == [True, False]
    assert elsewhere["flops_utilization"] > 0
    assert baseline["flops_utilization"] is None
    assert [row["implementation"] for row in (own, trainer, baseline)] == [
        "tfface",
        "tfface, in fit",
        "keras",
    ]
    assert own["relative_time"] == 1
    assert {row["baseline"] for row in (own, baseline)} == {cases[0].name}
    assert own["flops_utilization"] > 0
    assert own["images_per_s"] == pytest.approx(4000 / own["step_ms"])
    assert all(measurement.seconds > 0 for measurement in measured)
    # The network alone has 2.2 million weights, each with its gradient and momentum.
    assert all(measurement.peak_memory_bytes > 2.2e6 * 4 * 3 for measurement in measured)
    assert "memory: keras, tiny, 6 identities" in said
    for figures, measurement in zip(to_json(measured), measured, strict=True):
        rates = figures["images_per_second"]
        assert figures["name"] == measurement.case.name
        assert (
            rates["min"]
            == rates["median"]
            == rates["max"]
            == pytest.approx(4 / measurement.seconds)
        )
    assert text_table([own, trainer, baseline]).count("\n") == 3


def test_the_baseline_head_has_the_same_loss():
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(5, 8)).astype("float32")
    identity_counts = np.array([0, 3, 3, 1, 6], "int32")
    head = ArcFace(margin=0.5, scale=16.0, num_identities=7)
    head.build((None, 8))
    expected, _ = head.losses_and_correct(embeddings, identity_counts)
    logits = baselines._logits(
        tf.nn.l2_normalize(embeddings, axis=1),
        tf.transpose(head.class_centers.value),
        tf.constant(identity_counts),
        0.5,
        16.0,
    )
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(identity_counts, logits)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)


def test_cases_that_cannot_be_measured(recipe, monkeypatch):
    with pytest.raises(InputError, match=r"add --set model\.backbone\.weights=none"):
        plan(recipe, "model.backbone={name: resnet50, weights: imagenet}")
    with pytest.raises(InputError, match=r"has no model\.backbone plain_cnn; it has"):
        plan(recipe, compare_with=["keras"])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="--compare-with tf_keras: tf_keras is not installed here"):
        plan(recipe, *KERAS_RECIPE, compare_with=["tf_keras"])


def forward(network: keras.Model) -> float:
    """Operations of an image, without those of the head."""
    images = keras.Input(network.input_shape[1:])
    embedder = keras.Model(images, layers.GlobalAveragePooling2D()(network(images)))
    head = ArcFace(num_identities=3)
    recognizer = Recognizer(embedder, head)
    return step_flops(recognizer, 4) / 12 - 2 * 3 * embedder.output_shape[-1]


def test_layers_by_hand():
    images = keras.Input((8, 6, 4))
    values = layers.Conv2D(5, 3, strides=2, padding="same")(images)
    values = layers.DepthwiseConv2D(3, padding="same")(values)
    values = layers.BatchNormalization()(layers.Dense(7)(values))
    values = layers.EinsumDense("bhwc,cgd->bhwgd", (None, None, 2, 3))(values)
    values = layers.Reshape((4, 3, 6))(values)
    network = keras.Model(images, values)
    places = 4 * 3
    macs = places * (9 * 4 * 5 + 9 * 5 + 5 * 7 + 7 * 6)
    assert forward(network) == 2 * macs


@pytest.mark.parametrize(("name", "giga"), [("resnet50", 7.7), ("mobilenet_v2", 0.60)])
def test_published_counts(name, giga):
    """3.86 and 0.30 GMAC at 224 pixels, in the papers (the latter with its last layer's 1.3 M)."""
    network = BACKBONES[name](image_size=(224, 224)).network
    assert forward(network) / 1e9 == pytest.approx(giga, rel=0.02)


def test_ceiling_is_plausible():
    assert 1e9 < matmul_flops_per_second() < 1e15


def test_steps_compute_in_the_precision_of_the_recipe(recipe, monkeypatch):
    made, prepare = [], stages.prepare

    def keep(recognizer, *rest):
        made.append(recognizer)
        prepare(recognizer, *rest)

    monkeypatch.setattr(stages, "prepare", keep)
    for precision in ("float32", "mixed_bfloat16"):
        _build(plan(recipe, *ONE_STAGE, f"training.precision={precision}")[0])
    types = [{layer.compute_dtype for layer in one.backbone.layers} for one in made]
    assert types == [{"float32"}, {"bfloat16"}]
    with pytest.raises(InputError, match="auto is chosen when a run begins"):
        plan(recipe, "training.precision=auto")
