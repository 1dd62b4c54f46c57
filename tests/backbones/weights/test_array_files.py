"""Arrays by name in .npz, .safetensors and .onnx files, and in damaged ones."""

import json
import sys
import zipfile

import numpy as np
import pytest
from safetensors.numpy import save_file

from tfface.backbones.weights.array_files import read_npz, read_safetensors
from tfface.backbones.weights.onnx_file import read_onnx
from tfface.errors import InputError


def test_npz(tmp_path):
    path = tmp_path / "net.npz"
    half = np.float16([[1, 2, 3], [4, 5, 6]])
    np.savez_compressed(path, **{"conv.weight": half.T, "count": np.int64(3)})
    arrays = read_npz(path)
    assert arrays["conv.weight"].shape == (3, 2)
    assert arrays["conv.weight"].load().dtype == np.float32
    np.testing.assert_array_equal(arrays["conv.weight"].load(), half.T)
    assert arrays["count"].load() == 3


def test_npz_of_other_things(tmp_path):
    path = tmp_path / "net.npz"
    np.savez(path, a=np.array([print], object))
    with pytest.raises(InputError, match=r"a\.npy is of type object, not of numbers"):
        read_npz(path)
    np.savez(path, a=np.array(["text"]))
    with pytest.raises(InputError, match="not of numbers"):
        read_npz(path)
    path.write_bytes(b"no zip")
    with pytest.raises(InputError, match="cut short or damaged: File is not a zip file"):
        read_npz(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", b"no array")
    with pytest.raises(InputError, match="cut short or damaged: the magic string"):
        read_npz(path)


def test_npz_of_another_size_than_it_says(tmp_path):
    """Its shape is known at once; what isn't wanted in that shape is never read."""
    path = tmp_path / "net.npz"
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (4, 1000000000), }"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    assert read_npz(path)["a"].shape == (4, 1_000_000_000)
    small = header.replace(b"1000000000", b"2" + b" " * 9)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", b"\x93NUMPY\x01\x00" + len(small).to_bytes(2, "little") + small)
    with pytest.raises(InputError, match="cut short or damaged"):
        read_npz(path)["a"].load()


def safetensors(header: object, data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def test_safetensors(tmp_path):
    path = tmp_path / "net.safetensors"
    data = np.arange(6, dtype="<f4").tobytes() + np.array([0x3F80, 0xC000], "<u2").tobytes()
    header = {
        "__metadata__": {"format": "pt"},
        "a.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "b": {"dtype": "BF16", "shape": [2], "data_offsets": [24, 28]},
    }
    path.write_bytes(safetensors(header, data))
    arrays = read_safetensors(path)
    np.testing.assert_array_equal(arrays["a.weight"].load(), np.arange(6).reshape(2, 3))
    np.testing.assert_array_equal(arrays["b"].load(), [1, -2])


def test_safetensors_as_its_package_writes_them(tmp_path):
    types = ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"]
    values = np.random.default_rng(0).normal(size=(2, 3))
    arrays = {name: values.astype(name) for name in types}
    arrays |= {"one": np.array(3, "float32"), "nothing": np.zeros((0, 3), "float32")}
    save_file(arrays, tmp_path / "net.safetensors", metadata={"format": "np"})
    found = read_safetensors(tmp_path / "net.safetensors")
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        assert found[name].shape == array.shape
        np.testing.assert_array_equal(found[name].load(), array.astype("float32"), strict=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "header too small"),
        (b"\xff" * 8 + b"{}", "header too large"),
        (safetensors([1]), "invalid type: sequence"),
        (safetensors({"a": {"dtype": "F32"}}), "missing field `shape`"),
        (
            safetensors({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, b"1234"),
            "file not fully covered",
        ),
        (
            safetensors({"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 4]}}, b"1234"),
            "invalid shape, data type, or offset",
        ),
        (
            safetensors({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [4, 0]}}, b"1234"),
            "invalid value: integer `-1`",
        ),
        (
            safetensors({"a": {"dtype": "U16", "shape": [2], "data_offsets": [0, 4]}}, b"1234"),
            "a is of type U16",
        ),
        (b"\x03\0\0\0\0\0\0\0abc", "expected value"),
    ],
)
def test_damaged_safetensors(tmp_path, content, message):
    path = tmp_path / "net.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"cut short or damaged: .*{message}"):
        read_safetensors(path)


def test_onnx(tmp_path, monkeypatch):
    onnx = pytest.importorskip("onnx")
    weight = onnx.numpy_helper.from_array(np.float32([[1, 2]]), "fc.weight")
    graph = onnx.helper.make_graph([], "net", [], [], [weight])
    path = tmp_path / "net.onnx"
    onnx.save(onnx.helper.make_model(graph), path)
    assert read_onnx(path)["fc.weight"].load().tolist() == [[1, 2]]
    path.write_bytes(b"\xff" * 30)
    with pytest.raises(InputError, match=r"net\.onnx: cut short or damaged"):
        read_onnx(path)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError, match=r"onnx is not installed .* 'tfface\[export\]'"):
        read_onnx(path)
