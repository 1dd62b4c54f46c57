"""Distillation: its losses, the teacher's embeddings in batches, and runs that imitate."""

import json
import re
import shlex
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.data.small_faces import encoded, write_folder
from tests.evaluation.test_sanity_checks import model, pair_set
from tests.training.recipes import ONE_STAGE, load_tiny
from tfface import recipe as recipes
from tfface.data.pipeline import cache as image_cache
from tfface.errors import InputError
from tfface.evaluation.embedders.embedder import embed_images, load_embedder
from tfface.evaluation.embedders.keras_model import KerasEmbedder
from tfface.evaluation.embedders.options import PixelInput
from tfface.heads import SoftmaxHead
from tfface.reporting.metrics_log import epoch_records, read_metrics
from tfface.training import distillation
from tfface.training.data_fingerprint import check_same, write_fingerprints
from tfface.training.datasets import _pairs_of_photos, load_data
from tfface.training.distillation import LOSSES, Distillation
from tfface.training.recognizer import Recognizer
from tfface.training.registries import REGISTRIES
from tfface.training.run import train

IMITATE = ("model.head=none", "training.distillation={teacher: pixels, loss: relational}")
# Of the teacher `pixels`: 32 x 32 gray values.
SAME_SIZE = "model.embedding_size=1024"


def units(embeddings):
    return embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)


class TestLosses:
    student, teacher = (np.random.default_rng(7).normal(size=(2, 5, 6)) * 3).astype("float32")

    def found(self, loss, student, teacher):
        return keras.ops.convert_to_numpy(LOSSES[loss](student, teacher))

    def test_cosine_is_the_formula(self):
        expected = 1 - np.sum(units(self.student) * units(self.teacher), axis=1)
        found = self.found("cosine", self.student, self.teacher)
        np.testing.assert_allclose(found, expected, rtol=1e-5)

    def test_relational_is_the_formula(self):
        teacher = self.teacher[:, :4]
        ours, theirs = units(self.student), units(teacher)
        expected = [
            np.mean([(ours[i] @ ours[j] - theirs[i] @ theirs[j]) ** 2 for j in range(5) if j != i])
            for i in range(5)
        ]
        found = self.found("relational", self.student, teacher)
        np.testing.assert_allclose(found, expected, rtol=1e-4)

    @pytest.mark.parametrize("loss", LOSSES)
    def test_is_zero_for_the_teacher_s_own_directions(self, loss):
        lengths = np.array([[0.5], [1], [2], [3], [4]], "float32")
        found = self.found(loss, lengths * self.teacher, self.teacher)
        np.testing.assert_allclose(found, 0, atol=1e-6)

    @pytest.mark.parametrize("loss", LOSSES)
    def test_a_blank_embedding_and_a_single_image_are_finite(self, loss):
        zeros = np.zeros((1, 6), "float32")
        assert np.isfinite(self.found(loss, zeros, self.teacher[:1])).all()
        assert np.isfinite(self.found(loss, self.student[:1], zeros)).all()

    def test_half_precision_is_computed_in_float32(self):
        student = keras.ops.cast(self.student, "float16")
        assert LOSSES["relational"](student, self.teacher).dtype == "float32"


class TestRecognizer:
    def embedder(self):
        layers = [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(4)]
        return keras.Sequential(layers)

    def test_the_loss_is_that_of_the_head_and_the_weighted_imitation(self):
        embedder, head = self.embedder(), SoftmaxHead(num_identities=3)
        generator = np.random.default_rng(1)
        images = generator.uniform(0, 1, (6, 8, 8, 3)).astype("float32")
        labels = np.arange(6, dtype="int32") % 3
        teacher = generator.normal(size=(6, 4)).astype("float32")
        both = Recognizer(embedder, head, Distillation("cosine", weight=5.0))
        alone = Recognizer(embedder, head)
        both.compile("sgd")
        alone.compile("sgd")
        given = {"identities": labels, "teacher": teacher}
        found = both.evaluate(images, given, verbose=0, return_dict=True)
        of_head = alone.evaluate(images, labels, verbose=0, return_dict=True)
        imitation = LOSSES["cosine"](embedder(images), teacher)
        mean = float(keras.ops.mean(imitation))
        assert found["distillation_loss"] == pytest.approx(mean, rel=1e-5)
        assert found["loss"] == pytest.approx(of_head["loss"] + 5 * mean, rel=1e-5)
        assert found["accuracy"] == of_head["accuracy"]

    def test_comes_back_from_its_file(self, tmp_path):
        student = Recognizer(self.embedder(), None, Distillation("relational", weight=2.0))
        student.save(tmp_path / "student.keras")
        loaded = keras.saving.load_model(tmp_path / "student.keras")
        assert loaded.head is None
        assert loaded.distillation == Distillation("relational", weight=2.0)

    def test_needs_something_to_learn_from(self):
        with pytest.raises(ValueError, match="needs a head or a Distillation"):
            Recognizer(self.embedder(), None)

    def test_arguments_are_checked(self):
        with pytest.raises(ValueError, match="loss must be one of cosine, relational, got 'l2'"):
            Distillation("l2")
        with pytest.raises(ValueError, match="weight must be positive, got 0"):
            Distillation(weight=0)


