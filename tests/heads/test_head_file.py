"""The head's file holds plain data, and what else it may hold is told in one line."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from tfface.errors import InputError
from tfface.heads import HEADS
from tfface.heads.head_file import load_head, save_head

ROOT = Path(__file__).resolve().parents[2]


def write(path: Path, name: str = "arcface", **options):
    keras.utils.set_random_seed(3)
    head = HEADS[name](num_identities=5, **options)
    head.build((None, 8))
    save_head(path, head, name=name, options=options, num_identities=5, embedding_size=8)
    return head


def test_options_come_back(tmp_path):
    write(tmp_path / "head.npz", margin=0.25, scale=16.0)
    head = load_head(tmp_path / "head.npz").head
    assert (head.margin.margin, head.scale) == (0.25, 16.0)


def rewrite(path: Path, change):
    with np.load(path) as file:
        arrays = dict(file)
    description = json.loads(str(arrays.pop("description")))
    change(description, arrays)
    np.savez(path, description=np.array(json.dumps(description)), **arrays)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda text, arrays: text.update(name="magic"),
            "the kind of head 'magic' is not known; s",
        ),
        (lambda text, arrays: text.pop("options"), "can't be read as the head of a run: 'options'"),
        (lambda text, arrays: text.update(options={"margin": 9}), "less than 1.57"),
        (lambda text, arrays: text.update(options={"charm": 9}), "charm"),
        (lambda text, arrays: text.update(num_identities=6), r"\(5, 8\)"),
        (lambda text, arrays: text.update(embedding_size="many"), "can't be read as the head"),
        (lambda text, arrays: arrays.clear(), "can't be read as the head of a run: "),
        (lambda text, arrays: arrays.update({"weights/001": np.ones(2)}), "can't be read as the"),
    ],
)
def test_files_of_other_content(tmp_path, change, message):
    path = tmp_path / "head.npz"
    write(path)
    rewrite(path, change)
    with pytest.raises(InputError, match=message) as caught:
        load_head(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kept", [0, 10, 300, -40])
def test_a_damaged_file(tmp_path, kept):
    path = tmp_path / "head.npz"
    write(path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"head\.npz: can't be read as the head of a run: "):
        load_head(path)


def test_no_file(tmp_path):
    with pytest.raises(InputError, match=r"head\.npz: can't be read as the head .*No such file"):
        load_head(tmp_path / "head.npz")


class Trap:
    def __reduce__(self):
        return os.mkdir, (os.environ["TFFACE_TRAP"],)


def test_code_in_it_is_never_run(tmp_path, monkeypatch):
    monkeypatch.setenv("TFFACE_TRAP", str(tmp_path / "trapped"))
    path = tmp_path / "head.npz"
    write(path)
    rewrite(path, lambda text, arrays: arrays.update({"weights/000": np.array(Trap(), object)}))
    with pytest.raises(InputError, match="is of type object, not of numbers or text"):
        load_head(path)
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(InputError, match="can't be read as the head of a run: "):
        load_head(path)
    assert not (tmp_path / "trapped").exists()


@pytest.mark.slow
def test_jax_backend_gives_the_same(tmp_path):
    pytest.importorskip("jax")
    embeddings = np.random.default_rng(1).normal(size=(3, 8)).astype("float32")
    np.save(tmp_path / "embeddings.npy", embeddings)
    head = write(tmp_path / "head.npz")
    np.save(tmp_path / "expected.npy", keras.ops.convert_to_numpy(head.probabilities(embeddings)))
    code = (
        "import keras, numpy as np\n"
        "from pathlib import Path\n"
        "from tfface.heads.head_file import load_head\n"
        "head = load_head(Path('head.npz')).head\n"
        "found = keras.ops.convert_to_numpy(head.probabilities(np.load('embeddings.npy')))\n"
        "np.testing.assert_allclose(found, np.load('expected.npy'), rtol=1e-4, atol=1e-6)\n"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        cwd=tmp_path,
        env=os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": str(ROOT)},
    )
