"""Small files that are whole, some of which hold code, for fuzzing to start from."""

import importlib
import io
import shutil
import sys
import types
from pathlib import Path
from unittest import mock

import keras
import numpy as np
import tensorflow as tf

from tests.backbones.weights.pth_files import plain, tensor, write
from tests.backbones.weights.test_array_files import safetensors
from tests.evaluation.embedders.test_external import write_onnx, write_tflite
from tests.training.old_checkpoints import write_old_arrays
from tfface.heads import HEADS
from tfface.heads.head_file import save_head
from tfface.training.checkpoint_file import write_arrays
from tfface.training.checkpoint_state import weight_arrays

# Importing it is what code in a file tries.
TRAP = "tfface_trap"
KERAS_2 = Path(__file__).resolve().parents[1] / "backbones" / "weights" / "keras2.h5"


class _Trap:
    def __reduce__(self):
        return importlib.import_module, (TRAP,)


def small_network() -> keras.Model:
    inputs = keras.Input((16, 12, 3))
    inner_inputs = keras.Input((16, 12, 3))
    features = keras.layers.Conv2D(4, 3, strides=2, activation="relu")(inner_inputs)
    inner = keras.Model(inner_inputs, keras.layers.BatchNormalization()(features), name="inner")
    features = keras.layers.Rescaling(1 / 127.5, -1)(inputs)
    features = keras.layers.GlobalAveragePooling2D()(inner(features))
    return keras.Model(inputs, keras.layers.Dense(8)(features), name="small")


def network_with_code() -> keras.Model:
    inputs = keras.Input((16, 12, 3))
    code = keras.layers.Lambda(lambda x: (__import__("tfface_trap"), x)[1])
    with mock.patch.dict(sys.modules, {TRAP: types.ModuleType(TRAP)}):
        return keras.Model(inputs, keras.layers.Flatten()(code(inputs)))


def write_samples(folder: Path) -> None:
    """Writes the samples, a trap beside them and a secret beside the folder."""
    folder.mkdir(exist_ok=True)
    (folder.parent / f"{TRAP}.py").write_text(
        f"import pathlib\npathlib.Path({str(folder.parent / 'trapped')!r}).write_text('run')\n"
    )
    (folder.parent / "secret").write_text("secret")
    network = small_network()
    network.save(folder / "plain.keras")
    network.save_weights(folder / "plain.weights.h5")
    network_with_code().save(folder / "code.keras")
    shutil.copy(KERAS_2, folder / "plain.h5")
    arrays = weight_arrays(network)
    write_arrays(folder / "checkpoint.safetensors", arrays)
    by_position = {f"{i:05d}": array for i, array in enumerate(arrays.values())}
    write_old_arrays(folder / "checkpoint.npz", by_position)
    head = HEADS["arcface"](num_identities=5)
    head.build((None, 8))
    options = {"margin": 0.5, "scale": 64.0}
    save_head(
        folder / "head.npz",
        head,
        name="arcface",
        options=options,
        num_identities=5,
        embedding_size=8,
    )
    np.savez(folder / "arrays.npz", a=np.arange(12.0), b=np.ones((3, 4), np.float32))
    objects = io.BytesIO()
    np.savez(objects, a=np.array(_Trap(), object))
    (folder / "code.npz").write_bytes(objects.getvalue())
    header = {"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}
    (folder / "plain.safetensors").write_bytes(safetensors(header, bytes(24)))
    write(folder / "plain.pth", {"a": tensor(), "b": tensor("1")}, {"0": bytes(12), "1": bytes(12)})
    call = b"cimportlib\nimport_module\n(" + plain(TRAP) + b"tR"
    write(folder / "code.pth", {"a": tensor(), "b": call}, {"0": bytes(12)})
    write_onnx(folder / "plain.onnx")
    write_tflite(folder / "plain.tflite")
    network.export(folder / "saved", verbose=False)
    _write_saved_code(folder / "saved_code")


def _write_saved_code(folder: Path) -> None:
    """A SavedModel that writes a file when it embeds."""

    class Net(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 16, 12, 3))])
        def embed(self, images):
            tf.io.write_file(str(folder.parent.parent / "trapped"), "run")
            return {"embeddings": tf.reduce_mean(images, (1, 2))}

    net = Net()
    tf.saved_model.save(net, folder, signatures={"serving_default": net.embed})
