"""Converting: right content, the same bytes always, and never over something else."""

import hashlib
import json
import threading
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.data.small_faces import encoded, write_folder
from tfface.data.records import conversion as module
from tfface.data.records import conversion_plan, example, manifest
from tfface.data.records.conversion import convert
from tfface.data.records.conversion_plan import Pool
from tfface.data.records.example import Record
from tfface.data.records.reader import RecordFiles
from tfface.data.records.writer import ShardWriter
from tfface.data.sources.tfrecord import DatasetSource
from tfface.errors import InputError
from tfface.folder_lock import locked
from tfface.images.decoding import decode, decode_unresized

COUNTS = {"ann": 3, "bob": 9, "cleo": 1, "dora 2": 7}
NUM_IMAGES = 20


@pytest.fixture
def faces(tmp_path):
    return write_folder(tmp_path / "faces", COUNTS)


def content(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}


def test_bytes_and_labels(faces, tmp_path):
    done = convert([str(faces)], tmp_path / "out", num_shards=3)
    assert not done.was_finished
    assert done.dataset.left_out == []
    dataset = manifest.read(tmp_path / "out")
    assert dataset == done.dataset
    assert [shard.records for shard in dataset.shards] == [7, 7, 6]
    assert dataset.images_per_identity == [3, 9, 1, 7]
    assert dataset.image_size == (16, 16)
    found = {}
    for shard in dataset.shards:
        file = tmp_path / "out" / shard.file
        assert hashlib.sha256(file.read_bytes()).hexdigest() == shard.sha256
        files = RecordFiles([file])
        for index in range(shard.records):
            record, label = files.read(index)
            found[record.filename] = (record.encoded, list(COUNTS)[label])
    assert len(found) == NUM_IMAGES
    for name, (image, identity) in found.items():
        assert image == (faces / name).read_bytes()
        assert name.startswith(f"{identity}/")
    assert sorted(content(tmp_path / "out")) == [
        ".plan.json",
        *(f"data-0000{i}-of-00003.tfrecord" for i in range(3)),
        "dataset.json",
        "identities.csv",
        "labels.int32",
    ]
    labels = np.fromfile(tmp_path / "out/labels.int32", "<i4")
    files = RecordFiles([tmp_path / "out" / shard.file for shard in dataset.shards])
    assert labels.tolist() == [files.read(index)[1] for index in range(NUM_IMAGES)]


def test_the_number_of_workers_does_not_matter(faces, tmp_path):
    for workers in (1, 4):
        convert([str(faces)], tmp_path / f"out{workers}", num_shards=5, num_workers=workers)
    assert content(tmp_path / "out1") == content(tmp_path / "out4")


def test_how_many_images_are_read_at_a_time_does_not_matter(faces, tmp_path, monkeypatch):
    convert([str(faces)], tmp_path / "out", num_shards=2)
    pool = Pool([str(faces)])
    assert [len(chunk) for chunk in pool.read_in_chunks(np.arange(20))] == [20]
    size = len((faces / "ann/0.jpg").read_bytes())
    monkeypatch.setattr(conversion_plan, "_CHUNK_BYTES", 2 * size)
    chunks = list(pool.read_in_chunks(np.arange(20)))
    assert 8 <= len(chunks) <= 20
    assert [image for chunk in chunks for image, _ in chunk] == list(range(20))
    convert([str(faces)], tmp_path / "small", num_shards=2)
    assert content(tmp_path / "out") == content(tmp_path / "small")


def test_the_seed_shuffles(faces, tmp_path):
    names = {}
    for seed in (0, 1):
        convert([str(faces)], tmp_path / f"out{seed}", seed=seed)
        source = DatasetSource(tmp_path / f"out{seed}")
        names[seed] = [source.filename(index) for index in range(NUM_IMAGES)]
    assert sorted(names[0]) == sorted(names[1])
    assert names[0] != names[1]
    assert names[0] != sorted(names[0])


