"""The reader of a file is chosen by its content, whatever it is called."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.backbones.weights.pth_files import dictionary, plain, tensor, write
from tfface.backbones.weights.array_files import read_npz, read_safetensors
from tfface.backbones.weights.file_readers import check_trainable, reader_of
from tfface.backbones.weights.looks_like import looks_like
from tfface.backbones.weights.onnx_file import read_onnx
from tfface.backbones.weights.torch_file import read_torch_file
from tfface.errors import InputError

HERE = Path(__file__).resolve().parent


@pytest.mark.parametrize("name", ["net.ckpt", "net.pth.tar", "net.bin", "net.pkl", "net", "n.npz"])
def test_content_decides(tmp_path, name):
    for checkpoint in ("zip.pth", "legacy.pth"):
        shutil.copy(HERE / checkpoint, tmp_path / name)
        assert reader_of(tmp_path / name) is read_torch_file
    np.savez(tmp_path / "arrays.npz", a=np.ones(3))
    shutil.copy(tmp_path / "arrays.npz", tmp_path / name)
    assert reader_of(tmp_path / name) is read_npz
    save_file({"a": np.ones(3, np.float32)}, tmp_path / name)
    assert reader_of(tmp_path / name) is read_safetensors


@pytest.mark.parametrize("content", [b"", b"x", b"PK\3\4 cut short", bytes(8) + b"{", b"\x80\x04."])
def test_other_content_is_what_the_name_says(tmp_path, content):
    readers = {"pth": read_torch_file, "npz": read_npz, "onnx": read_onnx, "bin": None}
    for suffix, reader in readers.items():
        path = tmp_path / f"net.{suffix}"
        path.write_bytes(content)
        expected = reader
        if content[8:9] == b"{" and suffix != "onnx":
            # A safetensors file with an empty header; its reader says so.
            expected = read_safetensors
        assert reader_of(path) is expected


def test_a_checkpoint_of_pytorch_lightning(tmp_path):
    """Callbacks are keys there, and options an object; nothing of them is imported."""
    callback = b"cpytorch_lightning.callbacks.model_checkpoint\nModelCheckpoint\n"
    options = b"cpytorch_lightning.utilities.parsing\nAttributeDict\n)\x81}(" + plain("lr")
    options += plain(0.1) + b"ub"
    content = b"}(" + plain("state_dict") + dictionary({"model.a.weight": tensor()})
    content += plain("callbacks") + b"}(" + callback + plain(1) + b"u"
    content += plain("hyper_parameters") + options + b"u"
    path = write(tmp_path / "net.ckpt", content, {"0": np.ones(3, np.float32).tobytes()})
    found = reader_of(path)(path)
    assert found["model.a.weight"].load().tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("names", "network"),
    [
        (["model.body.7.res_layer.0.weight", "body.0.res_layer.2.running_mean"], "ir_18"),
        (["body.23.res_layer.5.fc1.weight"], "ir_se_50 with layout: evolve"),
        (["body.9.res_layer.2.running_mean"], "an IR network of 10 blocks"),
        ([f"layer{n}.1.bn1.weight" for n in range(1, 5)] + ["layer1.0.prelu.weight"], "iresnet18"),
        ([f"layer{n}.1.bn1.weight" for n in range(1, 5)], "resnet18"),
        (["module.linear7.conv.weight"], "mobilefacenet with layout: original"),
        (["features.layers.2.weight", "conv_sep.layers.0.weight"], "mobilefacenet"),
        (["patch_embed.proj.weight", "blocks.23.mlp.fc1.weight"], "vit_b"),
        (["patch_embed.proj.weight", "feature.3.running_mean"], "vit_t or vit_s"),
        (["patch_embed.proj.weight"], "a vision transformer that tfface has no backbone for"),
    ],
)
def test_what_a_file_looks_like(names, network):
    assert looks_like(dict.fromkeys(names)) == f"; it looks like {network}"


def test_names_that_look_like_nothing():
    assert looks_like({"a": None, f"body.{'9' * 5000}.res_layer.0.weight": None}) == ""


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("net.tflite", "a TensorFlow Lite model"),
        ("net.XML", "an OpenVINO model"),
        ("net", "a SavedModel"),
    ],
)
def test_a_format_for_inference_is_refused_for_training(tmp_path, name, kind):
    path = tmp_path / name
    if kind == "a SavedModel":
        path.mkdir()
        (path / "saved_model.pb").touch()
    with pytest.raises(
        InputError,
        match=rf"^model\.init_from: .*{name}: {kind} can't be trained on.*"
        rf"distillation: {{teacher: {name}}}, as the recipe distill_mobilenetv2 does$",
    ):
        check_trainable(path, "model.init_from")
    check_trainable(tmp_path / "net.onnx", "model.init_from")
