"""Starting from another run: what is taken, what is not, and what is said about it."""

import csv
import shutil

import keras
import numpy as np
import pytest

from tests.training.interrupting import train_and_stop
from tests.training.recipes import load_tiny
from tfface.errors import InputError
from tfface.heads.head_file import load_head, save_head
from tfface.recipe import dump
from tfface.training.recognizer import Recognizer, build_recognizer, build_starting_embedder
from tfface.training.run import train
from tfface.training.warm_start import backbone_and_neck, matching_layers, read_warm_start

FROM = "model.init_from=old"
SOFTMAX = "model.head=softmax"


def make(folder, names, *overrides, seed=2, shards=1) -> Recognizer:
    recipe = load_tiny(folder, *overrides)
    keras.utils.set_random_seed(seed)
    return build_recognizer(
        recipe.model, recipe.data.image_size, len(names), folder, center_shards=shards
    )


def make_run(folder, names, *overrides, name="old") -> Recognizer:
    """Leaves what a finished run of other weights leaves, without training."""
    old = make(folder, names, *overrides, seed=1)
    for variable in old.weights:
        if variable.path.endswith(("moving_mean", "moving_variance", "bias")):
            variable.assign(variable + 0.5)
    run = folder / name
    run.mkdir()
    recipe = load_tiny(folder, *overrides)
    (run / "recipe.yaml").write_text(dump(recipe), encoding="utf-8")
    old.embedder.save(run / "model.keras")
    save_head(
        run / "head.npz",
        old.head,
        name=recipe.model.head.name,
        options=recipe.model.head.options,
        num_identities=len(names),
        embedding_size=old.embedder.output_shape[-1],
    )
    write_names(run, names)
    return old


def write_names(run, names) -> None:
    with (run / "identities.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("label", "name"), *enumerate(names)])


def fill(folder, new, names, *overrides) -> str:
    return read_warm_start(load_tiny(folder, *overrides).model, folder).fill(
        new.embedder, new.head, names
    )


def values(weights) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(weight)) for weight in weights]


def neck(recognizer) -> list[np.ndarray]:
    names = ("embedding", "neck_batch_norm")
    return values(w for name in names for w in recognizer.embedder.get_layer(name).weights)


def centers(recognizer) -> np.ndarray:
    return values([recognizer.head.class_centers])[0]


def same(one, other) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