def write_pictures(folder, pairs):
    """Writes the two pictures of each person into a folder of the person's own."""
    for number, picture in enumerate(pairs.images):
        path = folder / f"person{number // 2:03}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture)


class TestBatches:
    def recipe(self, folder, *overrides):
        return load_tiny(folder, *IMITATE, "data.augment=[]", *overrides)

    @pytest.mark.parametrize("cache", ["none", "memory"])
    def test_rows_follow_the_images(self, tmp_path, cache):
        data = load_data(self.recipe(tmp_path, f"data.cache={cache}"), tmp_path, tmp_path)
        teacher = load_embedder("pixels")
        batches = list(data.train.epoch(2, first_step=1).as_numpy_iterator())
        batches += list(data.validation.epoch(0).as_numpy_iterator())
        assert len(batches) == 3
        for images, labels in batches:
            np.testing.assert_allclose(labels["teacher"], units(teacher.embed(images)), rtol=1e-5)
            assert labels["identities"].shape == images.shape[:1]

    def test_augmentation_changes_images_and_labels_no_more_than_before(self, tmp_path):
        flips = "data.augment=[{random_flip: {probability: 1.0}}]"
        plain = load_data(load_tiny(tmp_path, flips), tmp_path, tmp_path).train
        taught = load_data(self.recipe(tmp_path, flips), tmp_path, tmp_path).train
        epochs = (pipeline.epoch(1).as_numpy_iterator() for pipeline in (plain, taught))
        for (images, identities), (same, labels) in zip(*epochs, strict=True):
            np.testing.assert_array_equal(images, same)
            np.testing.assert_array_equal(identities, labels["identities"])
            # With flip augmentation, those of a mirrored image are the same.
            expected = units(load_embedder("pixels").embed(images))
            np.testing.assert_allclose(labels["teacher"], expected, rtol=1e-4, atol=1e-6)

    def test_the_teacher_embeds_each_image_once(self, tmp_path, monkeypatch):
        model = tmp_path / "teacher.keras"
        keras.Sequential([keras.Input((32, 32, 3)), keras.layers.GlobalMaxPooling2D()]).save(model)
        embedded = []
        embed = KerasEmbedder.embed

        def counted(self, images):
            embedded.append(len(images))
            return embed(self, images)

        monkeypatch.setattr(KerasEmbedder, "embed", counted)
        recipe = self.recipe(tmp_path, f"training.distillation.teacher={model.name}")
        first = load_data(recipe, tmp_path, tmp_path / "cache")
        assert sum(embedded) == 30
        again = load_data(recipe, tmp_path, tmp_path / "cache")
        assert sum(embedded) == 30
        one, other = (next(data.train.epoch(0).as_numpy_iterator()) for data in (first, again))
        np.testing.assert_array_equal(one[1]["teacher"], other[1]["teacher"])

    @pytest.mark.parametrize("is_right", [True, False])
    def test_pixels_that_do_not_suit_the_teacher_are_said(
        self, tmp_path, monkeypatch, capsys, is_right
    ):
        """The training images have labels, and so pairs of one person."""
        given = PixelInput(order="rgb" if is_right else "bgr")
        embedder = model(given, path=tmp_path / "net.onnx")
        (tmp_path / "net.onnx").write_bytes(b"what fingerprints are made of")
        monkeypatch.setattr(distillation.embedders, "load_embedder", lambda *_, **__: embedder)
        write_pictures(tmp_path / "people", pair_set())
        recipe = self.recipe(
            tmp_path,
            "data.train={source: folder, path: people}",
            "data.validation=none",
        )
        load_data(recipe, tmp_path, tmp_path / "cache")
        lines = [line for line in capsys.readouterr().err.splitlines() if "suits" in line]
        assert len(lines) == (0 if is_right else 1)
        if not is_right:
            assert lines[0].startswith(
                "warning: training.distillation.teacher: net: --color-order rgb --input-range "
                "'(x-127.5)/128' suits the model better than --color-order bgr"
            )
            assert lines[0].endswith("; its keys color_order and input_range say what it takes")

    def test_pairs_are_of_labeled_photos(self, tmp_path):
        write_folder(tmp_path / "photos", {"a": 20, "b": 20})

        def pairs_of(source):
            recipe = self.recipe(tmp_path, f"data.train={source}", "data.validation=none")
            return _pairs_of_photos(recipe, load_data(recipe, tmp_path, tmp_path / "cache"))

        assert pairs_of("{source: photos, path: photos}") is None
        # Drawn faces say nothing about a model of photos.
        drawn = "{source: synthetic, num_identities: 2, images_per_identity: 2, size: 32}"
        assert pairs_of(drawn) is None
        pairs = pairs_of("{source: folder, path: photos}")
        names = [
            (pairs.image_names[a], pairs.image_names[b])
            for a, b in zip(pairs.first, pairs.second, strict=True)
        ]
        assert len(names) == 38
        assert all(a != b and a.split("/")[0] == b.split("/")[0] for a, b in names)

    def test_too_little_memory_is_said(self, tmp_path, monkeypatch):
        monkeypatch.setattr(image_cache, "_available_memory_bytes", lambda: 1 << 30)
        with pytest.raises(InputError, match="24 embeddings of 1024 values need memory"):
            load_data(self.recipe(tmp_path, "data.cache=none"), tmp_path, tmp_path)


