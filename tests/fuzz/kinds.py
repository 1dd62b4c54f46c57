"""What is fuzzed: for each kind of file, how a case of a number is made, and what reads it."""

import functools
import io
import json
import os
import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import h5py
import keras
import numpy as np
import yaml
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from tests.fuzz.mutations import VALUES, damage, damage_h5, damage_tree, damage_zip
from tests.fuzz.samples import small_network
from tests.training.old_checkpoints import refit_old_checksum
from tfface import recipe
from tfface.backbones.weights.array_files import read_npz, read_safetensors
from tfface.backbones.weights.loading import load_weights
from tfface.backbones.weights.torch_file import read_torch_file
from tfface.evaluation.embedders.embedder import load_embedder
from tfface.heads.head_file import load_head
from tfface.training import checkpoint_state
from tfface.training.checkpoint_file import METADATA_KEY, checksum
from tfface.training.registries import REGISTRIES

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
_IMAGES = np.zeros((2, 16, 12, 3), np.uint8)


class Kind:
    """Cases of one kind of file.

    Args:
        files: the samples that are damaged, by name.
        change: given a generator and a sample's bytes, returns damaged ones.
        read: given the path of a damaged file and the case's number, reads it.
    """

    def __init__(
        self,
        files: tuple[str, ...],
        change: Callable[[random.Random, bytes], bytes],
        read: Callable[[Path, int], object],
    ):
        self._files, self._change, self._read = files, change, read

    def warm_up(self, folder: Path) -> None:
        """Does once what would count as a case's own time and memory."""
        for file in self._files:
            path = _new(folder) / Path(file).name
            path.write_bytes((folder / file).read_bytes())
            try:
                self._read(path, 0)
            except ValueError as error:
                # Those of code are refused as they are.
                if "plain" in file:
                    raise AssertionError(f"{file} isn't read") from error

    def case(self, folder: Path, number: int) -> Callable[[], object]:
        """Writes the file of a case, and returns what reads it."""
        rng = random.Random(f"{os.environ.get('TFFACE_FUZZ_SEED', '0')} {number}")
        file = rng.choice(self._files)
        path = _new(folder) / Path(file).name
        path.write_bytes(self._change(rng, (folder / file).read_bytes()))
        return lambda: self._read(path, number)

    def clean_up(self, folder: Path) -> None:
        shutil.rmtree(_new(folder))
        # The collector would look at all of TensorFlow each time.
        keras.utils.clear_session(free_memory=False)


def _new(folder: Path) -> Path:
    """Where the cases of this process are written."""
    path = folder / f"new-{os.getpid()}"
    path.mkdir(exist_ok=True)
    return path


# ---------------------------------------------------------------- recipes


class Recipes:
    """Recipes and --set: damaged as text, and as trees."""

    _TEXTS = (
        "!!python/object/apply:importlib.import_module ['tfface_trap']",
        "!!python/module:tfface_trap",
        "&a [*a, *a]",
        "*a",
        "<<: {a: 1}",
        "!!binary AAAA",
        "!!timestamp x",
        "!!set {a, b}",
        "? [a]\n: b",
        "[" * 300,
        "{a: " * 300,
        "9" * 5000,
        "0x1f",
        "1e999",
        "\ud800",
        "\x85",
        "\t",
        "---",
        "%TAG ! x",
        '"\\0\\e[2J"',
        "'" * 99,
        "- " * 500,
    )

    def warm_up(self, folder: Path) -> None:
        self._samples = [
            path.read_text(encoding="utf-8")
            for path in sorted(RECIPES.glob("*.yaml"))
            if path.stat().st_size < 2500
        ]
        self._trees = [yaml.safe_load(text) for text in self._samples]
        self._names = [
            *REGISTRIES["backbones"],
            *REGISTRIES["heads"],
            "none",
            "name",
            "source",
            "a.b",
        ]
        recipe.load(RECIPES / "quickstart.yaml", REGISTRIES)

    def case(self, folder: Path, number: int) -> Callable[[], object]:
        rng = random.Random(f"{os.environ.get('TFFACE_FUZZ_SEED', '0')} {number}")
        path = _new(folder) / "recipe.yaml"
        overrides = []
        kind = rng.choice(["bytes", "text", "tree", "tree", "set"])
        text = rng.choice(self._samples)
        content = text.encode()
        if kind == "bytes":
            content = damage(rng, content)
        if kind == "text":
            lines = text.splitlines()
            for _ in range(rng.choice([1, 2, 5])):
                place = rng.randrange(len(lines))
                key = lines[place].partition(":")[0]
                lines[place] = rng.choice([f"{key}: ", "", key]) + rng.choice(self._TEXTS)
            content = "\n".join(lines).encode(errors="surrogatepass")
        if kind == "tree":
            tree = damage_tree(rng, rng.choice(self._trees), self._names)
            content = _dumped(tree).encode(errors="surrogatepass")
        if kind == "set":
            keys = [
                "data",
                "train",
                "model",
                "head",
                "training",
                "stages",
                "0",
                "1",
                "epochs",
                "name",
                "a",
            ]
            depth = rng.choice([1, 2, 3, 4, 5, 40, 3000])
            keys = [rng.choice([*keys, "\0", "\x1b[1m", "9" * 5000, "²"]) for _ in range(depth)]
            value = rng.choice([*self._TEXTS, *map(_dumped, VALUES)])
            overrides = [f"{'.'.join(keys)}={value}"]
        path.write_bytes(content)
        return lambda: recipe.dump(recipe.load(path, REGISTRIES, overrides))

    def clean_up(self, folder: Path) -> None:
        shutil.rmtree(_new(folder))