class TestIdentities:
    def test_are_matched_by_name_and_new_ones_stay_as_they_were(self, tmp_path):
        old = make_run(tmp_path, ["ann", "bob", "cleo", "dan"])
        names = ["bob", "cleo", "eve", "ann", "flo"]
        new, fresh = (make(tmp_path, names, FROM) for _ in range(2))
        report = fill(tmp_path, new, names, FROM)
        assert report == (
            "init_from old: 10 weights of the backbone, 5 of the neck; class centers of 3 of 5 "
            "identities by name (2 new ones start at random)\n"
            "skipped: 1 of 4 identities of the source, which aren't in this model"
        )
        assert same(values(new.embedder.weights), values(old.embedder.weights))
        np.testing.assert_array_equal(centers(new)[[0, 1, 3]], centers(old)[[1, 2, 0]])
        np.testing.assert_array_equal(centers(new)[[2, 4]], centers(fresh)[[2, 4]])

    def test_names_of_two_identities_are_not_matched(self, tmp_path):
        old = make_run(tmp_path, ["ann", "bob", "bob", "cleo", "dan"])
        names = ["ann", "bob", "cleo", "cleo", "dan"]
        new, fresh = (make(tmp_path, names, FROM) for _ in range(2))
        report = fill(tmp_path, new, names, FROM)
        assert "class centers of 2 of 5 identities by name\n" in report
        assert report.endswith(
            "\nskipped: names of two identities, in the source or in this model: 'bob', 'cleo'"
        )
        np.testing.assert_array_equal(centers(new)[[0, 4]], centers(old)[[0, 4]])
        np.testing.assert_array_equal(centers(new)[1:4], centers(fresh)[1:4])

    def test_another_head_takes_the_centers_and_nothing_else(self, tmp_path):
        old = make_run(tmp_path, ["ann", "bob"], "model.head=curricularface")
        old.head.statistics["mean_cosine"].assign(0.5)
        adaface = (FROM, "model.head=adaface")
        new = make(tmp_path, ["bob", "ann"], *adaface)
        assert "class centers of 2 of 2" in fill(tmp_path, new, ["bob", "ann"], *adaface)
        np.testing.assert_array_equal(centers(new), centers(old)[::-1])
        assert float(new.head.statistics["mean_norm"]) == 20.0

    def test_with_several_centers_each(self, tmp_path):
        several = "model.head={name: subcenter_arcface, centers_per_class: 2}"
        old = make_run(tmp_path, ["ann", "bob"], several)
        new = make(tmp_path, ["bob", "cleo", "ann"], FROM, several)
        fill(tmp_path, new, ["bob", "cleo", "ann"], FROM, several)
        np.testing.assert_array_equal(centers(new)[[0, 1, 4, 5]], centers(old)[[2, 3, 0, 1]])

    def test_that_lie_divided_over_devices_are_padded_as_before(self, tmp_path):
        old = make_run(tmp_path, ["ann", "bob"])
        new = make(tmp_path, ["bob", "cleo", "ann"], FROM, shards=4)
        fill(tmp_path, new, ["bob", "cleo", "ann"], FROM)
        assert centers(new).shape == (4, 8)
        np.testing.assert_array_equal(centers(new)[[0, 2]], centers(old)[[1, 0]])
        assert not centers(new)[3].any()

    def test_of_a_softmax(self, tmp_path):
        old = make_run(tmp_path, ["ann", "bob"], SOFTMAX)
        new = make(tmp_path, ["bob", "cleo"], FROM, SOFTMAX)
        report = fill(tmp_path, new, ["bob", "cleo"], FROM, SOFTMAX)
        assert "classifier rows of 1 of 2 identities by name (1 new ones start at random)" in report
        (kernel, bias), wanted = values(new.head.weights), values(old.head.weights)
        np.testing.assert_array_equal(kernel[:, 0], wanted[0][:, 1])
        np.testing.assert_array_equal(bias, [0.5, 0.0])

    @pytest.mark.parametrize("names", [["me", "others"], ["others", "me"]])
    def test_of_a_sigmoid_only_if_it_is_of_the_same_two(self, tmp_path, names):
        sigmoid = "model.head=sigmoid"
        old = make_run(tmp_path, ["me", "others"], sigmoid)
        new = make(tmp_path, names, FROM, sigmoid)
        report = fill(tmp_path, new, names, FROM, sigmoid)
        taken = same(values(new.head.weights), values(old.head.weights))
        assert taken == (names == ["me", "others"])
        if taken:
            assert report.endswith("5 of the neck; the sigmoid unit")
        else:
            assert (
                "it distinguishes 'others' from 'me' in the source, and others in this model"
                in report
            )

    @pytest.mark.parametrize(
        ("there", "here", "line"),
        [
            ("softmax", "arcface", "class centers: the source has classifier rows instead"),
            ("arcface", "softmax", "classifier rows: the source has class centers instead"),
            ("triplet", "arcface", "class centers: the head of the source, triplet, has none"),
            ("arcface", "triplet", "the head: triplet has nothing for each identity"),
            (
                "subcenter_arcface",
                "arcface",
                "class centers: 3 of each identity in the source and 1 here",
            ),
        ],
    )
    def test_of_heads_that_do_not_fit_are_skipped(self, tmp_path, there, here, line):
        make_run(tmp_path, ["ann", "bob"], f"model.head={there}")
        new, fresh = (make(tmp_path, ["ann", "bob"], f"model.head={here}") for _ in range(2))
        report = fill(tmp_path, new, ["ann", "bob"], FROM, f"model.head={here}")
        assert report.split("\n")[1:] == [f"skipped: {line}"]
        assert same(values(new.head.weights), values(fresh.head.weights))

    def test_of_a_run_without_its_head(self, tmp_path):
        make_run(tmp_path, ["ann", "bob"])
        (tmp_path / "old" / "head.npz").unlink()
        new = make(tmp_path, ["ann", "bob"], FROM)
        report = fill(tmp_path, new, ["ann", "bob"], FROM)
        assert report.endswith("\nskipped: class centers: the source has no head.npz")


