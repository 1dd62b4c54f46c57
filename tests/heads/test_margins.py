"""Each margin against its paper's formula in float64, and the functions that margins share."""

import dataclasses
import math

import keras
import numpy as np
import pytest
from keras import ops

from tests.contracts.gradients import gradient
from tests.heads.reference import (
    CENTERS,
    EMBEDDINGS,
    LABELS,
    central_differences,
    check,
    cross_entropy,
    unit,
    with_centers,
)
from tfface.errors import InputError
from tfface.heads import (
    AdaFaceMargin,
    ArcFaceMargin,
    ClassCenters,
    CombinedMargin,
    CosFaceMargin,
    CurricularFaceMargin,
    MagFaceMargin,
    Margin,
    MarginSoftmax,
    SphereFaceMargin,
)
from tfface.heads.margins import adaface_margin, arcface_margin, combined_margin

SINGLE = EMBEDDINGS.astype("float32")


def head_of(margin: Margin, scale: float = 8.0, num_classes: int = 4, **options) -> MarginSoftmax:
    centers = ClassCenters(num_classes, **options)
    return with_centers(MarginSoftmax(margin, centers, scale))


class TestFormulas:
    def test_arcface(self):
        def loss(cosines, label, *_):
            cosines[label] = math.cos(math.acos(cosines[label]) + 0.5)
            return cross_entropy(8.0 * cosines, label)

        check(head_of(ArcFaceMargin()), loss)

    def test_arcface_by_hand(self):
        """60 degrees from center 0, 30 from center 1, 120 from center 2."""
        head = MarginSoftmax(ArcFaceMargin(0.5), ClassCenters(3), scale=4.0)
        with_centers(head, np.array([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0]]))
        embedding = np.array([[math.cos(math.pi / 3), math.sin(math.pi / 3)]], "float32")
        losses, correct = head.losses_and_correct(embedding, np.array([0], "int32"))
        logits = 4.0 * np.cos([math.pi / 3 + 0.5, math.pi / 6, 2 * math.pi / 3])
        np.testing.assert_allclose(float(losses[0]), cross_entropy(logits, 0), rtol=1e-5)
        assert float(correct[0]) == 0.0

    @pytest.mark.parametrize("margin", [0.5, 1.5])
    def test_arcface_straight_through(self, margin):
        """The value of the formula, also beyond pi; the gradient of a cosine moved by a number."""
        own = np.sum(unit(EMBEDDINGS) * unit(CENTERS[LABELS]), axis=1)
        moved = np.cos(np.arccos(own) + margin) - own

        def loss(embedding, label, move):
            cosines = unit(CENTERS) @ unit(embedding)
            cosines[label] += move
            return cross_entropy(8.0 * cosines, label)

        head = head_of(ArcFaceMargin(margin, gradient="straight_through"))
        examples = list(zip(EMBEDDINGS, LABELS, moved, strict=True))
        losses = ops.convert_to_numpy(head.losses_and_correct(SINGLE, LABELS)[0])
        np.testing.assert_allclose(losses, [loss(*e) for e in examples], rtol=2e-5, atol=1e-5)
        found = gradient(lambda x: ops.sum(head.losses_and_correct(x, LABELS)[0]), SINGLE)
        golden = [central_differences(lambda x, e=e: loss(x, *e[1:]), e[0]) for e in examples]
        np.testing.assert_allclose(found, golden, rtol=1e-3, atol=1e-5)

    def test_cosface(self):
        def loss(cosines, label, *_):
            cosines[label] -= 0.35
            return cross_entropy(16.0 * cosines, label)

        check(head_of(CosFaceMargin(), scale=16.0), loss)

    def test_cosface_by_hand(self):
        """60 degrees from the own center, 30 from the other: logits 2 * (0.5 - 0.25), sqrt(3)."""
        head = MarginSoftmax(CosFaceMargin(0.25), ClassCenters(2), scale=2.0)
        with_centers(head, np.eye(2))
        embedding = np.array([[math.cos(math.pi / 3), math.sin(math.pi / 3)]], "float32")
        losses, correct = head.losses_and_correct(embedding, np.array([0], "int32"))
        golden = math.log(1 + math.exp(math.sqrt(3) - 0.5))
        np.testing.assert_allclose(float(losses[0]), golden, rtol=1e-6)
        assert float(correct[0]) == 0.0

    @pytest.mark.parametrize("margin", [1.0, 1.5, 4.0])
    @pytest.mark.parametrize("label", [0, 2])
    def test_sphereface(self, margin, label):
        def psi_by_intervals(theta: float) -> float:
            """(-1)^k cos(margin * theta) - 2k, k where margin * theta is in [k pi, (k + 1) pi]."""
            for k in range(9):
                if k * math.pi <= margin * theta <= (k + 1) * math.pi:
                    return (-1) ** k * math.cos(margin * theta) - 2 * k
            raise ValueError(theta)

        def loss(cosines, y, *_):
            cosines[y] = psi_by_intervals(math.acos(cosines[y]))
            return cross_entropy(5.0 * cosines, y)

        head = head_of(SphereFaceMargin(margin), scale=5.0)
        check(head, loss, labels=np.full(len(EMBEDDINGS), label, "int32"))

    @pytest.mark.parametrize(
        ("m1", "m2", "m3"), [(1.0, 0.3, 0.2), (0.9, 0.4, 0.15), (1.3, 0.2, 0.1), (2.0, 0.0, 0.3)]
    )
    def test_combined(self, m1, m2, m3):
        def loss(cosines, label, *_):
            angle = m1 * math.acos(cosines[label]) + m2
            k = angle // math.pi
            cosines[label] = (-1) ** k * math.cos(angle) - 2 * k - m3
            return cross_entropy(8.0 * cosines, label)

        check(head_of(CombinedMargin(m1, m2, m3)), loss)

    @pytest.mark.parametrize(
        ("combined", "alone"),
        [
            (CombinedMargin(1.0, 0.5, 0.0), ArcFaceMargin(0.5)),
            (CombinedMargin(1.0, 0.0, 0.35), CosFaceMargin(0.35)),
            (CombinedMargin(1.5, 0.0, 0.0), SphereFaceMargin(1.5)),
        ],
    )
    def test_a_combined_margin_of_one_is_that_margin(self, combined, alone):
        # ArcFace continues in another way where theta + margin is beyond pi.
        angles = np.arccos(np.sum(unit(EMBEDDINGS) * unit(CENTERS[LABELS]), axis=1))
        assert np.all(angles + 0.5 < math.pi)
        losses = [
            ops.convert_to_numpy(head_of(margin, 64.0).losses_and_correct(SINGLE, LABELS)[0])
            for margin in (combined, alone)
        ]
        np.testing.assert_allclose(*losses, rtol=1e-4)

    @pytest.mark.parametrize("t", [0.0, 0.3, 0.9])
    def test_curricularface(self, t):
        """Some of the examples have hard negatives, some have none."""

        def loss(cosines, label, *_):
            own = math.cos(math.acos(cosines[label]) + 0.5)
            logits = np.where(cosines > own, cosines * (t + cosines), cosines)
            logits[label] = own
            return cross_entropy(8.0 * logits, label)

        head = head_of(CurricularFaceMargin())
        head.statistics["mean_cosine"].assign(t)
        check(head, loss)

    @pytest.mark.parametrize(("mean", "std"), [(20.0, 100.0), (12.0, 9.0), (10.0, 1.0)])
    def test_adaface(self, mean, std):
        """The authors' code in float64: small, average and large norms."""

        def loss(cosines, label, _, norm):
            scaler = (np.clip(norm, 0.001, 100) - mean) / (std + 1e-3)
            scaler = np.clip(0.333 * scaler, -1, 1)
            # The code keeps 1e-3 away from 0 and pi.
            angle = np.clip(math.acos(cosines[label]) - 0.4 * scaler, 0, math.pi)
            cosines[label] = math.cos(angle) - (0.4 + 0.4 * scaler)
            return cross_entropy(8.0 * cosines, label)

        head = head_of(AdaFaceMargin())
        head.statistics["mean_norm"].assign(mean)
        head.statistics["norm_std"].assign(std)
        check(head, loss)

    @pytest.mark.parametrize("easy_margin", [True, False])
    def test_magface(self, easy_margin):
        """Norms lie below, between and beyond the two that clip them."""

        def loss(cosines, label, norm, _):
            a = np.clip(norm, 10, 35)
            margin = 0.45 + (0.8 - 0.45) / (35 - 10) * (a - 10)
            if cosines[label] > 0 or not easy_margin:
                cosines[label] = math.cos(math.acos(cosines[label]) + margin)
            return cross_entropy(8.0 * cosines, label) + 20 * (1 / a + a / 35**2)

        norms = np.linalg.norm(EMBEDDINGS, axis=1)
        assert np.any(norms < 10)
        assert np.any(norms > 35)
        assert np.any((norms > 10) & (norms < 35))
        own = np.sum(unit(EMBEDDINGS) * unit(CENTERS[LABELS]), axis=1)
        assert np.any(own > 0)
        assert np.any(own < 0)
        margin = MagFaceMargin(upper_norm=35.0, lambda_g=20.0, easy_margin=easy_margin)
        check(head_of(margin), loss)

    def test_subcenter_arcface(self):
        """Four centers, the first two of class 0: the nearest of each class counts."""

        def loss(cosines, label, *_):
            nearest = np.array([max(cosines[0], cosines[1]), max(cosines[2], cosines[3])])
            nearest[label] = math.cos(math.acos(nearest[label]) + 0.5)
            return cross_entropy(8.0 * nearest, label)

        head = head_of(ArcFaceMargin(), num_classes=2, centers_per_class=2)
        check(head, loss, labels=np.array([0, 1, 0, 1, 1], "int32"))


