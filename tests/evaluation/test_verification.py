"""From a pair set's images to its figures and pictures."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.data.pairs.made_folder import write_folder
from tfface.data.pairs import PairSet, load_pair_set
from tfface.data.pairs.template_set import load_template_set
from tfface.errors import InputError
from tfface.evaluation.embedders.embedder import KerasEmbedder, RawPixelEmbedder
from tfface.evaluation.verification import (
    check_pair_set,
    check_template_set,
    evaluate_templates,
    evaluate_verification,
)
from tfface.images.decoding import decode_batches


def face(person, picture, size=24):
    """A picture whose colors are the person's, with a little noise that is the picture's."""
    color = np.random.default_rng(person).integers(40, 216, (2, 2, 3))
    noise = np.random.default_rng(1000 * person + picture).integers(-20, 21, (size, size, 3))
    pixels = np.kron(color, np.ones((size // 2, size // 2, 1))) + noise
    return tf.io.encode_png(pixels.astype(np.uint8)).numpy()


def pair_set(num_people=20, size=24):
    images = [face(person, picture, size) for person in range(num_people) for picture in (0, 1)]
    people = np.arange(num_people)
    return PairSet(
        name="blocks",
        images=images,
        image_names=[f"person {i // 2} picture {i % 2}" for i in range(len(images))],
        first=np.repeat(2 * people, 2),
        second=np.stack([2 * people + 1, (2 * people + 3) % len(images)], axis=1).ravel(),
        is_genuine=np.tile([True, False], num_people),
        num_folds=10,
    )


class Recorder:
    """An embedder that remembers the shapes it was given; embeds coarse pixels."""

    name = "recorder"
    image_size = (12, 12)
    keeps_aspect = False
    batch_size = 16

    def __init__(self):
        self.shapes = []

    def embed(self, images):
        self.shapes.append(images.shape)
        corners = images[:, ::6, ::6].reshape(len(images), -1).astype(np.float32)
        return corners - 128


def test_each_distinct_image_is_embedded_once_at_the_models_size():
    recorder = Recorder()
    result = evaluate_verification(recorder, pair_set())
    assert recorder.shapes == [(16, 12, 12, 3), (16, 12, 12, 3), (8, 12, 12, 3)]
    assert result.num_pairs == 40
    assert result.num_genuine == 20
    assert len(result.accuracy.folds) == 10
    assert result.accuracy.mean > 0.9
    assert result.auc > 0.98


def test_identities_and_groups_are_used():
    plain = pair_set()
    people = np.arange(len(plain.images)) // 2
    groups = ["a" if pair % 4 < 2 else "b" for pair in range(40)]
    told = PairSet(**(vars(plain) | {"identities": people, "groups": groups}))
    result = evaluate_verification(Recorder(), told)
    assert result.interval_by == "identity"
    assert list(result.groups) == ["a", "b"]
    assert evaluate_verification(Recorder(), plain).interval_by == "pair"
    people[0] = 7
    with pytest.raises(InputError, match="blocks: pair 0 is labeled as genuine, but its images"):
        evaluate_verification(Recorder(), told)


def test_with_a_keras_model():
    inputs = keras.Input((12, 12, 3))
    x = keras.layers.Rescaling(1 / 128, -1)(inputs)
    model = keras.Model(inputs, keras.layers.Flatten()(keras.layers.AveragePooling2D(3)(x)))
    small, large = (
        evaluate_verification(KerasEmbedder(model, "coarse", batch_size=batch_size), pair_set())
        for batch_size in (7, 64)
    )
    assert small.auc > 0.9
    np.testing.assert_allclose(small.similarity, large.similarity, atol=1e-5)


def test_a_bad_image_is_named():
    broken = pair_set()
    broken.images[5] = broken.images[5][:40]
    for use in (check_pair_set, lambda pairs: evaluate_verification(Recorder(), pairs)):
        with pytest.raises(InputError, match="person 2 picture 1: "):
            use(broken)


def test_an_image_without_direction_is_named():
    grey = pair_set()
    grey.images[6] = tf.io.encode_png(np.full((24, 24, 3), 128, np.uint8)).numpy()
    with pytest.raises(InputError, match="blocks: the embedding of person 3 picture 0 has norm 0"):
        evaluate_verification(Recorder(), grey)


def test_sets_that_cannot_be_judged_are_found_before_embedding():
    check_pair_set(pair_set())
    one_kind = pair_set()
    one_kind.is_genuine[:] = True
    with pytest.raises(InputError, match="blocks: 40 genuine and 0 impostor pairs"):
        check_pair_set(one_kind)
    with pytest.raises(InputError, match="blocks: 8 pairs are too few for 10 folds"):
        check_pair_set(pair_set(num_people=4))


def test_the_published_form_of_a_bad_image(test_data):
    broken = load_pair_set(test_data / "fixtures" / "pairs_one_bad_image.bin")
    with pytest.raises(InputError, match=r"pairs_one_bad_image\.bin: image 5 \(pair 2\): "):
        check_pair_set(broken)
    sound = load_pair_set(test_data / "fixtures" / "pairs_python2.bin")
    check_pair_set(sound)
    assert evaluate_verification(Recorder(), sound).num_pairs == 20


def slow_similarities(template_set, embeddings, scores):
    """The protocol as a literal loop over pairs, templates and media."""

    def template(position):
        own = template_set.entry_template == position
        total = 0
        for medium in set(template_set.entry_medium[own]):
            images = template_set.entry_image[own & (template_set.entry_medium == medium)]
            total = total + np.mean(embeddings[images] * scores[images, None], axis=0)
        return total / np.linalg.norm(total)

    pairs = zip(template_set.first, template_set.second, strict=True)
    return [template(a) @ template(b) for a, b in pairs]


@pytest.mark.parametrize("photos", [False, True])
@pytest.mark.parametrize("use_scores", [False, True])
def test_figures_are_those_of_the_protocol(tmp_path, photos, use_scores):
    template_set = load_template_set(write_folder(tmp_path / "x", photos=photos), "x")
    check_template_set(template_set)
    embedder = RawPixelEmbedder()
    result = evaluate_templates(embedder, template_set, use_scores=use_scores)

    faces = decode_batches(template_set.faces(32, 32), template_set.image_names, (32, 32), 24)
    embeddings = embedder.embed(next(faces)).astype(float)
    scores = template_set.scores if photos and use_scores else np.ones(24)
    expected = slow_similarities(template_set, embeddings, scores)
    np.testing.assert_allclose(result.similarity, expected, atol=1e-6)
    assert result.auc == 1
    assert result.num_pairs == 36
    assert result.num_genuine == 6
    assert result.accuracy is None
    assert result.embedding_norm == pytest.approx(np.linalg.norm(embeddings, axis=1).mean(), 1e-3)


def test_a_bad_image_of_a_template_is_named(tmp_path):
    folder = write_folder(tmp_path / "x")
    grey = tf.io.encode_png(np.full((112, 112, 3), 7, np.uint8)).numpy()
    for number in (4, 8):
        (folder / f"loose_crop/{number}.jpg").write_bytes(grey)
    template_set = load_template_set(folder, "mine")
    with pytest.raises(InputError, match="mine: template 2 can't be normalized"):
        evaluate_templates(RawPixelEmbedder(), template_set)
    (folder / "loose_crop/8.jpg").write_bytes(b"GIF8 no image")
    for use in (check_template_set, lambda these: evaluate_templates(RawPixelEmbedder(), these)):
        with pytest.raises(InputError, match=r"8\.jpg: "):
            use(template_set)