class TestLayers:
    def test_of_a_file_are_the_embedder(self, tmp_path):
        old = make_run(tmp_path, ["ann", "bob"])
        file = "model.init_from=old/model.keras"
        new, fresh = (make(tmp_path, ["ann", "bob"], file) for _ in range(2))
        report = fill(tmp_path, new, ["ann", "bob"], file)
        assert report == (
            "init_from old/model.keras: 10 weights of the backbone, 5 of the neck\n"
            "skipped: class centers: a .keras file has none, a run folder does"
        )
        assert same(values(new.embedder.weights), values(old.embedder.weights))
        np.testing.assert_array_equal(centers(new), centers(fresh))

    def test_of_a_backbone_alone_in_a_file(self, tmp_path):
        old = make_run(tmp_path, ["ann", "bob"])
        old.backbone.save(tmp_path / "backbone.keras")
        given = "model.init_from={path: backbone.keras, parts: backbone}"
        new = make(tmp_path, ["ann", "bob"], given)
        report = fill(tmp_path, new, ["ann", "bob"], given)
        assert report == "init_from backbone.keras: 10 weights of the backbone"
        assert same(values(new.backbone.weights), values(old.backbone.weights))

    @pytest.mark.parametrize("parts", ["backbone", "embedder"])
    def test_only_the_parts_that_are_asked_for(self, tmp_path, parts):
        old = make_run(tmp_path, ["ann", "bob"])
        given = f"model.init_from={{path: old, parts: {parts}}}"
        new, fresh = (make(tmp_path, ["ann", "bob"], given) for _ in range(2))
        report = fill(tmp_path, new, ["ann", "bob"], given)
        of_neck = "" if parts == "backbone" else ", 5 of the neck"
        assert report == f"init_from old: 10 weights of the backbone{of_neck}"
        assert same(values(new.backbone.weights), values(old.backbone.weights))
        assert same(neck(new), neck(fresh if parts == "backbone" else old))
        np.testing.assert_array_equal(centers(new), centers(fresh))

    def test_of_another_embedding_size(self, tmp_path):
        old = make_run(tmp_path, ["ann", "bob"])
        wide = (FROM, "model.embedding_size=16")
        new, fresh = (make(tmp_path, ["ann", "bob"], *wide) for _ in range(2))
        assert fill(tmp_path, new, ["ann", "bob"], *wide) == (
            "init_from old: 10 weights of the backbone, 0 of 5 of the neck\n"
            "skipped: embedding/kernel is 8x8 in the source and 8x16 here; neck_batch_norm behind "
            "it starts with new weights\n"
            "skipped: class centers: of embeddings of 8 in the source and of 16 here"
        )
        assert same(values(new.backbone.weights), values(old.backbone.weights))
        assert same(neck(new), neck(fresh))
        np.testing.assert_array_equal(centers(new), centers(fresh))

    def test_behind_a_layer_that_starts_anew_do_so_too(self, tmp_path):
        """A batch norm and class centers of the right size, but for other embeddings."""
        make_run(tmp_path, ["ann", "bob"])
        deeper = (FROM, "model.neck.hidden_units=[8]")
        new, fresh = (make(tmp_path, ["ann", "bob"], *deeper) for _ in range(2))
        assert fill(tmp_path, new, ["ann", "bob"], *deeper).split("\n")[1:] == [
            "skipped: neck_hidden_0 isn't in the source; embedding, neck_batch_norm behind it "
            "start with new weights",
            "skipped: class centers: the neck before the head was not transferred",
        ]
        assert same(neck(new), neck(fresh))
        np.testing.assert_array_equal(centers(new), centers(fresh))

    def test_that_only_the_other_neck_has(self, tmp_path):
        old = make_run(tmp_path, ["ann", "bob"])
        plain = (FROM, "model.neck.batch_norm=false", "model.neck.embedding_bias=false")
        new = make(tmp_path, ["ann", "bob"], *plain)
        report = fill(tmp_path, new, ["ann", "bob"], *plain)
        assert "1 of the neck\nskipped: neck_batch_norm isn't in this model\n" in report
        assert same(values(new.embedder.get_layer("embedding").weights), neck(old)[:1])

    def test_of_another_image_size(self, tmp_path):
        old = make_run(tmp_path, ["ann", "bob"])
        larger = (FROM, "data.image_size=48")
        new = make(tmp_path, ["ann", "bob"], *larger)
        assert "skipped" not in fill(tmp_path, new, ["ann", "bob"], *larger)
        assert same(values(new.embedder.weights), values(old.embedder.weights))

    def test_of_a_larger_backbone_are_named(self, tmp_path):
        old = make_run(tmp_path, ["ann", "bob"])
        larger = (FROM, "model.backbone.channels=[4, 12, 12, 8]")
        new = make(tmp_path, ["ann", "bob"], *larger)
        first, second, *_ = fill(tmp_path, new, ["ann", "bob"], *larger).split("\n")
        assert first.startswith("init_from old: 5 of 20 weights of the backbone, 5 of the neck;")
        assert second == (
            "skipped: layers of the backbone: conv_1/kernel is 3x3x4x8 in the source and 3x3x4x12 "
            "here; batch_norm_1/gamma is 8 in the source and 12 here; conv_2 isn't in the source; "
            "and 5 more"
        )
        assert same(values(new.backbone.weights)[:5], values(old.backbone.weights)[:5])

    def test_that_keras_named_are_told_by_their_order(self):
        def model():
            images = keras.Input((8,))
            features = keras.layers.Dense(4)(images)
            features = keras.layers.LayerNormalization()(keras.layers.Dense(4)(features))
            return keras.Model(images, features, name="backbone")

        (one, _), (other, _) = backbone_and_neck(model()), backbone_and_neck(model())
        assert (
            list(one) == list(other) == ["input_layer", "dense", "dense_1", "layer_normalization"]
        )
        assert list(one["dense"]) == ["kernel", "bias"]

    def test_without_weights_make_another_network_too(self):
        """As the scaling of pixels does that an EfficientNet has with its published weights."""

        def model(*layers):
            return keras.Sequential([keras.Input((8,)), *layers], name="backbone")

        dense, scaling = (keras.layers.Dense(4, name="dense"), keras.layers.Rescaling(2.0))
        (here, _), (there, _) = (
            backbone_and_neck(model(dense)),
            backbone_and_neck(model(scaling, dense)),
        )
        assert matching_layers(here, there) == (["dense"], ["rescaling isn't in this model"])

    def test_weights_without_a_name_are_told_by_their_place(self):
        """Some of keras.applications' networks have such."""

        class Scale(keras.layers.Layer):
            def build(self, input_shape):
                self.scale = self.add_weight(shape=input_shape[1:])

            def call(self, inputs):
                return inputs * self.scale

        def model():
            images = keras.Input((8,))
            return keras.Model(images, Scale(name="scale")(images), name="backbone")

        (one, _), (other, _) = backbone_and_neck(model()), backbone_and_neck(model())
        assert list(one["scale"]) == list(other["scale"]) == ["weight_0"]


