"""A head that starts from the class weights in a file of another project."""

import csv
import re
from pathlib import Path

import keras
import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.backbones.weights.pth_files import dictionary, plain, tensor, write
from tests.training.interrupting import train_and_stop
from tests.training.recipes import ONE_STAGE, load_tiny
from tfface.errors import InputError
from tfface.recipe import dump
from tfface.training.head_weights import read_head_weights
from tfface.training.recognizer import Recognizer, build_recognizer
from tfface.training.run import train

# Of the recipe's embeddings of 8 values.
SIZE = 8
NAMES = ["ann", "bob", "cleo", "dan", "eve"]
BACKBONE = "model.backbone.weights=net.npz"
FILE = "model.head={name: HEAD, weights: {path: PATH, class_names: names.txt}}"


def given(path: str, head: str = "arcface") -> tuple[str, str]:
    return BACKBONE, FILE.replace("HEAD", head).replace("PATH", path)


def rows(names=NAMES) -> np.ndarray:
    return np.random.default_rng(3).normal(0, 0.01, (len(names), SIZE)).astype(np.float32)


def write_names(folder: Path, names=NAMES) -> None:
    (folder / "names.txt").write_text("\n".join(names), encoding="utf-8")


def torch_tensor(key: str, array: np.ndarray) -> bytes:
    strides = (array.shape[1], 1) if array.ndim == 2 else (1,)
    return tensor(key, array.shape, strides, num_items=array.size)


def build(model, num_identities) -> Recognizer:
    keras.utils.set_random_seed(2)
    return build_recognizer(model, (32, 32), num_identities, Path())


def head_of(folder: Path, names, *overrides):
    """Returns a new head, and a function that fills it."""
    model = load_tiny(folder, *overrides).model
    part = model.model_copy(
        update={"backbone": model.backbone.model_copy(update={"weights": "none"})}
    )
    head = build(part, len(names)).head
    return head, lambda: read_head_weights(model.head, folder).fill(head, names)


def values(weight) -> np.ndarray:
    return np.array(keras.ops.convert_to_numpy(weight))


