"""bcolz folders: as arcface-tf2 uses them, damaged, and hostile."""

import json
import pickle
import shutil
import struct

import numpy as np
import pytest
import tensorflow as tf

from tests.data.pairs.bcolz_files import write_bcolz, write_chunk
from tests.data.small_faces import pixels
from tfface.data.pairs import bcolz_folder, load_pair_set
from tfface.errors import InputError
from tfface.images.decoding import decode

# Image 4 is image 0 again; the last chunk is shorter.
PIXELS = np.stack([pixels(seed, 16) for seed in (0, 1, 2, 3, 0, 5, 6, 7)])
IS_GENUINE = [True, False, False, True]


@pytest.fixture
def folder(tmp_path):
    return write_bcolz(tmp_path / "sets" / "tiny", PIXELS, IS_GENUINE)


def decoded(pair_set):
    return np.stack([decode(tf.constant(image), 16, 16) for image in pair_set.images])


def test_pixels_pairs_and_names(folder):
    pair_set = load_pair_set(folder)
    assert pair_set.name == "tiny"
    np.testing.assert_array_equal(decoded(pair_set), PIXELS[[0, 1, 2, 3, 5, 6, 7]])
    assert pair_set.first.tolist() == [0, 2, 0, 5]
    assert pair_set.second.tolist() == [1, 3, 4, 6]
    assert pair_set.is_genuine.tolist() == IS_GENUINE
    assert pair_set.is_genuine.dtype == bool
    assert pair_set.num_folds == 10
    assert pair_set.image_names[4].endswith("tiny: image 5 (pair 2)")


def test_images_come_in_any_order(folder):
    images = load_pair_set(folder).images
    forwards = [images[i] for i in range(len(images))]
    assert [images[i] for i in reversed(range(len(images)))] == forwards[::-1]


def test_the_folder_above(folder):
    pair_set = load_pair_set(f"lfw={folder.parent}")
    assert pair_set.name == "lfw"
    assert len(pair_set.first) == 4
    write_bcolz(folder.parent / "other", PIXELS, IS_GENUINE)
    with pytest.raises(InputError, match=r"holds 2 bcolz folders \(other, tiny\): give one"):
        load_pair_set(folder.parent)


def test_the_folder_one_is_in(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert len(load_pair_set(".").first) == 4


def test_a_last_chunk_of_full_length(folder):
    # bcolz leaves one when an array is made shorter.
    shutil.copy(folder / "data/__1.blp", folder / "data/__2.blp")
    pair_set = load_pair_set(folder)
    np.testing.assert_array_equal(decoded(pair_set)[pair_set.second[3]], PIXELS[4])


def test_answers_as_numbers(folder):
    np.save(folder.with_name("tiny_list.npy"), np.array(IS_GENUINE, np.int64))
    assert load_pair_set(folder).is_genuine.tolist() == IS_GENUINE


def test_only_one_chunk_is_held(folder, monkeypatch):
    read = []
    whole = bcolz_folder._Array.chunk
    monkeypatch.setattr(
        bcolz_folder._Array, "chunk", lambda array, n: read.append(n) or whole(array, n)
    )
    images = load_pair_set(folder).images
    assert read == [0, 1, 2]
    for index in range(len(images)):
        images[index]
    assert read == [0, 1, 2, 0, 1, 2]


def test_reference_file(test_data):
    fixtures = test_data / "fixtures"
    expected = json.loads((fixtures / "expected.json").read_text())["bcolz_pairs"]
    found = load_pair_set(fixtures / "bcolz_pairs" / "tiny")
    assert len(found.first) == expected["num_pairs"]
    assert np.count_nonzero(found.is_genuine) == expected["num_genuine"]
    reference = load_pair_set(fixtures / "pairs_python2.bin")
    assert found.is_genuine.tolist() == reference.is_genuine.tolist()
    for side in ("first", "second"):
        for a, b in zip(getattr(found, side), getattr(reference, side), strict=True):
            np.testing.assert_array_equal(
                decode(tf.constant(found.images[a]), 112, 112),
                decode(tf.constant(reference.images[b]), 112, 112),
            )


def edit(path, **changes):
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ([8, 3, 16], "expected a shape .images, 3, height, width."),
        ([8, 16, 16, 3], "expected a shape"),
        ([8, 3, 10**9, 10**9], "of at most 4096 pixels a side"),
        ([0, 3, 16, 16], "expected a shape"),
        ([8, 3, 16, True], "expected a shape"),
        ([8.0, 3, 16, 16], "expected a shape"),
        ("many", "expected a shape .*; got many"),
        ([10**15, 3, 16, 16], r"1000000000000000 images, but tiny_list\.npy has 4 labels"),
        ([6, 3, 16, 16], "6 images, but .* expected two images for each"),
        ([8, 3, 16, 32], r"__0\.blp: damaged: unpacks to 9216 bytes, but 3 images have 18432"),
    ],
)
def test_wrong_shapes(folder, shape, message):
    edit(folder / "meta/sizes", shape=shape)
    with pytest.raises(InputError, match=message):
        load_pair_set(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dtype": "float64"}, "expected the dtype float32; got float64"),
        ({"dtype": "object"}, "expected the dtype float32; got object"),
        ({"chunklen": 0}, "expected a chunklen of 1 to"),
        ({"chunklen": 10**12}, "expected a chunklen of 1 to .*; got 1000000000000"),
        ({"chunklen": "3"}, "expected a chunklen"),
        ({"chunklen": 4}, r"__0\.blp: damaged: unpacks to 9216 bytes, but 4 images have 12288"),
    ],
)
def test_wrong_storage(folder, changes, message):
    edit(folder / "meta/storage", **changes)
    with pytest.raises(InputError, match=message):
        load_pair_set(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{", "not JSON"),
        (b"[1]", "expected a JSON object"),
        (b"[" * 100_000, "not JSON"),
        (b"\xff\xfe{", "not JSON"),
        (b" " * (1 << 20) + b"{}", "has more than the 1,048,576 bytes"),
    ],
)
def test_no_meta(folder, text, message):
    (folder / "meta/storage").write_bytes(text)
    with pytest.raises(InputError, match=f"storage: {message}"):
        load_pair_set(folder)


