"""Checkpoints written by hand, so that they can say what PyTorch would never write."""

import pickle
import zipfile
from pathlib import Path


def plain(value: object) -> bytes:
    """Returns the pickled value without the pickle's beginning and end."""
    return pickle.dumps(value, protocol=2)[2:-1]


def tensor(
    key: str = "0",
    shape: tuple[int, ...] = (3,),
    strides: tuple[int, ...] = (1,),
    offset: int = 0,
    num_items: int = 3,
    storage: str = "FloatStorage",
    metadata: dict[str, bool] | None = None,
) -> bytes:
    """Returns the instructions that make a tensor, as `torch.save` writes them."""
    described = b"(" + plain("storage") + f"ctorch\n{storage}\n".encode() + plain(key)
    described += plain("cpu") + plain(num_items) + b"tQ"
    hooks = b"\x89ccollections\nOrderedDict\n)R"
    place = plain(offset) + plain(shape) + plain(strides)
    more = b"" if metadata is None else plain(metadata)
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + described + place + hooks + more + b"tR"


def dictionary(items: dict[str, bytes]) -> bytes:
    return b"}(" + b"".join(plain(key) + value for key, value in items.items()) + b"u"


def write(
    path: Path,
    content: bytes | dict[str, bytes],
    storages: dict[str, bytes] | None = None,
    compression: int = zipfile.ZIP_STORED,
    **entries: bytes,
) -> Path:
    """Writes a checkpoint.

    Args:
        content: instructions; or those of each entry of a state dict.
        storages: bytes by key.
        entries: further ones of the zip, such as byteorder.
    """
    if isinstance(content, dict):
        content = dictionary(content)
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("net/data.pkl", b"\x80\x02" + content + b".")
        for key, data in (storages or {}).items():
            archive.writestr(f"net/data/{key}", data)
        for name, data in entries.items():
            archive.writestr(f"net/{name}", data)
    return path
