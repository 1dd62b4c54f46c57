"""InsightFace `.bin` files: as they are published, damaged, and hostile."""

import gzip
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from tfface.data.pairs import load_pair_set
from tfface.errors import InputError

IMAGES = [b"image a", b"image b", b"image a", b"image c"]


def write(path, images, labels, protocol=2):
    path.write_bytes(pickle.dumps((images, labels), protocol=protocol))
    return path


def arrays(images):
    return [np.frombuffer(image, np.uint8) for image in images]


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (IMAGES, [True, False]),
        (arrays(IMAGES), [True, False]),
        ([array[:, None] for array in arrays(IMAGES)], [True, False]),
        (IMAGES, [1, 0]),
        (IMAGES, np.array([True, False])),
        (IMAGES, list(np.array([True, False]))),
        (IMAGES, np.array([1, 0])),
        (IMAGES, list(np.array([1, 0]))),
        (np.array(IMAGES, object), np.array([True, False], object)),
        (tuple(map(bytearray, IMAGES)), (True, False)),
    ],
    ids=[
        "bytes",
        "arrays",
        "columns",
        "ints",
        "array labels",
        "numpy bools",
        "array of int64",
        "numpy ints",
        "objects",
        "bytearrays",
    ],
)
def test_forms(tmp_path, images, labels, protocol):
    pair_set = load_pair_set(write(tmp_path / "tiny.bin", images, labels, protocol))
    assert pair_set.name == "tiny"
    assert pair_set.images == [b"image a", b"image b", b"image c"]
    assert pair_set.first.tolist() == [0, 0]
    assert pair_set.second.tolist() == [1, 2]
    assert pair_set.is_genuine.tolist() == [True, False]
    assert pair_set.is_genuine.dtype == bool
    assert pair_set.image_names[2].endswith("tiny.bin: image 3 (pair 1)")
    assert pair_set.num_folds == 10


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES[:3], [True, False], "3 images and 2 labels: expected two images for each label"),
        ([], [], "0 images and 0 labels"),
        (IMAGES, ["yes", "no"], "the labels are not a list of booleans"),
        (IMAGES, [True, 7], "the labels are not a list of booleans"),
        ([b"a", 7], [True], r"image 1 \(pair 0\) is int: expected the bytes"),
        (
            [b"a", np.zeros((4, 4, 3), np.uint8)],
            [True],
            r"image 1 \(pair 0\) is an array of \(4, 4",
        ),
        (b"images", [True], "the images are no list"),
    ],
)
def test_wrong_content(tmp_path, images, labels, message):
    path = write(tmp_path / "x.bin", images, labels)
    with pytest.raises(InputError, match=message):
        load_pair_set(path)


def test_other_files(tmp_path):
    (tmp_path / "list.bin").write_bytes(pickle.dumps([1, 2, 3]))
    with pytest.raises(InputError, match=r"expected a pair \(images, labels\)"):
        load_pair_set(tmp_path / "list.bin")
    (tmp_path / "noise.bin").write_bytes(b"\x89PNG not a pickle")
    with pytest.raises(InputError, match=r"noise\.bin: cut short or damaged"):
        load_pair_set(tmp_path / "noise.bin")
    with pytest.raises(InputError, match=r"nothing\.bin: no such file"):
        load_pair_set(tmp_path / "nothing.bin")


def test_published_files(test_data):
    fixtures = test_data / "fixtures"
    expected = json.loads((fixtures / "expected.json").read_text())
    for name in ("pairs_python2.bin", "pairs_numpy_arrays.bin", "insightface_small_lfw.bin"):
        pair_set = load_pair_set(fixtures / name)
        assert len(pair_set.first) == expected[name]["num_pairs"]
        assert np.count_nonzero(pair_set.is_genuine) == expected[name]["num_genuine"]
        assert all(image.startswith(b"\xff\xd8") for image in pair_set.images)
    python2 = load_pair_set(fixtures / "pairs_python2.bin")
    numpy_arrays = load_pair_set(fixtures / "pairs_numpy_arrays.bin")
    assert python2.images == numpy_arrays.images


def test_hostile_and_truncated_files(test_data):
    trace = Path("/tmp/tfface_pickle_was_run")
    trace.unlink(missing_ok=True)
    with pytest.raises(InputError, match=r"pairs_malicious\.bin: refused: .* calls posix\.system"):
        load_pair_set(test_data / "fixtures" / "pairs_malicious.bin")
    assert not trace.exists()
    with pytest.raises(InputError, match=r"pairs_truncated\.bin: cut short or damaged"):
        load_pair_set(test_data / "fixtures" / "pairs_truncated.bin")


def test_files_that_are_packed_or_elsewhere(tmp_path):
    for name, content, message in (
        ("lfw.bin.gz", gzip.compress(b"x"), "a gzip file: unpack it with gunzip"),
        (
            "lfw.BIN",
            b"version https://git-lfs.github.com/spec/v1\n",
            "a Git LFS pointer to the file",
        ),
        ("lfw.bin", b"<!DOCTYPE html><html>", "a web page, as failed downloads leave it"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name}: not a verification set, but {message}"):
            load_pair_set(tmp_path / name)
