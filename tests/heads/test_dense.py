import numpy as np
import pytest
from keras import ops

from tfface.errors import InputError
from tfface.heads.dense import SigmoidHead, SoftmaxHead


def test_sigmoid_is_binary_cross_entropy():
    head = SigmoidHead(num_identities=2)
    head.build((None, 3))
    head.dense.kernel.assign([[1.0], [2.0], [-1.0]])
    head.dense.bias.assign([0.5])
    embeddings = np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 1.0]], "float32")
    losses, found = head.loss_and_accuracy(embeddings, np.array([1, 1], "int32"))
    golden = -np.log(1 / (1 + np.exp(-np.array([1.5, -2.5]))))
    np.testing.assert_allclose(ops.convert_to_numpy(losses), golden, rtol=1e-5)
    np.testing.assert_array_equal(ops.convert_to_numpy(found), [1.0, 0.0])


def test_sigmoid_is_finite_for_extreme_logits():
    head = SigmoidHead(num_identities=2)
    head.build((None, 1))
    head.dense.kernel.assign([[1000.0]])
    embeddings = np.array([[1.0], [-1.0]], "float32")
    losses, _ = head.loss_and_accuracy(embeddings, np.array([0, 1], "int32"))
    np.testing.assert_allclose(ops.convert_to_numpy(losses), [1000.0, 1000.0])


def test_sigmoid_wants_two_identities():
    with pytest.raises(InputError, match=r"sigmoid tells two identities apart, and .* has 3"):
        SigmoidHead(num_identities=3)


def test_softmax_is_cross_entropy():
    head = SoftmaxHead(num_identities=3)
    head.build((None, 3))
    head.dense.kernel.assign(np.eye(3))
    losses, found = head.loss_and_accuracy(
        np.array([[0.0, 1.0, 2.0]], "float32"), np.array([2], "int32")
    )
    golden = np.log(np.exp([0.0, 1.0, 2.0]).sum()) - 2.0
    np.testing.assert_allclose(float(losses[0]), golden, rtol=1e-5)
    assert float(found[0]) == 1.0


def test_label_smoothing():
    """Cross-entropy with 1 - 0.3 on the identity and 0.3 spread evenly over all."""
    logits = np.array([0.0, 1.0, 2.0])
    head = SoftmaxHead(label_smoothing=0.3, num_identities=3)
    head.build((None, 3))
    head.dense.kernel.assign(np.eye(3))
    losses, _ = head.loss_and_accuracy(logits[None].astype("float32"), np.array([2], "int32"))
    log_probabilities = logits - np.log(np.exp(logits).sum())
    np.testing.assert_allclose(
        float(losses[0]), -np.dot([0.1, 0.1, 0.8], log_probabilities), rtol=1e-5
    )


def test_label_smoothing_of_one_unit():
    head = SigmoidHead(label_smoothing=0.2, num_identities=2)
    head.build((None, 1))
    head.dense.kernel.assign([[1.0]])
    losses, found = head.loss_and_accuracy(np.array([[1.5]], "float32"), np.array([1], "int32"))
    p = 1 / (1 + np.exp(-1.5))
    golden = -0.9 * np.log(p) - 0.1 * np.log(1 - p)
    np.testing.assert_allclose(float(losses[0]), golden, rtol=1e-5)
    assert float(found[0]) == 1.0
