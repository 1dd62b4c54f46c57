"""TFace's shards: images where the index says, with its labels, and indices that are wrong."""

import pytest

from tests.data.small_faces import write_folder
from tests.data.sources.archives import write_tface
from tfface.data.sources.opening import detect_format
from tfface.data.sources.tface import TFaceSource
from tfface.errors import InputError


@pytest.fixture
def index(tmp_path):
    write_folder(tmp_path / "faces", {"ann": 4, "bob": 3})
    return write_tface(tmp_path / "faces", tmp_path / "index" / "TFR-tiny.index")


def test_images_lie_where_the_index_says(index, tmp_path):
    assert detect_format(index) == "tface"
    source = TFaceSource(index)
    assert [identity.name for identity in source.identities] == ["0", "1"]
    assert source.labels.tolist() == [0, 0, 0, 0, 1, 1, 1]
    images = [path.read_bytes() for path in sorted((tmp_path / "faces").rglob("*.jpg"))]
    assert [source.read(number).encoded for number in range(7)] == images
    assert source.filename(5) == "TFR-tiny-00001.tfrecord/000000000000"
    assert TFaceSource(index, root=tmp_path).num_images == 7


def test_what_the_index_leaves_out_is_left_out(index):
    lines = index.read_text().splitlines()
    # Cleaned: one image is gone, and another is somebody else's.
    index.write_text("\n".join([*lines[1:6], lines[6][:-1] + "12"]))
    source = TFaceSource(index)
    assert [identity.name for identity in source.identities] == ["0", "1", "12"]
    assert source.num_images == 6


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "lists no images"),
        ("a/1.jpg\t0\t0", "line 1: has no label: it is the list of what was packed"),
        ("TFR-tiny 0 0 1", "line 1: has 1 fields, and four are expected"),
        ("../TFR-tiny\t0\t0\t1", "line 1: '../TFR-tiny' is no name of a set"),
        ("TFR-tiny\t0\t-1\t1", "line 1: shard and offset must be whole numbers"),
        ("TFR-tiny\t0\t0\t1\n" * 2, "lists a record twice"),
        ("TFR-tiny\t0\t7\t1", "no record of TFR-tiny-00000.tfrecord begins at byte 7"),
        ("TFR-tiny\t0\t999999\t1", "no record of TFR-tiny-00000.tfrecord begins at byte 999999"),
        ("TFR-tiny\t9\t0\t1", "its shard "),
        ("TFR-tiny\t0\t0\t", "TFR-tiny-00000.tfrecord/000000000000: '' is no name"),
    ],
)
def test_mistakes(index, line, message):
    index.write_text(line)
    with pytest.raises(InputError) as raised:
        TFaceSource(index)
    assert str(raised.value).startswith(f"{index}: {message}")


def test_an_empty_shard(index, tmp_path):
    (tmp_path / "TFR-tiny" / "TFR-tiny-00000.tfrecord").write_bytes(b"")
    with pytest.raises(InputError, match=r"no record of TFR-tiny-00000\.tfrecord begins at byte 0"):
        TFaceSource(index)


def test_records_of_another_kind(index, tmp_path):
    shard = tmp_path / "TFR-tiny" / "TFR-tiny-00000.tfrecord"
    source = TFaceSource(index)
    shard.write_bytes(shard.read_bytes().replace(b"\x05image", b"\x05imagf"))
    with pytest.raises(InputError, match="not a face record: it has no image; its keys are: imagf"):
        source.read(0)