class TestRuns:
    def test_photos_without_labels_teach(self, tmp_path, capsys):
        """The student's embeddings approach the teacher's, on images it was not trained on, too."""
        write_folder(tmp_path / "photos" / "deep", {"a": 20, "b": 20})
        recipe = load_tiny(
            tmp_path,
            *ONE_STAGE,
            "model.head=none",
            "training.distillation={teacher: pixels}",
            "data.train={source: photos, path: photos}",
            "model.neck={pooling: flatten}",
            "training.stages.0.epochs=4",
            "training.stages.0.optimizer={name: adam, learning_rate: 0.01}",
            SAME_SIZE,
        )
        run = train(recipe, tmp_path / "run", tmp_path)
        assert "-> cosine loss to pixels, " in capsys.readouterr().out
        losses = [
            r["distillation_loss"] for r in epoch_records(read_metrics(run.path / "metrics.jsonl"))
        ]
        assert losses[-1] < losses[0] / 2
        assert run.metrics["val_loss"] == run.metrics["val_distillation_loss"]
        assert "accuracy" not in run.metrics
        assert not (run.path / "head.npz").exists()
        unseen = [encoded(1000 + number) for number in range(8)]
        names = [f"{number}.jpg" for number in range(8)]
        student, teacher = (
            units(embed_images(load_embedder(model), unseen, names, what="test"))
            for model in (str(run.path), "pixels")
        )
        assert np.mean(np.sum(student * teacher, axis=1)) > 1 - losses[0]
        # A finished run is known as such without the file of a head.
        train(recipe, tmp_path / "run", tmp_path)
        assert "holds a finished run of this recipe" in capsys.readouterr().out

    @pytest.mark.slow
    def test_beside_a_head_and_with_cached_features(self, tmp_path):
        recipe = load_tiny(
            tmp_path,
            "training.distillation={teacher: pixels, weight: 3, loss: relational}",
            "data.cache=features",
            "data.num_cached_augmentations=1",
            "training.stages.1.epochs=1",
            "training.stages.1.freeze=backbone",
        )
        run = train(recipe, tmp_path / "run", tmp_path)
        wanted = {"loss", "accuracy", "distillation_loss"}
        assert wanted | {f"val_{name}" for name in wanted} <= set(run.metrics)
        assert (run.path / "head.npz").exists()

    def test_another_teacher_can_not_go_on(self, tmp_path):
        data = load_data(load_tiny(tmp_path, *IMITATE), tmp_path, tmp_path)
        write_fingerprints(tmp_path / "data.json", data.sources)
        check_same(tmp_path / "data.json", data.sources)
        teacher = "training.distillation.teacher"
        with pytest.raises(InputError, match=r"distillation\.teacher: is another model than"):
            check_same(tmp_path / "data.json", data.sources | {teacher: {"model": "another"}})