def _dumped(tree: object) -> str:
    try:
        return yaml.dump(tree, sort_keys=False)
    except RecursionError:
        # Brackets are YAML, too.
        return "[" * 400 + "]" * 400


# ---------------------------------------------------------------- models


def _change_keras(rng: random.Random, whole: bytes) -> bytes:
    kind = rng.choice(["bytes", "zip", "h5", "h5 bytes", "config", "config", "config"])
    if kind == "bytes":
        return damage(rng, whole)
    if kind == "zip":
        return damage_zip(rng, whole)
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    weights = entries["model.weights.h5"]
    if kind == "h5":
        entries["model.weights.h5"] = damage_h5(rng, weights)
    if kind == "h5 bytes":
        entries["model.weights.h5"] = damage(rng, weights)
    if kind == "config":
        config = json.loads(entries["config.json"])
        names = ["Lambda", "Dense", "tfface_trap", "keras", "TFSMLayer", "relu", "keras.layers"]
        config = damage_tree(rng, config, names)
        try:
            entries["config.json"] = json.dumps(config).encode()
        except RecursionError:
            entries["config.json"] = b'{"a":' * 4000 + b"1" + b"}" * 4000
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return held.getvalue()


def _change_model_h5(rng: random.Random, whole: bytes) -> bytes:
    if rng.random() < 0.4:
        return _change_h5(rng, whole)
    held = io.BytesIO(whole)
    with h5py.File(held, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        names = ["Lambda", "Dense", "Functional", "TFOpLambda", "hard_sigmoid", "both", "inner"]
        config = damage_tree(rng, config, names)
        try:
            text = json.dumps(config)
        except RecursionError:
            text = '{"a":' * 4000 + "1" + "}" * 4000
        file.attrs["model_config"] = text.encode(errors="replace")
    return held.getvalue()


def _embed(path: Path, number: int) -> object:
    embedder = load_embedder(path, batch_size=2)
    # Compiling takes its time.
    if number % 16 == 0 and embedder.image_size == (16, 12):
        embedder.embed(_IMAGES)
    return embedder


def _embed_foreign(path: Path, number: int) -> object:
    embedder = load_embedder(path, batch_size=2)
    height, width = embedder.image_size
    if height * width < 10_000:
        embedder.embed(np.zeros((2, height, width, 3), np.uint8))
    return embedder


def _change_h5(rng: random.Random, whole: bytes) -> bytes:
    return damage_h5(rng, whole) if rng.random() < 0.3 else damage(rng, whole)


def _change_archive(rng: random.Random, whole: bytes) -> bytes:
    if whole[:2] == b"PK" and rng.random() < 0.4:
        return damage_zip(rng, whole)
    return damage(rng, whole)


@functools.cache
def _network() -> keras.Model:
    return small_network()


def _read_weights(path: Path, number: int) -> object:
    return load_weights(_network(), path)


def _refit_checksum(path: Path) -> None:
    if path.suffix == ".npz":
        refit_old_checksum(path)
        return
    try:
        with safe_open(path, framework="numpy") as file:
            arrays = file.get_tensors()
    # What can't be opened has no checksum to be refitted.
    except SafetensorError:
        return
    described = {"text": "", "sha256": checksum(arrays, "")}
    save_file(arrays, path, {METADATA_KEY: json.dumps(described)})


def _read_arrays(path: Path, number: int) -> object:
    if path.stem == "head":
        return load_head(path)
    if path.stem == "checkpoint":
        # Who alters one to harm makes the checksum fit.
        _refit_checksum(path)
        return checkpoint_state.load_weights(path, _network())
    readers = {".npz": read_npz, ".safetensors": read_safetensors, ".pth": read_torch_file}
    found = readers[path.suffix](path)
    return [stored.load() for stored in found.values() if np.prod(stored.shape) < 1e6]


class SavedModels(Kind):
    """Of a folder, the file that says what is computed is damaged."""

    def case(self, folder: Path, number: int) -> Callable[[], object]:
        rng = random.Random(f"{os.environ.get('TFFACE_FUZZ_SEED', '0')} {number}")
        name = rng.choice(self._files)
        path = _new(folder) / name
        shutil.copytree(folder / name, path)
        file = path / "saved_model.pb"
        file.write_bytes(damage(rng, file.read_bytes()))
        return lambda: load_embedder(path)

    def warm_up(self, folder: Path) -> None:
        load_embedder(folder / "saved").embed(_IMAGES)


KINDS = {
    "recipe": Recipes(),
    "keras": Kind(("plain.keras", "code.keras"), _change_keras, _embed),
    "model_h5": Kind(("plain.h5",), _change_model_h5, _embed),
    "weights_h5": Kind(("plain.weights.h5",), _change_h5, _read_weights),
    "arrays": Kind(
        (
            *("head.npz", "checkpoint.safetensors", "checkpoint.npz"),
            *("arrays.npz", "code.npz", "plain.safetensors"),
        ),
        _change_archive,
        _read_arrays,
    ),
    "pth": Kind(("plain.pth", "code.pth"), _change_archive, _read_arrays),
    "onnx": Kind(("plain.onnx",), damage, _embed_foreign),
    "tflite": Kind(("plain.tflite",), damage, _embed_foreign),
    "saved_model": SavedModels(("saved", "saved_code"), damage, _embed_foreign),
}
