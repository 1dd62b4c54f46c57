"""Damage of bytes, trees, zips and HDF5 files, which a random generator decides."""

import copy
import io
import random
import struct
import zipfile

import h5py
import numpy as np

_LENGTHS = [0, 1, 2**7, 2**8 - 1, 2**16, 2**24, 2**29 - 1, 2**31 - 1, 2**32 - 1]

VALUES = [
    None,
    True,
    "",
    "x" * 3000,
    "\0",
    "\x1b[2J\x1b]0;x\a",
    "\u202e\u2028",
    "../../secret",
    "/etc/passwd",
    "tfface_trap",
    "lambda: __import__('tfface_trap')",
    0,
    -1,
    2**31,
    10**12,
    10**30,
    1.5,
    float("nan"),
    float("inf"),
    [],
    {},
    [[[[]]]],
    {"class_name": "Lambda", "module": "keras.layers", "config": {"function": "x"}},
    {"class_name": "run", "module": "tfface_trap", "config": {}, "registered_name": "run"},
    {"class_name": "function", "module": "tfface_trap", "config": "run", "registered_name": "run"},
    {"class_name": "__lambda__", "config": {"value": "4wEA"}},
]


def damage(rng: random.Random, whole: bytes) -> bytes:
    """Bytes like `whole`: cut, bits flipped, numbers overwritten, parts lost, doubled or added."""
    data = bytearray(whole)
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        place = rng.randrange(max(len(data), 1))
        length = rng.choice([1, 4, 16, 64, 512])
        match rng.choice(["cut", "flip", "flip", "number", "number", "lose", "add", "double"]):
            case "cut" if rng.random() < 0.5:
                del data[place:]
            case "flip":
                if data:
                    data[place] ^= 1 << rng.randrange(8)
            case "number":
                size = rng.choice("HIQ")
                number = rng.choice(_LENGTHS) % 2 ** (8 * struct.calcsize(size))
                packed = struct.pack(rng.choice("<>") + size, number)
                data[place : place + len(packed)] = packed
            case "lose":
                del data[place : place + length]
            case "add":
                data[place:place] = rng.randbytes(length)
            case "double":
                data[place:place] = data[place : place + length]
    return bytes(data)


def damage_tree(rng: random.Random, tree: object, names: list[str]) -> object:
    """A tree of mappings and lists like `tree`.

    Args:
        names: what keys and texts may become.
    """
    tree = copy.deepcopy(tree)
    for _ in range(rng.choice([1, 1, 2, 4])):
        places = list(_places(tree))
        if not places:
            return tree
        owner, key = rng.choice(places)
        match rng.choice(["value", "value", "name", "other", "lose", "key", "deep", "number"]):
            case "value":
                owner[key] = copy.deepcopy(rng.choice(VALUES))
            case "name":
                owner[key] = rng.choice(names)
            case "other":
                other, place = rng.choice(places)
                owner[key] = copy.deepcopy(other[place])
            case "lose":
                del owner[key]
            case "key" if isinstance(owner, dict):
                owner[rng.choice([*names, "x\x1b[1m", "\0"])] = owner.pop(key)
            case "deep":
                for _ in range(rng.choice([3, 40, 400])):
                    owner[key] = {"a": owner[key]} if rng.random() < 0.5 else [owner[key]]
            case "number":
                owner[key] = rng.choice([0, 1, 3, 7, 64, 4096, 10**6, 10**9, 10**12])
    return tree


def _places(tree: object):
    """Yields (mapping or list, key) of all that is in a tree."""
    left = [tree]
    while left:
        value = left.pop()
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield value, key
            if isinstance(inner, dict | list):
                left.append(inner)


def damage_zip(rng: random.Random, whole: bytes) -> bytes:
    """A zip of other entries, whose checksums are right."""
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        entries = [(name, archive.read(name)) for name in archive.namelist()]
    changed = io.BytesIO()
    names = ["../secret", "/tmp/secret", "assets/x", "config.json", "a" * 300, "x\x1b[1m"]
    with zipfile.ZipFile(changed, "w") as archive:
        for name, content in entries:
            action = rng.choice(["keep", "keep", "lose", "rename", "damage", "deflate", "twice"])
            if action == "lose":
                continue
            if action == "rename":
                name = rng.choice(names)
            if action == "damage":
                content = damage(rng, content)
            if action == "deflate":
                content += bytes(rng.choice([0, 1 << 20, 1 << 24]))
            kind = zipfile.ZIP_DEFLATED if action == "deflate" else zipfile.ZIP_STORED
            for _ in range(1 + (action == "twice")):
                archive.writestr(zipfile.ZipInfo(name), content, kind)
        if rng.random() < 0.3:
            link = zipfile.ZipInfo(rng.choice(names))
            link.external_attr = 0o120777 << 16
            archive.writestr(link, "/etc/passwd")
    return changed.getvalue()


def damage_h5(rng: random.Random, whole: bytes) -> bytes:
    """An HDF5 file whose objects are others."""
    held = io.BytesIO(whole)
    with h5py.File(held, "r+") as file:
        found: list[str] = []
        file.visit(found.append)
        for _ in range(rng.choice([1, 1, 2, 3])):
            name = rng.choice(found)
            if name not in file:
                continue
            match rng.choice(["lose", "soft", "external", "hard", "shape", "type", "gzip", "ring"]):
                case "lose":
                    del file[name]
                case "soft":
                    del file[name]
                    file[name] = h5py.SoftLink(rng.choice(["/", "/layers", name]))
                    break
                case "external":
                    del file[name]
                    file[name] = h5py.ExternalLink("../secret.h5", "/")
                    break
                case "hard":
                    file[f"{name}_again"] = file[name]
                case "shape":
                    del file[name]
                    shape = rng.choice([(), (0,), (3,), (10**6, 10**6), (2**40,), (1,) * 30])
                    big = int(np.prod(shape, dtype=object)) > 10**6
                    file.create_dataset(name, shape, "f4", chunks=True if big else None)
                case "type":
                    del file[name]
                    types = ["f8", "c8", "S5", "i1", h5py.string_dtype(), h5py.ref_dtype]
                    file.create_dataset(name, (4,), rng.choice(types))
                case "gzip":
                    del file[name]
                    file.create_dataset(name, (1 << 20,), "f4", compression="gzip", fillvalue=1)
                case "ring":
                    if isinstance(file[name], h5py.Group):
                        file[name]["ring"] = file["/"]
    return held.getvalue()
