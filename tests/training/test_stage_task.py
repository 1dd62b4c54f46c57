"""Training on cached features is training on images, only faster."""

import functools

import keras
import numpy as np
import pytest

from tests.training.recipes import load_tiny
from tfface.data.pipeline import cache as image_cache
from tfface.errors import InputError
from tfface.training import stages
from tfface.training.datasets import load_data
from tfface.training.feature_cache import FeatureCache, split_at_frozen
from tfface.training.recognizer import Recognizer, build_recognizer
from tfface.training.stage_task import image_task

COMMON = ["training.stages.0.epochs=3", "training.stages.0.optimizer={name: sgd, momentum: 0.5}"]


def learn(folder, *overrides, num_epochs=2, first_epoch=0, count=list):
    """Trains the first stage as a run does; returns the figures of each epoch and the weights."""
    recipe = load_tiny(folder, *COMMON, *overrides)
    keras.utils.set_random_seed(3)
    data = load_data(recipe, folder, folder)
    recognizer = build_recognizer(recipe.model, (32, 32), len(data.identities), folder)
    stages.prepare(recognizer, recipe.training.stages[0], data.train.steps_per_epoch)
    if recipe.data.cache == "features":
        task = FeatureCache(recognizer, data, recipe.data.num_cached_augmentations).task(
            first_epoch
        )
    else:
        task = image_task(recognizer, data)
    figures = []
    for epoch in range(first_epoch, first_epoch + num_epochs):
        history = task.model.fit(task.train.epoch(epoch), verbose=0, shuffle=False).history
        figures.append(
            [
                history["loss"][0],
                history["accuracy"][0],
                *(task.validate().values() if task.validate else ()),
            ]
        )
        count()
    variables = [*recognizer.variables, *recognizer.optimizer.variables]
    metrics = {id(v) for v in recognizer.metrics_variables}
    state = [keras.ops.convert_to_numpy(v) for v in variables if id(v) not in metrics]
    return np.array(figures), state


def assert_same(one, other):
    np.testing.assert_allclose(one[0], other[0], rtol=2e-4, atol=1e-5)
    for ours, theirs in zip(one[1], other[1], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    "overrides",
    [
        ["training.stages.0.ema_momentum=0.9"],
        # An uncached pipeline of drawn faces has the same order; nothing else is trained, so that
        # images are decoded once and dropped.
        pytest.param(
            [
                "training.stages.1.freeze=backbone",
                "model.neck={pooling: flatten, hidden_units: [6]}",
            ],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ["data.validation={fraction: 0.4, by: identity}", "model.neck.input_batch_norm=true"],
            marks=pytest.mark.slow,
        ),
        # Where the cut is with these, test_the_cut_is_behind_all_that_stays_the_same tests, too.
        pytest.param(
            ["model.neck={pooling: max}", "model.embedding_size=none", "data.validation=none"],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ["model.neck={pooling: adaptive_average_7x7, hidden_units: [6], dropout: 0.2}"],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_without_augmentation(tmp_path, overrides):
    overrides = [*overrides, "data.augment=[]"]
    expected = learn(tmp_path, *overrides, "data.cache=memory")
    assert_same(learn(tmp_path, *overrides, "data.cache=features"), expected)


@pytest.mark.slow
def test_with_as_many_copies_as_epochs(tmp_path, monkeypatch):
    expected = learn(tmp_path, "data.cache=memory", first_epoch=3)
    traced, counts = [], []
    compute_loss = Recognizer.compute_loss

    # Keras looks at the signature to know whether the loss may be told that it is not training.
    @functools.wraps(compute_loss)
    def traced_loss(self, *args, **kwargs):
        traced.append(1)
        return compute_loss(self, *args, **kwargs)

    monkeypatch.setattr(Recognizer, "compute_loss", traced_loss)
    found = learn(
        tmp_path,
        "data.cache=features",
        "data.num_cached_augmentations=2",
        first_epoch=3,
        count=lambda: counts.append(len(traced)),
    )
    assert_same(found, expected)
    # The second epoch compiled nothing.
    assert counts[0] == counts[1] > 0


def test_fewer_copies_come_again_with_their_labels(tmp_path):
    recipe = load_tiny(tmp_path, "data.cache=features", "data.num_cached_augmentations=2")
    data = load_data(recipe, tmp_path, tmp_path)
    recognizer = build_recognizer(recipe.model, (32, 32), len(data.identities), tmp_path)
    stages.prepare(recognizer, recipe.training.stages[0], data.train.steps_per_epoch)
    train = FeatureCache(recognizer, data, 2).task(5).train
    epochs = [list(train.epoch(epoch).as_numpy_iterator()) for epoch in range(5, 9)]
    for first, again in ((0, 2), (1, 3)):
        for one, other in zip(epochs[first], epochs[again], strict=True):
            np.testing.assert_array_equal(one[0], other[0])
            np.testing.assert_array_equal(one[1], other[1])
        labels = [labels for _, labels in data.train.epoch(5 + first).as_numpy_iterator()]
        np.testing.assert_array_equal(labels, [labels for _, labels in epochs[first]])
    assert not np.array_equal(epochs[0][0][0], epochs[1][0][0])


def test_stages_with_a_frozen_backbone_share_features_until_it_learns(tmp_path):
    recipe = load_tiny(tmp_path, "data.cache=features", "data.augment=[]")
    data = load_data(recipe, tmp_path, tmp_path)
    recognizer = build_recognizer(recipe.model, (32, 32), len(data.identities), tmp_path)
    stages.prepare(recognizer, recipe.training.stages[0], data.train.steps_per_epoch)
    features = FeatureCache(recognizer, data, None)
    train = features.task(0).train
    before = next(train.epoch(0).as_numpy_iterator())[0]
    assert features.task(1).train is train
    for variable in recognizer.backbone.variables:
        variable.assign(variable + 1.0)
    features.clear()
    after = next(features.task(1).train.epoch(0).as_numpy_iterator())[0]
    assert not np.allclose(before, after)


@pytest.mark.parametrize(
    ("overrides", "shape", "first"),
    [
        ([], (8,), "neck_dropout"),
        (["model.neck.dropout=0"], (8,), "embedding"),
        (["model.neck={pooling: flatten, input_batch_norm: true}"], (8, 8, 8), "neck_input_batch"),
        (["model.neck={pooling: max}", "model.embedding_size=none"], (8,), "embeddings"),
    ],
)
def test_the_cut_is_behind_all_that_stays_the_same(tmp_path, overrides, shape, first):
    recipe = load_tiny(tmp_path, *overrides)
    embedder = build_recognizer(recipe.model, (32, 32), 6, tmp_path).embedder
    frozen, tail = split_at_frozen(embedder)
    assert frozen.output_shape == (None, *shape)
    assert tail.layers[1].name.startswith(first)
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype("uint8")
    np.testing.assert_allclose(tail(frozen(images)), embedder(images), rtol=1e-5, atol=1e-6)
    embedder.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(images), embedder(images), rtol=1e-5, atol=1e-6)


def test_too_little_memory_is_said_before_anything_is_computed(tmp_path, monkeypatch):
    monkeypatch.setattr(image_cache, "_available_memory_bytes", lambda: 1 << 30)
    overrides = ["data.cache=features", "data.num_cached_augmentations=2"]
    with pytest.raises(
        InputError,
        match=r"^cache: features: 54 x 8 numbers, 0\.0 MiB of memory and 1\.00 GiB to spare, but "
        r"1\.00 GiB of memory are available: use cache: memory, fewer num_cached_augmentations or",
    ):
        learn(tmp_path, *overrides)
