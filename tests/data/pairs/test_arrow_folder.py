"""Sets of pairs that Hugging Face's datasets saved, as CVLface reads them, and damaged ones."""

import json

import pyarrow
import pytest
import tensorflow as tf

from tests.data.small_faces import pixels
from tfface.data.pairs import load_pair_set
from tfface.errors import InputError

# Image 4 is image 0 again.
IMAGES = [tf.io.encode_png(pixels(seed, 16)).numpy() for seed in (0, 1, 2, 3, 0, 5, 6, 7)]
IS_SAME = [True, True, False, False, False, False, True, True]


def write(folder, images=IMAGES, is_same=IS_SAME, index=range(8), **more):
    """As `Dataset.save_to_disk` writes, in two files; a column that is None is left out."""
    folder.mkdir(parents=True, exist_ok=True)
    columns = {
        "image": [{"bytes": image, "path": None} for image in images],
        "index": index and list(index),
        "is_same": is_same,
        **more,
    }
    table = pyarrow.table({name: values for name, values in columns.items() if values is not None})
    names = [f"data-0000{number}-of-00002.arrow" for number in range(2)]
    for number, name in enumerate(names):
        with pyarrow.ipc.new_stream(folder / name, table.schema) as stream:
            stream.write_table(table.slice(4 * number, 4))
    state = {"_data_files": [{"filename": name} for name in names], "_split": None}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text("{}")
    return folder


def test_images_pairs_and_names(tmp_path):
    pair_set = load_pair_set(write(tmp_path / "facerec_val" / "lfw"))
    assert pair_set.name == "lfw"
    assert [*pair_set.images] == [IMAGES[i] for i in (0, 1, 2, 3, 5, 6, 7)]
    assert pair_set.first.tolist() == [0, 2, 0, 5]
    assert pair_set.second.tolist() == [1, 3, 4, 6]
    assert pair_set.is_genuine.tolist() == [True, False, False, True]
    assert pair_set.image_names[4].endswith("lfw: image 5 (pair 2)")
    assert len(load_pair_set(f"lfw={tmp_path / 'facerec_val'}").first) == 4


def test_pairs_are_those_of_the_index(tmp_path):
    order = [6, 0, 3, 7, 2, 5, 1, 4]
    shuffled = write(
        tmp_path / "shuffled",
        [IMAGES[i] for i in order],
        [IS_SAME[i] for i in order],
        order,
    )
    found, expected = load_pair_set(shuffled), load_pair_set(write(tmp_path / "in_order"))
    assert [*found.images] == [*expected.images]
    assert found.is_genuine.tolist() == expected.is_genuine.tolist()
    without = load_pair_set(write(tmp_path / "without", index=None))
    assert [*without.images] == [*expected.images]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"is_same": None}, "a set of pairs has the columns image .* got image, index"),
        ({"is_same": ["yes"] * 8}, "a set of pairs has the columns"),
        ({"is_same": [2] * 8}, "is_same holds other numbers than 0 and 1"),
        ({"is_same": [True, None] * 4}, "a row lacks one of image, is_same, index"),
        ({"is_same": [True, False] * 4}, "the two images of pair 0 differ in is_same"),
        ({"images": [*IMAGES[:7], None]}, "an image has no bytes"),
        ({"index": [0] * 8}, "8 images with 1 indices"),
        ({"images": IMAGES[:7], "is_same": IS_SAME[:7], "index": range(7)}, "7 images with 7 ind"),
        ({"images": [], "is_same": [], "index": None}, "a set of pairs has the columns"),
    ],
)
def test_wrong_columns(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        load_pair_set(write(tmp_path / "set", **changes))


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("{", "not JSON"),
        ("{}", "expected _data_files with a filename each"),
        ('{"_data_files": [{"filename": "../x.arrow"}]}', "'?../x.arrow'? is not the name of a fi"),
        ('{"_data_files": [{"filename": "gone.arrow"}]}', r"gone\.arrow: can't be read: No such f"),
    ],
)
def test_wrong_state(tmp_path, state, message):
    folder = write(tmp_path / "set")
    (folder / "state.json").write_text(state)
    with pytest.raises(InputError, match=message):
        load_pair_set(folder)


def test_damaged_files(tmp_path):
    folder = write(tmp_path / "set")
    path = folder / "data-00001-of-00002.arrow"
    whole = path.read_bytes()
    for data in (b"", b"no stream", whole[:200], whole[: len(whole) // 2]):
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"00001-of-00002\.arrow: can't be read as an Arrow"):
            load_pair_set(folder)