class TestSources:
    def test_of_another_backbone(self, tmp_path):
        make_run(tmp_path, ["ann", "bob"], "model.backbone=simple_cnn")
        new = make(tmp_path, ["ann", "bob"], FROM, "model.backbone={plain_cnn: {channels: [5]}}")
        with pytest.raises(
            InputError, match="it is simple_cnn in the source and plain_cnn here"
        ) as caught:
            fill(tmp_path, new, ["ann", "bob"], FROM)
        assert "\n" not in str(caught.value)
        (tmp_path / "old" / "recipe.yaml").unlink()
        with pytest.raises(
            InputError, match=r"a network of 10 layers \(conv_0, batch_norm_0, conv"
        ):
            fill(tmp_path, new, ["ann", "bob"], FROM)

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ("gone", r"gone: no such run folder or \.keras file; a relative path starts at"),
            ("empty", r"empty: holds no model\.keras, so it is no finished run"),
            ("tiny.yaml", r"tiny\.yaml: must be a run folder or a \.keras file; weights in other"),
            ("net.tflite", r"net\.tflite: a TensorFlow Lite model can't be trained on"),
            ("damaged.keras", r"damaged\.keras: can't be loaded as a Keras model"),
            ("code.keras", r"code\.keras: refused: it contains code"),
        ],
    )
    def test_that_can_not_be_used_are_found_before_anything_else(self, tmp_path, given, message):
        (tmp_path / "empty").mkdir()
        (tmp_path / "damaged.keras").write_bytes(b"PK")
        images = keras.Input((32, 32, 3))
        keras.Model(images, keras.layers.Lambda(lambda x: x)(images)).save(tmp_path / "code.keras")
        overrides = (f"model.init_from={given}", "data.train={source: folder, path: gone}")
        with pytest.raises(InputError, match=rf"^model\.init_from: .*{message}"):
            train(load_tiny(tmp_path, *overrides), tmp_path / "run", tmp_path)

    def test_with_a_damaged_head(self, tmp_path):
        make_run(tmp_path, ["ann", "bob"])
        head = tmp_path / "old" / "head.npz"
        head.write_bytes(head.read_bytes()[:100])
        recipe = load_tiny(tmp_path, FROM).model
        with pytest.raises(InputError, match=r"^model\.init_from: .*head\.npz: can't be read as"):
            read_warm_start(recipe, tmp_path)

    def test_with_names_of_another_run(self, tmp_path):
        make_run(tmp_path, ["ann", "bob"])
        write_names(tmp_path / "old", ["ann", "bob", "cleo"])
        with pytest.raises(InputError, match=r"names 3 identities, and head\.npz tells 2 apart"):
            read_warm_start(load_tiny(tmp_path, FROM).model, tmp_path)

    def test_names_are_harmless_on_a_terminal(self, tmp_path):
        make_run(tmp_path, ["\x1b[2J", "\x1b[2J", "bob"])
        new = make(tmp_path, ["\x1b[2J", "bob"])
        report = fill(tmp_path, new, ["\x1b[2J", "bob"], FROM)
        assert "'?[2J'" in report
        assert report.replace("\n", "").isprintable()


