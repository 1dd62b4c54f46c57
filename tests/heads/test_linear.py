"""Softmax and sigmoid heads against SciPy's logarithms of probabilities."""

import numpy as np
import pytest
from keras import ops
from scipy.special import expit, log_expit, log_softmax, softmax

from tfface.errors import InputError
from tfface.heads.linear import SigmoidHead, SoftmaxHead

SHARES = pytest.mark.parametrize("share", [0.0, 0.2, 0.9])
# Where an exponential over- or underflows in float32, too.
SIZES = pytest.mark.parametrize("size", [1, 30, 1000])


def made_logits(size: float, *shape: int) -> np.ndarray:
    return (size * np.random.default_rng(0).normal(size=shape)).astype("float32")


@SHARES
@SIZES
def test_softmax(share, size):
    """Cross-entropy with 1 - share on the identity, and the share spread evenly over all."""
    logits, identities = made_logits(size, 40, 5), np.arange(40, dtype="int32") % 5
    head = SoftmaxHead(label_smoothing=share, num_identities=5)
    head.build((None, 5))
    head.dense.kernel.assign(np.eye(5))
    losses, correct = head.losses_and_correct(logits, identities)
    targets = (1 - share) * np.eye(5)[identities] + share / 5
    expected = -np.sum(targets * log_softmax(logits.astype(np.float64), axis=1), axis=1)
    np.testing.assert_allclose(ops.convert_to_numpy(losses), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(correct), logits.argmax(axis=1) == identities
    )
    np.testing.assert_allclose(
        ops.convert_to_numpy(head.probabilities(logits)), softmax(logits, axis=1), atol=1e-6
    )


@SHARES
@SIZES
def test_sigmoid(share, size):
    """The same of two, whose logits are 0 and that of the one unit."""
    logits, identities = made_logits(size, 40, 1), np.arange(40, dtype="int32") % 2
    head = SigmoidHead(label_smoothing=share, num_identities=2)
    head.build((None, 1))
    head.dense.kernel.assign([[1.0]])
    losses, correct = head.losses_and_correct(logits, identities)
    signs = np.float64([[-1, 1]])
    targets = (1 - share) * np.eye(2)[identities] + share / 2
    expected = -np.sum(targets * log_expit(signs * logits), axis=1)
    np.testing.assert_allclose(ops.convert_to_numpy(losses), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(ops.convert_to_numpy(correct), (logits[:, 0] > 0) == identities)
    # Small ones to their own precision, down to what float32 rounds to 0.
    np.testing.assert_allclose(
        ops.convert_to_numpy(head.probabilities(logits)),
        expit(signs * logits),
        rtol=1e-5,
        atol=np.finfo("float32").tiny,
    )


def test_the_layer_has_kernel_and_bias():
    for head in (SoftmaxHead(num_identities=2), SigmoidHead(num_identities=2)):
        head.build((None, 3))
        kernel, bias = (
            made_logits(1, *head.dense.kernel.shape),
            made_logits(1, *head.dense.bias.shape),
        )
        head.dense.kernel.assign(kernel)
        head.dense.bias.assign(bias)
        embeddings = made_logits(2, 7, 3)
        logits = ops.convert_to_numpy(head.logits(embeddings))
        np.testing.assert_allclose(logits, embeddings @ kernel + bias, rtol=1e-5, atol=1e-6)


def test_sigmoid_wants_two_identities():
    with pytest.raises(InputError, match=r"sigmoid tells two identities apart, and .* has 3"):
        SigmoidHead(num_identities=3)
