"""Memory maps as AdaFace makes them, damaged ones, and ones of another size than they say."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tests.data.small_faces import pixels
from tfface.data.pairs import load_pair_set
from tfface.errors import InputError
from tfface.images.decoding import decode

# Image 4 is image 0 again.
PIXELS = np.stack([pixels(seed, 16) for seed in (0, 1, 2, 3, 0, 5, 6, 7)])
IS_GENUINE = [True, False, False, True]


@pytest.fixture
def folder(tmp_path):
    """As AdaFace's `make_memmap` writes what its `load_bin` makes of a `.bin`."""
    folder = tmp_path / "sets" / "tiny"
    (folder / "memfile").mkdir(parents=True)
    planes = PIXELS[..., ::-1].transpose(0, 3, 1, 2)
    values = (planes / np.float32(255) - np.float32(0.5)) / np.float32(0.5)
    path = folder / "memfile" / "mem_file.dat"
    written = np.memmap(path, np.float32, "w+", shape=values.shape)
    written[:] = values
    written.flush()
    configuration = {"shape": values.shape, "dtype": str(values.dtype)}
    path.with_name("mem_file.dat.conf").write_text(json.dumps(configuration))
    np.save(folder.with_name("tiny_list.npy"), np.array(IS_GENUINE))
    return folder


def edit(folder, **changes):
    path = folder / "memfile" / "mem_file.dat.conf"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("given", ["folder", "above"])
def test_pixels_pairs_and_names(folder, given):
    pair_set = load_pair_set(folder if given == "folder" else f"tiny={folder.parent}")
    assert pair_set.name == "tiny"
    found = np.stack([decode(tf.constant(image), 16, 16) for image in pair_set.images])
    np.testing.assert_array_equal(found, PIXELS[[0, 1, 2, 3, 5, 6, 7]])
    assert pair_set.first.tolist() == [0, 2, 0, 5]
    assert pair_set.second.tolist() == [1, 3, 4, 6]
    assert pair_set.is_genuine.tolist() == IS_GENUINE
    assert pair_set.image_names[4].endswith("tiny: image 5 (pair 2)")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": [8, 3, 16, 15]}, "has 24,576 bytes, and 8 images of 15x16 pixels have 23,040"),
        ({"shape": [8, 16, 16, 3]}, "expected a shape .images, 3, height, width."),
        ({"shape": [10**15, 3, 16, 16]}, r"1000000000000000 images, but tiny_list\.npy has 4"),
        ({"dtype": "object"}, "expected the dtype float32; got object"),
    ],
)
def test_wrong_configuration(folder, changes, message):
    edit(folder, **changes)
    with pytest.raises(InputError, match=message):
        load_pair_set(folder)


def test_numbers_that_are_no_pixels(folder):
    path = folder / "memfile" / "mem_file.dat"
    values = np.memmap(path, np.float32, "r+", shape=(8, 3, 16, 16))
    values[5, 0, 0, 0] = np.nan
    values.flush()
    with pytest.raises(InputError, match=r"mem_file\.dat: image 5 \(pair 2\): its values are not"):
        load_pair_set(folder)


def test_a_file_that_is_cut_short_or_missing(folder):
    path = folder / "memfile" / "mem_file.dat"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(InputError, match=r"mem_file\.dat: has 24,572 bytes"):
        load_pair_set(folder)
    path.unlink()
    with pytest.raises(InputError, match=r"mem_file\.dat: can't be read: No such file"):
        load_pair_set(folder)