class TestRunningStatistics:
    def test_of_curricularface_are_used_after_their_update(self):
        head = head_of(CurricularFaceMargin())
        mean = np.mean(np.sum(unit(EMBEDDINGS) * unit(CENTERS)[LABELS], axis=1))
        first = head.losses_and_correct(SINGLE, LABELS, training=True)[0]
        assert float(head.statistics["mean_cosine"]) == pytest.approx(0.01 * mean, rel=1e-5)
        np.testing.assert_allclose(
            ops.convert_to_numpy(first),
            ops.convert_to_numpy(head.losses_and_correct(SINGLE, LABELS)[0]),
            rtol=1e-5,
        )
        head.losses_and_correct(SINGLE, LABELS, training=True)
        expected = 0.01 * mean * 1.99
        assert float(head.statistics["mean_cosine"]) == pytest.approx(expected, rel=1e-5)

    def test_of_adaface(self):
        head = head_of(AdaFaceMargin())
        head.losses_and_correct(SINGLE, LABELS, training=True)
        norms = np.linalg.norm(EMBEDDINGS, axis=1)
        found = {name: float(value) for name, value in head.statistics.items()}
        assert found["mean_norm"] == pytest.approx(0.99 * 20 + 0.01 * norms.mean(), rel=1e-5)
        assert found["norm_std"] == pytest.approx(0.99 * 100 + 0.01 * norms.std(ddof=1), rel=1e-5)

    def test_a_batch_of_one_has_the_standard_deviation_0(self):
        head = head_of(AdaFaceMargin())
        head.losses_and_correct(SINGLE[:1], LABELS[:1], training=True)
        assert float(head.statistics["norm_std"]) == pytest.approx(99.0, rel=1e-6)