@pytest.mark.parametrize("finished", [0, 1, 3])
def test_stopped_and_started_again_gives_the_same_bytes(faces, tmp_path, monkeypatch, finished):
    convert([str(faces)], tmp_path / "whole", num_shards=4)
    write, count = ShardWriter.write, 0

    def stopping(*arguments):
        nonlocal count
        count += 1
        if count > finished:
            raise KeyboardInterrupt
        return write(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(ShardWriter, "write", stopping)
        with pytest.raises(KeyboardInterrupt):
            convert([str(faces)], tmp_path / "out", num_shards=4, num_workers=1)
    assert len(list((tmp_path / "out").glob("data-*"))) == finished
    assert not (tmp_path / "out/dataset.json").exists()
    # As a killed process leaves it.
    (tmp_path / "out/.tfface-0a_b1c2d.partial.tfrecord").write_bytes(b"half")
    written = []
    monkeypatch.setattr(
        ShardWriter,
        "write",
        lambda *arguments: written.append(arguments[1]) or write(*arguments),
    )
    convert([str(faces)], tmp_path / "out", num_shards=4)
    assert sorted(written) == list(range(4 - len(written), 4))
    assert len(written) == 4 - finished
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_a_shard_cut_short_is_written_again(faces, tmp_path):
    convert([str(faces)], tmp_path / "whole", num_shards=2)
    convert([str(faces)], tmp_path / "out", num_shards=2)
    shard = tmp_path / "out/data-00001-of-00002.tfrecord"
    note = {
        "shard": {"file": shard.name, "records": 10, "bytes": 1, "sha256": ""},
        "image_size": None,
    }
    (tmp_path / f"out/.{shard.name}.json").write_text(json.dumps(note))
    (tmp_path / "out/dataset.json").unlink()
    convert([str(faces)], tmp_path / "out", num_shards=2)
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_one_process_at_a_time(faces, tmp_path):
    with (
        locked(tmp_path / "out"),
        pytest.raises(InputError, match="out: another process is writing it"),
    ):
        convert([str(faces)], tmp_path / "out")
    convert([str(faces)], tmp_path / "out")


def test_a_finished_one_is_left_as_it_is(faces, tmp_path, monkeypatch):
    first = convert([str(faces)], tmp_path / "out", min_images=2)
    monkeypatch.setattr(ShardWriter, "write", None)
    again = convert([str(faces)], tmp_path / "out", min_images=2)
    assert again.was_finished
    assert again.dataset == first.dataset
    assert again.dataset.left_out == [("fewer than 2 images each", 1, 1)]


@pytest.mark.parametrize("note", ["{", "[3]", '{"shard": {"file": "../a"}, "image_size": null}'])
def test_damaged_notes_are_not_believed(faces, tmp_path, note):
    """The shard is written, and the images are checked, again."""
    output = tmp_path / "out"
    (faces / "ann/1.jpg").write_bytes(b"GIF87a")
    convert([str(faces)], output, num_shards=2, on_bad_image="skip")
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    (output / "dataset.json").unlink()
    (output / ".data-00000-of-00002.tfrecord.json").write_text(note)
    (output / ".checked-00000.json").write_text(note)
    done = convert([str(faces)], output, num_shards=2, on_bad_image="skip")
    assert not done.was_finished
    assert {path.name: path.read_bytes() for path in output.iterdir()} == before


def test_outputs_of_other_plans_are_refused(faces, tmp_path):
    convert([str(faces)], tmp_path / "out")
    before = content(tmp_path / "out")
    for options, differing in (
        ({"seed": 1}, "seed 0, not 1"),
        ({"num_shards": 2}, "shards none, not 2"),
        ({"min_images": 2}, "min_images 1, not 2"),
        ({"size": (8, 8)}, r"size none, not \[8, 8\]"),
        ({"on_bad_image": "skip"}, "on_bad_image error, not skip"),
    ):
        with pytest.raises(InputError, match=rf"made with other options \({differing}\):"):
            convert([str(faces)], tmp_path / "out", **options)
    (faces / "bob/1.jpg").write_bytes(encoded(99))
    with pytest.raises(InputError, match="begun with another source, or images of it have"):
        convert([str(faces)], tmp_path / "out")
    assert content(tmp_path / "out") == before


def test_outputs_that_are_no_conversion_are_refused(faces, tmp_path):
    other = write_folder(tmp_path / "other", {"bob": 1})
    with pytest.raises(InputError, match="other: is not empty, and was not written by this tool"):
        convert([str(faces)], other)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file: is a file; give a folder"):
        convert([str(faces)], tmp_path / "file")
    (tmp_path / ".plan.json").write_text("{}")
    with pytest.raises(InputError, match=r"\.plan\.json: can't be read"):
        convert([str(faces)], tmp_path)


def test_all_undecodable_images_are_named(faces, tmp_path):
    (faces / "ann/1.jpg").write_bytes(b"GIF87a")
    (faces / "bob/2.jpg").write_bytes(encoded(0)[:-100])
    (faces / "dora 2/3.jpg").write_bytes(b"")
    message = (
        r"^ann/1\.jpg: the image data are damaged or truncated\n"
        r"bob/2\.jpg: the image data are damaged or truncated\n"
        r"dora 2/3\.jpg: the file is empty \(0 bytes\)\n"
        r"no dataset was made: repair or remove them, or give --on-bad-image skip$"
    )
    with pytest.raises(InputError, match=message):
        convert([str(faces)], tmp_path / "out", num_shards=4)
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("way", ["skip", "repair", "remove"])
def test_what_the_message_about_undecodable_images_advises(faces, tmp_path, way):
    (faces / "bob/2.jpg").write_bytes(encoded(0)[:-100])
    with pytest.raises(InputError, match="no dataset was made: repair or remove them, or give --o"):
        convert([str(faces)], tmp_path / "out", num_shards=4)
    if way == "repair":
        (faces / "bob/2.jpg").write_bytes(encoded(0))
    if way == "remove":
        (faces / "bob/2.jpg").unlink()
    how = {"on_bad_image": "skip"} if way == "skip" else {}
    done = convert([str(faces)], tmp_path / "out", num_shards=4, **how)
    assert sum(shard.records for shard in done.dataset.shards) == 20 - (way != "repair")


def test_an_unreadable_image_ends_the_others(faces, tmp_path, monkeypatch):
    monkeypatch.setattr(
        example, "serialize", lambda record, label: (_ for _ in ()).throw(InputError("no disk"))
    )
    with pytest.raises(InputError, match="no disk"):
        convert([str(faces)], tmp_path / "out", num_shards=4, num_workers=2)
    assert not [t for t in threading.enumerate() if "ThreadPoolExecutor" in t.name]


def test_undecodable_images_can_be_left_out(faces, tmp_path):
    (faces / "ann/1.jpg").write_bytes(b"GIF87a")
    (faces / "cleo/0.jpg").write_bytes(encoded(0)[:-100])
    for workers in (1, 3):
        done = convert(
            [str(faces)],
            tmp_path / f"out{workers}",
            num_shards=4,
            num_workers=workers,
            on_bad_image="skip",
        )
    assert content(tmp_path / "out1") == content(tmp_path / "out3")
    # Cleo had no other image.
    assert [identity.name for identity in done.dataset.identities] == ["ann", "bob", "dora 2"]
    assert done.dataset.images_per_identity == [2, 9, 7]
    assert [shard.records for shard in done.dataset.shards] == [5, 5, 4, 4]
    assert done.dataset.left_out == [("can't be decoded, see rejected.csv", 1, 2)]
    assert (tmp_path / "out1/rejected.csv").read_text().splitlines() == [
        "source,filename,reason",
        "faces,ann/1.jpg,the image data are damaged or truncated",
        "faces,cleo/0.jpg,the image data are damaged or truncated",
    ]
    assert not list((tmp_path / "out1").glob(".checked*"))


def test_a_stopped_check_goes_on(faces, tmp_path, monkeypatch):
    (faces / "ann/1.jpg").write_bytes(b"GIF87a")
    options = {"num_shards": 2, "num_workers": 1, "on_bad_image": "skip"}
    convert([str(faces)], tmp_path / "whole", **options)
    monkeypatch.setattr(module, "_CHECK_BLOCK", 6)
    check, blocks = module.check_images, []

    def stopping(images):
        blocks.append(len(images))
        if len(blocks) >= 3:
            raise KeyboardInterrupt
        return check(images)

    with monkeypatch.context() as patch:
        patch.setattr(module, "check_images", stopping)
        with pytest.raises(KeyboardInterrupt):
            convert([str(faces)], tmp_path / "out", **options)
    assert len(list((tmp_path / "out").glob(".checked-*"))) == 2
    again = []
    monkeypatch.setattr(
        module, "check_images", lambda images: again.append(len(images)) or check(images)
    )
    convert([str(faces)], tmp_path / "out", **options)
    assert again == [6, 2]
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_resized_and_encoded_anew(faces, tmp_path):
    (faces / "ann/9.png").write_bytes(encoded(3, 20, "PNG"))
    done = convert([str(faces)], tmp_path / "resized", size=(20, 20))
    assert done.dataset.image_size == (20, 20)
    source = DatasetSource(tmp_path / "resized")
    for index in range(NUM_IMAGES + 1):
        record = source.read(index)
        original = (faces / record.filename).read_bytes()
        if record.filename == "ann/9.png":
            # It has the size already.
            assert record.encoded == original
        else:
            expected = decode(tf.constant(original), 20, 20).numpy().astype(int)
            pixels = decode_unresized(tf.constant(record.encoded)).numpy().astype(int)
            assert pixels.shape == (20, 20, 3)
            assert np.abs(pixels - expected).mean() < 6
    done = convert([str(faces)], tmp_path / "small", quality=30)
    assert done.dataset.image_size is None
    source = DatasetSource(tmp_path / "small")
    for index in range(NUM_IMAGES + 1):
        record = source.read(index)
        assert record.encoded.startswith(b"\xff\xd8")
        assert record.encoded != (faces / record.filename).read_bytes()
    with pytest.raises(InputError, match=r"other options \(quality 30, not 31\)"):
        convert([str(faces)], tmp_path / "small", quality=31)


def test_images_of_several_sizes(faces, tmp_path):
    (faces / "ann/9.png").write_bytes(encoded(3, 20, "PNG"))
    assert convert([str(faces)], tmp_path / "out", num_shards=2).dataset.image_size is None


def test_several_sources_keep_their_people_apart(faces, tmp_path):
    other = write_folder(tmp_path / "more=faces", {"ann": 2})
    done = convert([f"a={faces}", str(other)], tmp_path / "out")
    identities = [(identity.source, identity.name) for identity in done.dataset.identities]
    assert identities == [*(("a", name) for name in COUNTS), ("more=faces", "ann")]
    assert [source.num_images for source in done.dataset.sources] == [NUM_IMAGES, 2]
    source = DatasetSource(tmp_path / "out")
    names = {source.filename(index) for index in range(22)}
    assert {"a/ann/0.jpg", "more=faces/ann/0.jpg"} <= names
    with pytest.raises(InputError, match=r"two sources have the same name \(faces, faces\)"):
        convert([str(faces), str(faces)], tmp_path / "twice")
    write_folder(faces / "deep", {"x": 1})
    with pytest.raises(InputError, match=r"deep: is or lies in another source, .*faces, so its im"):
        convert([f"a={faces}", f"b={faces}/deep"], tmp_path / "twice")


def test_datasets_are_sources_too(faces, tmp_path):
    convert([f"a={faces}"], tmp_path / "first", num_shards=2)
    done = convert([str(tmp_path / "first")], tmp_path / "second", min_images=3, seed=5)
    assert [tuple(identity) for identity in done.dataset.identities] == [
        *(("ann", "a"), ("bob", "a"), ("dora 2", "a"))
    ]
    source = DatasetSource(tmp_path / "second")
    for index in range(19):
        record = source.read(index)
        assert record.encoded == (faces / record.filename).read_bytes()
        assert record.filename.startswith(source.identities[source.labels[index]].name)


def test_bare_record_files_and_their_attributes(tmp_path):
    attribute = {"image/yaw": tf.train.Feature(int64_list=tf.train.Int64List(value=[30]))}
    with tf.io.TFRecordWriter(str(tmp_path / "ms1m.tfrecord")) as writer:
        for number in range(6):
            record = Record(encoded(number), f"{number}.jpg", attribute)
            writer.write(example.serialize(record, 10 * (number % 3)))
    done = convert([str(tmp_path / "ms1m.tfrecord")], tmp_path / "out")
    assert [tuple(identity) for identity in done.dataset.identities] == [
        *(("0", "ms1m"), ("10", "ms1m"), ("20", "ms1m"))
    ]
    source = DatasetSource(tmp_path / "out")
    assert dict(source.read(0).attributes) == attribute
    expected = [int(source.filename(index)[0]) % 3 for index in range(6)]
    np.testing.assert_array_equal(source.labels, expected)


def test_sources_with_options_are_written_as_in_a_recipe(faces, tmp_path):
    drawn = "{source: synthetic, num_identities: 2, images_per_identity: 3, size: 32}"
    done = convert([f"real={faces}", f"drawn={drawn}"], tmp_path / "out", seed=3)
    assert [tuple(summary.__dict__.values()) for summary in done.dataset.sources] == [
        ("real", "folder", NUM_IMAGES, 4),
        ("drawn", "synthetic", 6, 2),
    ]
    assert done.dataset.identities[-1] == ("000001", "drawn")
    done = convert([f"{{source: folder, path: '{faces}'}}"], tmp_path / "unnamed")
    assert {identity.source for identity in done.dataset.identities} == {"faces"}
    for text, message in (
        ("{source: folder, paht: x}", "paht: unknown key; did you mean 'path'"),  # codespell:ignore
        ("{source: foldr, path: x}", "unknown source 'foldr'; did you mean 'folder'"),
        ("x={source: folder", "not valid YAML"),
        ("{path: x}", "needs 'source: NAME' and its options"),
    ):
        with pytest.raises(InputError, match=message):
            convert([text], tmp_path / "never")


def test_identities_to_leave_out(faces, tmp_path):
    people = tmp_path / "exclude.txt"
    people.write_text("bob\ncleo\n")
    done = convert([str(faces)], tmp_path / "out", exclude_file=people)
    assert [identity.name for identity in done.dataset.identities] == ["ann", "dora 2"]
    assert done.dataset.left_out == [("listed in exclude.txt", 2, 10)]
    assert sorted(set(DatasetSource(tmp_path / "out").labels)) == [0, 1]
    people.write_text("ann\nbob\ncleo\ndora 2\n")
    with pytest.raises(InputError, match="no identity is left to convert"):
        convert([str(faces)], tmp_path / "none", exclude_file=people)
    people.write_text("ann\n")
    with pytest.raises(InputError, match=r"other options \(identities chosen\)"):
        convert([str(faces)], tmp_path / "out", exclude_file=people)


def test_an_output_in_the_source(faces, tmp_path):
    before = sorted(faces.iterdir())
    for source in (str(faces), f"{{source: folder, path: {faces}}}"):
        with pytest.raises(InputError, match=r"out: lies in .*choose an output folder elsewhere"):
            convert([source], faces / "out")
    assert sorted(faces.iterdir()) == before
    # Other sources read the files that they name alone.
    convert([str(faces)], tmp_path / "one")
    convert([str(tmp_path / "one")], tmp_path / "one" / "again")


def test_identities_from_a_file(faces, tmp_path):
    people = tmp_path / "people.txt"
    people.write_text("3\nbob\t9\ndora 2\t7\nann 3\n")
    done = convert([str(faces)], tmp_path / "out", identities_file=people, min_images=4)
    assert [identity.name for identity in done.dataset.identities] == ["bob", "dora 2"]
    assert done.dataset.left_out == [
        ("not in people.txt", 1, 1),
        ("fewer than 4 images each", 1, 3),
    ]
    people.write_text("bob\nnobody\t3\nnowhere\n")
    with pytest.raises(InputError, match=r"sources don't have: nobody, nowhere$"):
        convert([str(faces)], tmp_path / "none", identities_file=people)
    people.write_text("0\n")
    with pytest.raises(InputError, match=r"people\.txt: lists no identities"):
        convert([str(faces)], tmp_path / "none", identities_file=people)
    with pytest.raises(InputError, match=r"gone\.txt: can't be read: No such file"):
        convert([str(faces)], tmp_path / "none", identities_file=tmp_path / "gone.txt")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_images": 10}, "no identity is left to convert"),
        ({"num_shards": 21}, "21 shards are more than the 20 images there are"),
        ({"format": "zip"}, "format 'zip' is not known: auto, folder, "),
        ({"format": "tfrecord"}, r"faces: no \.tfrecord file, nor a folder of them"),
    ],
)
def test_options_that_can_not_be(faces, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        convert([str(faces)], tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_sources_that_can_not_be(tmp_path):
    with pytest.raises(InputError, match="gone: no such file or folder"):
        convert([str(tmp_path / "gone")], tmp_path / "out")
    (tmp_path / "faces.zip").write_bytes(b"")
    with pytest.raises(InputError, match=r"faces\.zip: its format is not recognized: name it, as"):
        convert([str(tmp_path / "faces.zip")], tmp_path / "out")
    (tmp_path / "faces.zip").write_bytes(b"PK\x03\x04")
    with pytest.raises(InputError, match=r"faces\.zip: is a zip archive: unpack it"):
        convert([str(tmp_path / "faces.zip")], tmp_path / "out")
