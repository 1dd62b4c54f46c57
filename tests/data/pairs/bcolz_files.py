"""bcolz folders for tests, as bcolz writes them."""

import json
import struct
from pathlib import Path

import numpy as np
from numcodecs import blosc


def write_bcolz(
    folder: Path, pixels: np.ndarray, is_genuine: list[bool], chunk_length: int = 3
) -> Path:
    """Writes `folder` and its list; pixels: uint8 [images, height, width, 3], RGB."""
    (folder / "data").mkdir(parents=True)
    (folder / "meta").mkdir()
    planes = pixels[..., ::-1].transpose(0, 3, 1, 2)
    values = np.ascontiguousarray((planes / np.float32(255) - np.float32(0.5)) / np.float32(0.5))
    for number, start in enumerate(range(0, len(values), chunk_length)):
        write_chunk(folder / f"data/__{number}.blp", values[start : start + chunk_length])
    sizes = {"shape": values.shape, "nbytes": values.nbytes, "cbytes": values.nbytes}
    (folder / "meta/sizes").write_text(json.dumps(sizes))
    storage = {"dtype": "float32", "cparams": {"cname": "lz4"}, "chunklen": chunk_length}
    (folder / "meta/storage").write_text(json.dumps(storage))
    np.save(folder.with_name(f"{folder.name}_list.npy"), np.array(is_genuine))
    return folder


def write_chunk(path: Path, values: np.ndarray) -> None:
    values = np.ascontiguousarray(values, np.float32)
    path.write_bytes(b"blpk\1\0\0\0" + struct.pack("<q", 1) + blosc.compress(values, b"lz4", 5, 1))