def test_published_weights_are_not_fetched(tmp_path, monkeypatch):
    make_run(tmp_path, ["ann", "bob"], "model.backbone=mobilenet")

    def get_file(*args, **kwargs):
        raise AssertionError("a download")

    monkeypatch.setattr(keras.utils, "get_file", get_file)
    monkeypatch.setattr(keras.src.utils.file_utils, "get_file", get_file)
    overrides = ("model.backbone={name: mobilenet, weights: imagenet}", FROM)
    new = make(tmp_path, ["ann", "bob"], *overrides)
    first, *others = fill(tmp_path, new, ["ann", "bob"], *overrides).split("\n")
    assert first.startswith("init_from old in place of weights: imagenet: 135 weights of the back")
    assert not others


def test_the_baseline_of_a_recipe_has_them_too(tmp_path, capsys):
    old = make_run(tmp_path, ["ann", "bob"])
    embedder = build_starting_embedder(load_tiny(tmp_path, FROM), tmp_path)
    assert same(values(embedder.weights), values(old.embedder.weights))
    assert capsys.readouterr().out == "init_from old: 10 weights of the backbone, 5 of the neck\n"


SIX = [f"{label:06d}" for label in range(6)]


class TestRuns:
    def test_starts_with_what_the_other_has_learned(self, tmp_path, capsys):
        old = make_run(tmp_path, SIX)
        # Too small a rate to change anything but the statistics of batch norms.
        still = "{name: all, epochs: 1, optimizer: {name: sgd, learning_rate: 1e-12, momentum: 0}}"
        overrides = (FROM, f"training.stages=[{still}]", "data.train.num_identities=8")
        new = train(load_tiny(tmp_path, *overrides), tmp_path / "new", tmp_path).path
        said = capsys.readouterr().out
        assert "model: plain_cnn (init_from old), " in said
        assert (
            "\ninit_from old: 10 weights of the backbone, 5 of the neck; class centers of 6 of 8 "
            "identities by name (2 new ones start at random)\nstage 1/1"
        ) in said
        found = keras.saving.load_model(new / "model.keras")
        wanted = values(old.embedder.trainable_weights)
        for one, other in zip(values(found.trainable_weights), wanted, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)
        head = load_head(new / "head.npz").head
        np.testing.assert_allclose(values(head.weights)[0][:6], centers(old), atol=1e-6)

    @pytest.mark.slow
    def test_goes_on_without_it(self, tmp_path, monkeypatch, capsys):
        make_run(tmp_path, SIX)
        stages = "training.stages=[{name: all, epochs: 2, optimizer: sgd}]"
        recipe = load_tiny(tmp_path, FROM, stages)
        whole = train(recipe, tmp_path / "whole", tmp_path).path
        train_and_stop(recipe, tmp_path / "stopped", tmp_path, monkeypatch)
        shutil.rmtree(tmp_path / "old")
        capsys.readouterr()
        resumed = train(recipe, tmp_path / "stopped", tmp_path, resume=True).path
        assert "weights of the backbone" not in capsys.readouterr().out
        runs = (whole, resumed)
        assert same(*(keras.saving.load_model(run / "model.keras").get_weights() for run in runs))
        assert same(*(values(load_head(run / "head.npz").head.weights) for run in runs))
