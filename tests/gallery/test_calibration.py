"""Strangers of a calibration who may be people of the gallery."""

import numpy as np
import pytest

from tfface.errors import InputError
from tfface.evaluation.face_index import FaceIndex
from tfface.gallery.calibration import (
    Stranger,
    check_num_strangers,
    check_strangers,
    most_similar,
    threshold_for_strangers,
)
from tfface.gallery.storage import EnrolledFace, GalleryContent

_SIZE = 64


def units(vectors) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def gallery_of(photos_of: dict[str, int], noise: float = 0.08) -> GalleryContent:
    """Photos of people whose embeddings are around one of their own: cosines of about 0.7."""
    random = np.random.default_rng(0)
    names = [name for name, number in photos_of.items() for _ in range(number)]
    centers = {name: units(random.normal(size=(1, _SIZE)))[0] for name in photos_of}
    embeddings = units([centers[name] + noise * random.normal(size=_SIZE) for name in names])
    return GalleryContent(
        model="m",
        fingerprint="f",
        index=FaceIndex.from_embeddings(embeddings, "flat"),
        faces=[EnrolledFace(name, f"{name}.png", "0" * 64) for name in names],
    )


def strangers(*more: tuple[str, float], number: int = 100) -> list[Stranger]:
    cosines = np.random.default_rng(1).normal(0.3, 0.06, number)
    return [
        *(Stranger(f"{n}.png", "Anna", cosine) for n, cosine in enumerate(cosines.tolist())),
        *(Stranger(f"{name}_{cosine}.png", name, cosine) for name, cosine in more),
    ]


def test_real_strangers_are_accepted():
    people = gallery_of({"Anna": 5, "Ben": 5})
    check_strangers(strangers(), people, "unchanged")
    # Like nobody else, but not as Anna's photos are: a relative, perhaps.
    check_strangers(strangers(("Anna", 0.56)), people, "unchanged")


def test_other_photos_of_a_person_of_the_gallery_are_named():
    # That of 0.65 is less similar than Ben's own; the company it keeps gives it away.
    given = strangers(("Ben", 0.81), ("Ben", 0.84), ("Ben", 0.65), ("Ben", 0.83), ("Anna", 0.6))
    with pytest.raises(InputError) as caught:
        check_strangers(given, gallery_of({"Anna": 5, "Ben": 5}), "unchanged")
    assert str(caught.value) == (
        "of 105 strangers 4 may be photos of Ben, far more similar than the other strangers: "
        "Ben_0.84.png (cosine 0.840 with Ben), Ben_0.83.png (cosine "
        "0.830 with Ben), Ben_0.81.png (cosine 0.810 with Ben) and 1 more; remove them if so, or "
        "say --allow-similar (allow_similar=True in Python); unchanged"
    )


def test_a_person_with_one_photo_is_judged_by_the_others():
    people = gallery_of({"Anna": 5, "Ben": 1})
    check_strangers(strangers(("Ben", 0.56)), people, "unchanged")
    with pytest.raises(InputError, match="1 may be photos of Ben"):
        check_strangers(strangers(("Ben", 0.9)), people, "unchanged")


def test_nobody_has_several_photos():
    people = gallery_of({"Anna": 1, "Ben": 1})
    check_strangers(strangers(("Ben", 0.45)), people, "unchanged")
    with pytest.raises(InputError, match="1 may be photos of Ben"):
        check_strangers(strangers(("Ben", 0.7)), people, "unchanged")


def test_a_model_that_tells_nobody_apart_is_no_reason_to_suspect_single_strangers():
    """All of them are as similar as a person's own photos: none stands out."""
    cosines = np.random.default_rng(2).normal(0.9, 0.02, 100).tolist()
    alike = [Stranger(f"{n}.png", "Anna", cosine) for n, cosine in enumerate(cosines)]
    check_strangers(alike, gallery_of({"Anna": 5}), "unchanged")


def test_the_most_similar():
    assert [one.cosine for one in most_similar(strangers(("Ben", 0.9), ("Ben", 0.8)))][:2] == [
        0.9,
        0.8,
    ]


def test_rates_that_a_product_would_round():
    """161 * (1 / 161) is below 1, and 0.29 * 100 below 29."""
    check_num_strangers(161, 1 / 161)
    with pytest.raises(InputError, match=r"160 strangers are too few .* at least 161, or a higher"):
        check_num_strangers(160, 1 / 161)
    cosines = np.arange(100) / 100
    assert np.sum(cosines >= threshold_for_strangers(cosines, 0.29)) == 29
