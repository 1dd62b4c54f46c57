"""Weights files and pair sets that were made to harm, and what reads them."""

import struct
import zipfile
from pathlib import Path

import numpy as np

from tests.backbones.weights.pth_files import plain, tensor, write
from tests.backbones.weights.test_array_files import safetensors
from tfface.backbones.weights.array_files import read_npz, read_safetensors
from tfface.backbones.weights.torch_file import read_torch_file
from tfface.backbones.weights.torch_weights import _Checkpoint
from tfface.data.pairs.insightface_bin import read_pickle

# The cases run in a folder of their own.
_FOLDER = Path()
_ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n)R"
_BYTES = b"cnumpy\ndtype\nU\x02u1\x85R"


def _shared(depth: int) -> bytes:
    """A tuple of the same tuple twice, and so on: 2 ** depth numbers as text."""
    steps = (b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(depth))
    return b"K\x01" + b"".join(steps)


def _deep(depth: int) -> bytes:
    return b"K\x01" + b"\x85" * depth


def _pickle(content: bytes):
    return lambda: read_pickle(b"\x80\x02" + content + b".")


def _array(shape: bytes, data: bytes = b"U\x01a") -> bytes:
    return _ARRAY + b"(K\x01" + shape + _BYTES + b"\x89" + data + b"tb"


def _checkpoint(content: bytes | dict, *arguments, **entries):
    def read():
        return read_torch_file(write(_FOLDER / "a.pth", content, *arguments, **entries))

    return read


def _same_text_often() -> bytes:
    text = b"X" + struct.pack("<I", 1 << 20) + b"a" * (1 << 20) + b"q\x010"
    shape = b"J" + struct.pack("<I", 1 << 20) + b"\x85q\x030"
    each = _ARRAY + b"(K\x01h\x03h\x02\x89h\x01tb"
    return b"(" + text + _BYTES + b"q\x020" + shape + each * 2000 + b"l"


def _same_list_often() -> bytes:
    items = b"".join(b"X" + struct.pack("<I", 5) + b"%05d" % i + b"N\x86" for i in range(20_000))
    once = b"](" + items + b"eq\x010ccollections\nOrderedDict\nq\x020h\x01\x85q\x030("
    return once + b"h\x02h\x03R" * 5000 + b"l"


def _same_storage_often() -> bytes:
    """A storage whose name is a long tuple, and a tensor of these."""
    name = plain("storage") + b"ctorch\nFloatStorage\n" + plain("0") + plain("cpu") + b"K\x03"
    return b"(" + name + b"N" * 1_000_000 + b"tq\x010(" + b"h\x01Q" * 700_000 + b"l"


def _same_arguments_often() -> bytes:
    once = b"ctorch\nSize\nq\x010(" + b"N" * 1_000_000 + b"tq\x020("
    return once + b"h\x01h\x02R" * 500_000 + b"l"


def _zip_with(name: str, start: bytes, num_mebibytes: int):
    """A deflated entry that is a thousand times as large when it is read."""

    def read():
        path = _FOLDER / name
        if path.suffix == ".pth":
            write(path, {"a": tensor()}, {"0": bytes(12)})
        else:
            path.unlink(missing_ok=True)
        entry = "net/byteorder" if path.suffix == ".pth" else "a.npy"
        with (
            zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
            archive.open(entry, "w", force_zip64=True) as file,
        ):
            file.write(start)
            for _ in range(num_mebibytes):
                file.write(bytes(1 << 20))
        return read_torch_file(path) if path.suffix == ".pth" else read_npz(path)

    return read


def _npz(header: bytes):
    def read():
        path = _FOLDER / "header.npz"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.npy", b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header)
        return read_npz(path)

    return read


def _damaged_npz(place: float):
    def read():
        path = _FOLDER / "damaged.npz"
        np.savez_compressed(path, a=np.random.default_rng(0).random(5000))
        data = bytearray(path.read_bytes())
        start = int(place * len(data)) + 60
        data[start : start + 400] = b"\xff" * 400
        path.write_bytes(data)
        return read_npz(path)["a"].load()

    return read


def _encrypted_npz():
    path = _FOLDER / "encrypted.npz"
    np.savez(path, a=np.arange(10.0))
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    return read_npz(path)


def _nested_prefix():
    path = _FOLDER / "a.safetensors"
    header = {"model." * 40_000 + "x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    path.write_bytes(safetensors(header, b"1234"))
    checkpoint = _Checkpoint(path, read_safetensors(path))
    checkpoint.strip_prefix({"x"})
    return checkpoint


CASES = {
    "pairs, shape of shared tuples": _pickle(_array(_shared(60))),
    "pairs, shape of deep tuples": _pickle(_array(_deep(200_000))),
    "pairs, type of shared tuples": _pickle(b"cnumpy\ndtype\n" + _shared(60) + b"\x85R"),
    "pairs, type of deep tuples": _pickle(b"cnumpy\ndtype\n" + _deep(200_000) + b"\x85R"),
    "pairs, name of shared tuples": _pickle(_shared(60) + b"U\x01a\x93"),
    "pairs, name of deep tuples": _pickle(_deep(200_000) + b"U\x01a\x93"),
    "pairs, a product without end": _pickle(
        _array(b"(\x8a\xff" + b"\x7f" * 255 + b"q\x01" + b"h\x01" * 400_000 + b"t")
    ),
    "pairs, the same text often": _pickle(_same_text_often()),
    "pth, name of shared tuples": _checkpoint(_shared(60) + b"U\x01a\x93"),
    "pth, the same list often": _checkpoint(_same_list_often()),
    "pth, the same storage often": _checkpoint(_same_storage_often()),
    "pth, the same arguments often": _checkpoint(_same_arguments_often()),
    "pth, keys of shared tuples": _checkpoint(b"}" + _shared(60) + b"Ns"),
    "pth, keys of deep tuples": _checkpoint(b"}" + _deep(200_000) + b"Ns"),
    "pairs, lists without end": _pickle(b"]" * 3_000_000),
    "pairs, a place without end": _pickle(b"K\x01r\xff\xff\xff\xff"),
    "pth, byte order of a gigabyte": _zip_with("order.pth", b"", 1024),
    "pth, brackets that were deflated": _checkpoint(
        b"(" + b"]" * (2**24 - 100) + b"t", {}, zipfile.ZIP_DEFLATED
    ),
    "npz, header of a gigabyte": _zip_with(
        "a.npz", b"\x93NUMPY\2\0" + struct.pack("<I", 2**30), 1024
    ),
    "npz, header without end": _npz(b"{'descr': ("),
    "npz, header of signs": _npz(b"-" * 9000 + b"1"),
    "npz, header that can't be hashed": _npz(b"{[]: 1}"),
    "npz, damaged at its beginning": _damaged_npz(0.0),
    "npz, damaged in the middle": _damaged_npz(0.5),
    "npz, encrypted": _encrypted_npz,
    "safetensors, prefixes without end": _nested_prefix,
}