def test_missing_files(folder):
    for number in (1, 2):
        (folder / f"data/__{number}.blp").unlink()
    with pytest.raises(InputError, match=r"2 of 3 chunks are missing, the first is data/__1\.blp"):
        load_pair_set(folder)
    folder.with_name("tiny_list.npy").unlink()
    with pytest.raises(InputError, match=r"tiny_list\.npy: no such file; it has the labels"):
        load_pair_set(folder)
    (folder / "meta/storage").unlink()
    np.save(folder.with_name("tiny_list.npy"), IS_GENUINE)
    with pytest.raises(InputError, match=r"storage: can't be read: No such file"):
        load_pair_set(folder)


def set_number(path, place, number):
    data = bytearray(path.read_bytes())
    data[place : place + 4] = struct.pack("<I", number)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("place", "number", "message"),
    [
        (0, 0, "not a chunk that bcolz wrote"),
        (8, 2, "not a chunk that bcolz wrote"),
        (16 + 4, 2**32 - 1, "damaged: unpacks to 4294967295 bytes, but 3 images have 9216"),
        (16 + 12, 2**32 - 1, "damaged: says 4294967295 bytes"),
        (16 + 8, 0, "damaged: error during blosc decompression"),
        (16, 0x08210102, "damaged: says .* of 8-byte items"),
    ],
)
def test_hostile_chunks(folder, place, number, message):
    path = folder / "data/__0.blp"
    set_number(path, place, number)
    with pytest.raises(InputError, match=rf"__0\.blp: {message}"):
        load_pair_set(folder)


def test_chunks_of_wrong_length(folder):
    path = folder / "data/__0.blp"
    whole = path.read_bytes()
    path.write_bytes(whole[:20])
    with pytest.raises(InputError, match=r"__0\.blp: cut short: 20 bytes are no chunk"):
        load_pair_set(folder)
    path.write_bytes(whole[:-1])
    with pytest.raises(InputError, match=r"__0\.blp: damaged: says \d+ bytes"):
        load_pair_set(folder)
    path.write_bytes(whole + b"\0" * 10_000)
    with pytest.raises(InputError, match=r"__0\.blp: has more than the 9,248 bytes"):
        load_pair_set(folder)


@pytest.mark.parametrize("value", [2.0, -1.1, 0.001, np.nan, np.inf, 3e38])
def test_values_that_are_no_pixels(folder, value):
    values = np.zeros((3, 3, 16, 16), np.float32) + np.float32(128 / 127.5 - 1)
    values[1, 2, 3, 4] = value
    write_chunk(folder / "data/__1.blp", values)
    with pytest.raises(InputError, match=r"image 4 \(pair 2\): its values are not those of pixels"):
        load_pair_set(folder)


class Calls:
    def __reduce__(self):
        return print, ("ran",)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (np.array([True, False]), "8 images, but .* has 2 labels"),
        (np.array([0.0, 1, 1, 0]), "expected a row of booleans; got float64"),
        (np.array([[True] * 4]), r"expected a row of booleans; got bool of shape \(1, 4\)"),
        (np.array([], bool), "expected a row of booleans"),
        (np.array([0, 1, 2, 1]), "holds other numbers than 0 and 1"),
        (np.array([Calls(), 1, 1, 1], object), "not a .npy file of booleans: .*objects"),
    ],
)
def test_wrong_answers(folder, answers, message, capsys):
    np.save(folder.with_name("tiny_list.npy"), answers, allow_pickle=True)
    with pytest.raises(InputError, match=message):
        load_pair_set(folder)
    assert "ran" not in capsys.readouterr().out


def test_other_files_as_answers(folder):
    path = folder.with_name("tiny_list.npy")
    whole = path.read_bytes()
    for data in (b"", pickle.dumps([True]), b"PK\3\4", whole[:-1], whole[:40]):
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"tiny_list\.npy: (not a \.npy|can't be read)"):
            load_pair_set(folder)
    for header in (
        b"(" * 9000,
        b"{'descr': '|b1', 'fortran_order': Fal{e, 'shape': (2,)}\n",
        b"\xff",
    ):
        path.write_bytes(b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + b"\1\0")
        with pytest.raises(InputError, match=r"tiny_list\.npy: not a \.npy"):
            load_pair_set(folder)
    path.write_bytes(whole.replace(b"(4,)", b"(9999999999999,)"))
    with pytest.raises(InputError, match=r"tiny_list\.npy: not a \.npy"):
        load_pair_set(folder)