def test_the_variants_of_the_guide_are_recipes():
    root = Path(__file__).resolve().parents[2]
    guide = (root / "docs/guides/distillation.md").read_text(encoding="utf-8")
    variants = re.findall(r"\| `(--set .*)` \|\n", guide)
    assert len(variants) == 4
    for options in variants:
        overrides = [option for option in shlex.split(options) if option != "--set"]
        recipes.load(root / "recipes/distill_mobilenetv2.yaml", REGISTRIES, overrides)


class TestMistakes:
    def error(self, folder, *overrides):
        with pytest.raises(InputError) as raised:
            train(load_tiny(folder, *ONE_STAGE, *overrides), folder / "run", folder)
        message = str(raised.value)
        assert "\n" not in message
        return message

    def test_a_teacher_that_is_missing_or_no_model(self, tmp_path):
        (tmp_path / "text.onnx").write_text("no model")
        for name, what in (("gone.onnx", "no such file"), ("text.onnx", "")):
            found = self.error(tmp_path, *IMITATE, f"training.distillation.teacher={name}")
            assert found.startswith(f"training.distillation.teacher: {tmp_path / name}: {what}")

    def test_a_teacher_whose_embeddings_have_another_size(self, tmp_path):
        assert self.error(tmp_path, "training.distillation={teacher: pixels}") == (
            "training.distillation: the teacher's embeddings have 1024 values and the student's 8, "
            "which the loss cosine can't compare: use model.embedding_size: 1024, or loss: "
            "relational"
        )

    def test_a_teacher_that_fails(self, tmp_path, monkeypatch):
        model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.GlobalMaxPooling2D()])
        model.add(keras.layers.Rescaling(float("inf")))
        model.save(tmp_path / "teacher.keras")
        found = self.error(tmp_path, *IMITATE, "training.distillation.teacher=teacher.keras")
        assert re.fullmatch(r"the embedding of \d+/\d+\.jpg contains NaN or infinity", found)

    def test_options_that_mean_nothing(self, tmp_path):
        teacher = "training.distillation.teacher={path: pixels, color_order: bgr}"
        assert "omit --color-order" in self.error(tmp_path, *IMITATE, teacher)

    def test_augmentation_that_mixes_images(self, tmp_path):
        found = self.error(tmp_path, *IMITATE, "data.augment=[mixup]")
        assert found.startswith("training.distillation: data.augment mixes images")

    def test_photos_for_a_head(self, tmp_path):
        write_folder(tmp_path / "photos", {"a": 3})
        found = self.error(tmp_path, "data.train={source: photos, path: photos}")
        assert found.startswith("data.train: photos have no identities, and the head learns these")

    @pytest.mark.parametrize(
        ("overrides", "message"),
        [
            (["model.head=none"], "model.head: without a head there is nothing to learn from"),
            (
                [*IMITATE, "evaluation.classification=synthetic"],
                "evaluation.classification: only a head classifies",
            ),
            (
                [*IMITATE, "training.stages.0.overfit_stop={max_gap: 0.1}"],
                "training.stages.0.overfit_stop: validation accuracy is not measured",
            ),
            (
                ["training.distillation={teacher: pixels, weight: 0}"],
                "training.distillation.weight: 0 is not allowed; must be greater than 0",
            ),
            (["training.distillation=3"], "training.distillation: "),
        ],
    )
    def test_recipes(self, tmp_path, overrides, message):
        with pytest.raises(InputError, match=re.escape(message)):
            load_tiny(tmp_path, *overrides)


def test_recipes_are_written_and_read_back_the_same(tmp_path):
    recipe = load_tiny(tmp_path, *IMITATE)
    (tmp_path / "dumped.yaml").write_text(recipes.dump(recipe), encoding="utf-8")
    assert recipes.load(tmp_path / "dumped.yaml", REGISTRIES) == recipe
    assert json.loads(recipe.training.model_dump_json())["distillation"]["teacher"]["path"] == (
        "pixels"
    )
