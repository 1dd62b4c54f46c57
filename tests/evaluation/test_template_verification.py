"""From a template set's images to its figures."""

import numpy as np
import pytest
import tensorflow as tf

from tests.data.pairs.made_folder import write_folder
from tfface.data.pairs.template_set import load_template_set
from tfface.errors import InputError
from tfface.evaluation.embedders.embedder import RawPixelEmbedder
from tfface.evaluation.verification import check_template_set, evaluate_templates
from tfface.images.decoding import decode_batches


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


def test_a_bad_image_is_named(tmp_path):
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