class TestFields:
    @pytest.mark.parametrize(
        ("margin", "message"),
        [
            (
                lambda: ArcFaceMargin(9.0),
                r"ArcFaceMargin\(margin=9\.0\): input should be less than",
            ),
            (
                lambda: CosFaceMargin(-0.1),
                r"CosFaceMargin\(margin=-0\.1\): input should be greater",
            ),
            (lambda: CombinedMargin(m1=0.0), r"CombinedMargin\(m1=0\.0\): input should be greater"),
            (lambda: AdaFaceMargin(momentum="a"), "momentum='a'.: input should be a valid number"),
        ],
    )
    def test_out_of_range(self, margin, message):
        with pytest.raises(ValueError, match=message):
            margin()

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"lower_margin": 0.9}, r"lower_margin 0\.9 is above its upper_margin 0\.8"),
            ({"upper_norm": 10.0}, "lower_norm 10 is not below its upper_norm 10"),
        ],
    )
    def test_out_of_order(self, options, message):
        with pytest.raises(InputError, match=message):
            MagFaceMargin(**options)

    def test_can_not_be_changed(self):
        with pytest.raises(dataclasses.FrozenInstanceError, match="margin"):
            ArcFaceMargin().margin = 0.3


def test_a_margin_of_your_own_is_a_few_lines():
    @keras.saving.register_keras_serializable("tests")
    @dataclasses.dataclass(frozen=True)
    class HalfAngle(Margin):
        share: float = 0.5

        def apply(self, cosines, norms, factor, stats):
            return cosines * (1 - factor * self.share)

    def loss(cosines, label, *_):
        cosines[label] /= 2
        return cross_entropy(8.0 * cosines, label)

    head = head_of(HalfAngle())
    check(head, loss)
    assert MarginSoftmax.from_config(head.get_config()).margin == HalfAngle()