class TestFiles:
    def check(self, folder: Path, path: str, said: str, *, names=("eve", "zoe", "bob")) -> None:
        head, fill = head_of(folder, names, *given(path))
        fresh = values(head.class_centers)
        assert fill().split("\n")[0] == (
            "head weights: class centers of 2 of 3 identities by name (1 new ones start at "
            f"random), of {said}"
        )
        found = values(head.class_centers)
        np.testing.assert_array_equal(found[1], fresh[1])
        # Directions are the file's, and the norm that of new centers.
        norm = np.linalg.norm(fresh, axis=1).mean()
        wanted = rows()[[4, 1]]
        wanted *= norm / np.linalg.norm(wanted, axis=1, keepdims=True)
        np.testing.assert_allclose(found[[0, 2]], wanted, rtol=1e-5)

    def test_partial_fc_of_one_device(self, tmp_path):
        """As `softmax_fc_gpu_0.pt` of arcface_torch."""
        write_names(tmp_path)
        write(tmp_path / "fc.pt", {"weight": torch_tensor("0", rows())}, {"0": rows().tobytes()})
        self.check(tmp_path, "fc.pt", "weight of fc.pt")

    def test_a_tensor_of_each_of_many_devices(self, tmp_path):
        """As `rank_*_softmax_weight.pt` of arcface_torch; 10 comes after 2."""
        names = [f"{n:02d}" for n in range(9)] + ["eve", "x", "bob"]
        write_names(tmp_path, names)
        array = rows(names)
        array[[9, 11]] = rows()[[4, 1]]
        for rank in range(11):
            part = array[rank:] if rank == 10 else array[rank : rank + 1]
            content = torch_tensor("0", part)
            write(tmp_path / f"rank_{rank}_w.pt", content, {"0": part.tobytes()})
        write(tmp_path / "rank_0_w_mom.pt", {"no": plain(1)})
        self.check(tmp_path, "rank_*_w.pt", "tensor of rank_*_w.pt")

    def test_beside_the_backbone_of_a_checkpoint(self, tmp_path):
        """As `checkpoint_gpu_0.pt` of arcface_torch."""
        write_names(tmp_path)
        network = dictionary({"conv.weight": torch_tensor("1", np.ones((3, SIZE), np.float32))})
        fc = dictionary({"weight": torch_tensor("0", rows())})
        content = dictionary({"epoch": plain(3), "state_dict_backbone": network, "fc": fc})
        write(tmp_path / "c.pt", content, {"0": rows().tobytes(), "1": bytes(3 * SIZE * 4)})
        self.check(tmp_path, "c.pt", "fc.weight of c.pt")

    def test_a_kernel_with_classes_in_columns(self, tmp_path):
        """As AdaFace's `head.kernel`."""
        write_names(tmp_path)
        kernel = np.ascontiguousarray(rows().T)
        state = dictionary({"head.kernel": torch_tensor("0", kernel), "head.t": plain(1)})
        content = dictionary({"state_dict": state})
        write(tmp_path / "ada.ckpt", content, {"0": kernel.tobytes()})
        self.check(tmp_path, "ada.ckpt", "state_dict.head.kernel of ada.ckpt")

    @pytest.mark.parametrize("name", ["fc.weight", "head.kernel"])
    def test_of_a_square_matrix_the_name_tells(self, tmp_path, name):
        names = [*NAMES, "flo", "gus", "hal"]
        write_names(tmp_path, names)
        array = rows(names)
        array[[4, 1]] = rows()[[4, 1]]
        array = array.T if name == "head.kernel" else array
        save_file({name: np.ascontiguousarray(array)}, tmp_path / "net.safetensors")
        self.check(tmp_path, "net.safetensors", f"{name} of net.safetensors")

    def test_names_of_a_csv_file(self, tmp_path):
        with (tmp_path / "names.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("label", "name"), *enumerate(NAMES)])
        np.savez(tmp_path / "fc.npz", w=rows())
        _, part = given("fc.npz")
        _, fill = head_of(tmp_path, ["ann", "bob"], BACKBONE, part.replace(".txt", ".csv"))
        assert fill() == (
            "head weights: class centers of 2 of 2 identities by name, of w of fc.npz\n"
            "skipped: 3 of 5 identities of the source, which aren't in this model"
        )


@pytest.mark.parametrize("has_bias", [True, False])
def test_a_softmax_takes_rows_and_bias_as_they_are(tmp_path, has_bias):
    """As `logits` of facenet-pytorch."""
    write_names(tmp_path)
    bias = np.arange(5, dtype=np.float32)
    arrays = {"logits.weight": rows(), "last.weight": np.ones(SIZE)}
    if has_bias:
        arrays["logits.bias"] = bias
    np.savez(tmp_path / "net.npz", **arrays)
    head, fill = head_of(tmp_path, ["bob", "zoe", "ann"], *given("net.npz", "softmax"))
    assert fill().startswith("head weights: classifier rows of 2 of 3 identities by name (1 new")
    kernel, found_bias = (values(weight) for weight in head.weights)
    np.testing.assert_array_equal(kernel[:, [0, 2]], rows()[[1, 0]].T)
    np.testing.assert_array_equal(found_bias, [1 if has_bias else 0, 0, 0])


class TestErrors:
    def error(self, folder: Path, *overrides, names=("ann", "bob")) -> str:
        with pytest.raises(InputError) as caught:
            head_of(folder, names, *overrides)[1]()
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith("model.head.weights: ")
        return str(caught.value)

    @pytest.fixture(autouse=True)
    def files(self, tmp_path):
        write_names(tmp_path)
        np.savez(tmp_path / "fc.npz", w=rows())
        (tmp_path / "cut.pt").write_bytes(b"PK\3\4")
        (tmp_path / "net.tflite").write_bytes(b"x")

    @pytest.mark.parametrize(
        ("path", "message"),
        [
            ("gone.pt", r"gone\.pt: no such file"),
            ("rank_*.pt", r"rank_\*\.pt: no such files"),
            ("cut.pt", r"weights: \S*cut\.pt: cut short or damaged"),
            ("net.tflite", r"net\.tflite: must be a file of PyTorch, NumPy"),
        ],
    )
    def test_files(self, tmp_path, path, message):
        assert re.search(message, self.error(tmp_path, *given(path)))

    def test_another_number_of_names(self, tmp_path):
        write_names(tmp_path, NAMES[:4])
        assert self.error(tmp_path, *given("fc.npz")).endswith(
            "no matrix of 4 classes, as class_names has, and embeddings of 8: it has w [5, 8]"
        )

    def test_another_size_of_embeddings(self, tmp_path):
        found = self.error(tmp_path, *given("fc.npz"), "model.embedding_size=16")
        assert found.endswith("and embeddings of 16: it has w [5, 8]")

    def test_one_of_several_files_is_missing(self, tmp_path):
        for rank in (0, 2):
            np.savez(tmp_path / f"r_{rank}.npz", w=rows()[2 * rank : 2 * rank + 2])
        found = self.error(tmp_path, *given("r_*.npz"))
        assert found.endswith("embeddings of 8: the first of 2 files has w [2, 8]")

    def test_names_of_nobody_here(self, tmp_path):
        found = self.error(tmp_path, *given("fc.npz"), names=("Ann", "Bob"))
        assert found.endswith(
            "none of the 2 identities is among its 5 classes: it has 'ann', 'bob', 'cleo', 'dan', "
            "..., and the training data 'Ann', 'Bob'"
        )

    def test_several_arrays_that_fit(self, tmp_path):
        np.savez(tmp_path / "fc.npz", weight=rows(), weight_mom=np.zeros((5, SIZE)))
        found = self.error(tmp_path, *given("fc.npz"))
        assert found.endswith("several arrays fit: 'weight', 'weight_mom'; name one by array")
        named = (*given("fc.npz"), "model.head.weights.array=weight")
        assert "of weight of fc.npz" in head_of(tmp_path, ["bob", "ann"], *named)[1]()

    def test_an_array_that_is_not_there(self, tmp_path):
        found = self.error(tmp_path, *given("fc.npz"), "model.head.weights.array=v")
        assert found.endswith("it has no array v, but w")

    def test_values_that_are_no_numbers(self, tmp_path):
        np.savez(tmp_path / "fc.npz", w=np.full((5, SIZE), np.nan))
        assert self.error(tmp_path, *given("fc.npz")).endswith("w has values that are no numbers")

    @pytest.mark.parametrize(
        ("head", "message"),
        [
            ("triplet", "only a softmax, or a head with class centers, has them"),
            ("sigmoid", "only a softmax, or a head with class centers, has them"),
            ("subcenter_arcface", "the head has 3 centers of each identity, and a file one"),
        ],
    )
    def test_heads(self, tmp_path, head, message):
        assert self.error(tmp_path, *given("fc.npz", head)).endswith(message)

    def test_without_the_weights_of_the_network(self, tmp_path):
        with pytest.raises(InputError, match=r"^.*model\.head\.weights: .*\(model\.backbone\.weig"):
            load_tiny(tmp_path, given("fc.npz")[1])

    def test_a_section_without_names(self, tmp_path):
        with pytest.raises(InputError, match=r"model\.head\.weights\.class_names: missing"):
            load_tiny(tmp_path, BACKBONE, "model.head.weights={path: fc.npz}")


SIX = [f"{label:06d}" for label in range(6)]


def load_run(folder: Path, stage: str):
    """Returns the recipe of a run of one stage whose head starts from a file."""
    write_names(folder, SIX)
    np.savez(folder / "fc.npz", w=rows(SIX))
    model = load_tiny(folder).model
    build(model, len(SIX)).embedder.save(folder / "net.keras")
    network = "model.backbone.weights=net.keras"
    stages = f"training.stages=[{{name: all, {stage}}}]"
    return load_tiny(folder, *ONE_STAGE, network, stages, given("fc.npz")[1])


def test_a_run_starts_with_them(tmp_path, capsys):
    # Too small a rate to change them.
    still = "epochs: 1, optimizer: {name: sgd, learning_rate: 1e-12, momentum: 0}"
    recipe = load_run(tmp_path, still)
    assert "class_names: names.txt" in dump(recipe)
    run = train(recipe, tmp_path / "run", tmp_path)
    line = "head weights: class centers of 6 of 6 identities by name, of w of fc.npz\n"
    assert line in capsys.readouterr().out
    with np.load(run.path / "head.npz") as file:
        found = file["weights/000"]
    cosines = np.sum(found * rows(SIX), axis=1)
    norms = np.linalg.norm(found, axis=1) * np.linalg.norm(rows(SIX), axis=1)
    np.testing.assert_allclose(cosines / norms, 1, rtol=1e-5)


@pytest.mark.slow
def test_a_run_resumes_without_them(tmp_path, monkeypatch, capsys):
    recipe = load_run(tmp_path, "epochs: 2, optimizer: sgd")
    whole = train(recipe, tmp_path / "whole", tmp_path).path
    train_and_stop(recipe, tmp_path / "stopped", tmp_path, monkeypatch)
    for name in ("fc.npz", "names.txt"):
        (tmp_path / name).unlink()
    capsys.readouterr()
    resumed = train(recipe, tmp_path / "stopped", tmp_path, resume=True).path
    assert "head weights" not in capsys.readouterr().out
    with np.load(whole / "head.npz") as one, np.load(resumed / "head.npz") as other:
        np.testing.assert_array_equal(one["weights/000"], other["weights/000"])
