"""Fast batch norms give what Keras' own give: outputs, statistics and gradients."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.contracts.gradients import gradient
from tfface import onednn
from tfface.kernels.batch_norm import batch_norm, use_fast_batch_norms

IMAGES = (10 * np.random.default_rng(0).normal(size=(3, 4, 5, 6)) + 3).astype("float32")


@pytest.fixture(autouse=True, params=[True, False], ids=["with oneDNN", "without"])
def both_forms(monkeypatch, request):
    """Each setting has its own form, and both must give the same on any TensorFlow."""
    monkeypatch.setattr(onednn, "is_on", lambda: request.param)


def make(fast: bool, **options) -> keras.Model:
    keras.utils.set_random_seed(1)
    images = keras.Input((4, 5, 6))
    norm = keras.layers.BatchNormalization(**options)
    inner = keras.Sequential([keras.Input((4, 5, 6)), keras.layers.Conv2D(3, 2), norm])
    model = keras.Model(images, keras.layers.ReLU()(inner(images)))
    rng = np.random.default_rng(2)
    norm.set_weights([rng.uniform(0.5, 2, w.shape) for w in norm.get_weights()])
    if fast:
        use_fast_batch_norms(model)
    return model


def assert_same(one, other):
    np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize(
    "options", [{}, {"epsilon": 1e-5, "momentum": 0.9}, {"scale": False}, {"center": False}]
)
def test_training(options):
    plain, fast = make(False, **options), make(True, **options)
    for _ in range(3):
        outputs = [ops.convert_to_numpy(model(IMAGES, training=True)) for model in (plain, fast)]
        assert_same(*outputs)
    for one, other in zip(plain.get_weights(), fast.get_weights(), strict=True):
        assert_same(one, other)


def test_vectors():
    vectors = IMAGES.reshape(-1, 6)
    norms = []
    for fast in (False, True):
        norms.append(keras.Sequential([keras.Input((6,)), keras.layers.BatchNormalization()]))
        if fast:
            use_fast_batch_norms(norms[-1])
    assert_same(*[ops.convert_to_numpy(norm(vectors, training=True)) for norm in norms])
    for one, other in zip(*[norm.get_weights() for norm in norms], strict=True):
        assert_same(one, other)


@pytest.mark.parametrize("trainable", [True, False])
def test_gradients(trainable):
    found = []
    for model in (make(False), make(True)):
        model.layers[1].layers[-1].trainable = trainable
        weights = ops.cos(ops.arange(3 * 3 * 4 * 3, dtype="float32"))
        found.append(
            gradient(
                lambda x, m=model, w=weights: ops.sum(ops.reshape(m(x, training=True), (-1,)) * w),
                IMAGES,
            )
        )
    assert np.abs(found[0]).max() > 0.01
    assert_same(*found)


def test_inference_is_keras_own():
    plain, fast = make(False), make(True)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(plain(IMAGES)), ops.convert_to_numpy(fast(IMAGES))
    )


def test_is_saved_as_a_plain_layer(tmp_path):
    model = make(True)
    model(IMAGES, training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.layers[1].layers[-1]) is keras.layers.BatchNormalization
    np.testing.assert_array_equal(
        ops.convert_to_numpy(model(IMAGES)), ops.convert_to_numpy(loaded(IMAGES))
    )


def make_half(precision: str) -> list[keras.Model]:
    keras.config.set_dtype_policy(precision)
    try:
        return [make(False), make(True)]
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only on TensorFlow")
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_stays_half(precision, training):
    models = make_half(precision)
    outputs = [model(IMAGES, training=training) for model in models]
    assert outputs[0].dtype == outputs[1].dtype
    one, other = (np.asarray(output, "float32") for output in outputs)
    np.testing.assert_allclose(one, other, rtol=0.02, atol=0.02)
    assert all(v.dtype == "float32" for v in models[1].weights)
    # Statistics are of float32, from the same bfloat16 or float16 values.
    for one, other in zip(*[model.get_weights() for model in models], strict=True):
        assert_same(one, other)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only on TensorFlow")
@pytest.mark.parametrize("training", [True, False])
def test_bfloat16_is_not_cast(both_forms, training):
    import tensorflow as tf

    model = make_half("mixed_bfloat16")[1]
    norm = model.layers[1].layers[-1]

    @tf.function
    def function(images):
        return norm(images, training=training)

    graph = function.get_concrete_function(tf.TensorSpec((2, 3, 4, 3), tf.bfloat16)).graph
    on_images = {op.type for op in graph.get_operations() if _is_of_images(op)}
    assert ("FusedBatchNormV3" in on_images and "Cast" not in on_images) == onednn.is_on()


def _is_of_images(operation) -> bool:
    return bool(operation.outputs) and operation.outputs[0].shape.rank == 4


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only on TensorFlow")
def test_it_is_used():
    fast = make(True)
    norm = fast.layers[1].layers[-1]
    assert "_call" in repr(norm.call)

    class Own(keras.layers.BatchNormalization):
        pass

    model = keras.Sequential([keras.Input((6,)), Own(), keras.layers.BatchNormalization()])
    use_fast_batch_norms(model)
    assert ["_call" in repr(layer.call) for layer in model.layers] == [False, True]


def test_against_the_formula_on_every_backend():
    values = IMAGES.reshape(-1, 6)
    gamma, beta = np.linspace(0.5, 2, 6, dtype="float32"), np.linspace(-1, 1, 6, dtype="float32")
    mean, variance = values.mean(axis=0), values.var(axis=0)
    found = [ops.convert_to_numpy(x) for x in batch_norm(values, gamma, beta, epsilon=0.1)]
    expected = gamma * (values - mean) / np.sqrt(variance + 0.1) + beta
    for one, other in zip(found, (expected, mean, variance), strict=True):
        assert_same(one, other)

    def plain(values, gamma, beta):
        mean, variance = ops.moments(values, axes=0)
        return gamma * (values - mean) * ops.rsqrt(variance + 0.1) + beta

    weights = np.cos(np.arange(values.size, dtype="float32")).reshape(values.shape)
    arguments = [values, gamma, beta]
    for place in range(3):

        def loss(x, function, place=place):
            given = [*arguments[:place], x, *arguments[place + 1 :]]
            given = [ops.convert_to_tensor(one) for one in given]
            return ops.sum(weights * function(*given))

        def fast(*given):
            return batch_norm(*given, epsilon=0.1)[0]

        one, other = (gradient(lambda x, f=f: loss(x, f), arguments[place]) for f in (fast, plain))
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