class TestFunctions:
    def test_is_cosine_of_shifted_angle(self):
        theta = np.linspace(0.01, math.pi - 0.51, 50)
        shifted = ops.convert_to_numpy(arcface_margin(np.cos(theta).astype("float32"), 0.5))
        np.testing.assert_allclose(shifted, np.cos(theta + 0.5), atol=2e-6)

    @pytest.mark.parametrize("margin", [0.0, 0.3, 0.5, 1.5])
    def test_falls_with_the_angle_everywhere(self, margin):
        theta = np.linspace(0, math.pi, 2001)
        shifted = ops.convert_to_numpy(arcface_margin(np.cos(theta).astype("float32"), margin))
        assert np.all(np.diff(shifted) <= 1e-6)

    @pytest.mark.parametrize(
        "margin",
        [
            lambda cosines: combined_margin(cosines, 4.0, 0.0, 0.0),
            lambda cosines: combined_margin(cosines, 1.5, 0.4, 0.1),
            lambda cosines: combined_margin(cosines, 0.9, 0.4, 0.15),
            lambda cosines: adaface_margin(cosines, 0.4, 0.0),
            lambda cosines: adaface_margin(cosines, -0.4, 0.8),
        ],
    )
    def test_other_margins_fall_with_the_angle_too(self, margin):
        theta = np.linspace(0, math.pi, 2001)
        shifted = ops.convert_to_numpy(margin(np.cos(theta).astype("float32")))
        # The arccosine of float32 is good to about 1e-3 near the ends.
        assert np.all(np.diff(shifted) <= 2e-5)

    def test_a_margin_may_be_a_tensor(self):
        cosines = np.cos(np.linspace(0, math.pi, 50)).astype("float32")
        np.testing.assert_allclose(
            ops.convert_to_numpy(arcface_margin(cosines, ops.convert_to_tensor(0.5))),
            ops.convert_to_numpy(arcface_margin(cosines, 0.5)),
            atol=1e-6,
        )

    def test_no_margin_changes_nothing(self):
        cosines = np.linspace(-1, 1, 101).astype("float32")
        np.testing.assert_allclose(
            ops.convert_to_numpy(arcface_margin(cosines, 0.0)), cosines, atol=1e-6
        )
