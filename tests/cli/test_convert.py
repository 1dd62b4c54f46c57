"""tools/convert_tfrecord.py as its users call it."""

import hashlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.data.small_faces import encoded, write_folder
from tfface.cli import convert
from tfface.data.sources import RECOGNIZED_BY
from tfface.data.sources.tfrecord import DatasetSource
from tfface.errors import InputError
from tfface.images.pillow_decoder import FORMATS

TOOL = Path(__file__).resolve().parents[2] / "tools" / "convert_tfrecord.py"


def command(*arguments):
    return [sys.executable, str(TOOL), *map(str, arguments)]


def run(*arguments):
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False)


def content(folder):
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}


def test_help_names_every_source(capsys):
    with pytest.raises(SystemExit, match="0"):
        convert.main(["--help"])
    printed = capsys.readouterr().out
    assert [name for name in RECOGNIZED_BY if name not in printed] == []


def test_labels_are_added_to_an_older_folder(tmp_path, capsys):
    faces = write_folder(tmp_path / "faces", {"ann": 2, "bob": 1})
    output = tmp_path / "out"
    convert.main([str(faces), "--output", str(output)])
    before = content(output)
    (output / "labels.int32").unlink()
    capsys.readouterr()
    said = ["added: labels.int32, the labels of 3 images", str(output)]
    convert.main(["--add-labels", str(output)])
    assert capsys.readouterr().out.splitlines() == said
    assert content(output) == before
    convert.main(["--add-labels", str(output)])
    assert capsys.readouterr().out.splitlines()[0].startswith("already there: labels.int32")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["faces"], "the following arguments are required: -o/--output"),
        (["--add-labels", "a", "faces"], "--add-labels takes a FOLDER, and neither a SOURCE nor"),
        (["--add-labels", "a", "--output", "b"], "--add-labels takes a FOLDER, and neither"),
        (["--add-labels", "a", "--source", "b"], "--add-labels takes a FOLDER, and neither"),
    ],
)
def test_options_that_do_not_fit(arguments, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        convert.main(arguments)
    assert message in capsys.readouterr().err


def test_says_what_it_did(tmp_path, capsys):
    faces = write_folder(tmp_path / "faces", {"ann": 2, "bob": 1})
    output = tmp_path / "out"
    arguments = [str(faces), "--output", str(output), "--min-images", "2"]
    convert.main(arguments)
    assert capsys.readouterr().out.splitlines() == [
        "left out, fewer than 2 images each: 1 images, 1 identities",
        "converted: 2 images of 1 identities in 1 files",
        str(output),
    ]
    convert.main(arguments)
    assert capsys.readouterr().out.splitlines()[1:] == [
        "already converted: 2 images of 1 identities in 1 files",
        str(output),
    ]


def test_killed_and_started_again(tmp_path, capsys):
    faces = write_folder(tmp_path / "faces", {"ann": 1})
    image = encoded(0, 112)
    for identity in range(20):
        (faces / f"p{identity}").mkdir()
        for number in range(100):
            # Bytes after an image's end are no harm, and make it another file.
            (faces / f"p{identity}/{number}.jpg").write_bytes(image + b"%d %d" % (identity, number))
    arguments = [str(faces), "--shards", "40", "--output"]
    convert.main([*arguments, str(tmp_path / "whole")])

    output = tmp_path / "out"
    process = subprocess.Popen(command(*arguments, output, "--workers", 1))
    while process.poll() is None and len(list(output.glob("data-*"))) < 2:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    finished = {file.name: file.stat().st_mtime_ns for file in output.glob("data-*")}
    assert 2 <= len(finished) < 40
    assert not (output / "dataset.json").exists()

    convert.main([*arguments, str(output)])
    assert capsys.readouterr().out.splitlines()[-1] == str(output)
    for name, time_written in finished.items():
        assert (output / name).stat().st_mtime_ns == time_written
    assert content(output) == content(tmp_path / "whole")
    assert DatasetSource(output).num_images == 2001


def test_bad_input_is_one_line_and_exit_code_2(tmp_path):
    faces = write_folder(tmp_path / "faces", {"ann": 1, "bob": 2})
    (faces / "bob/1.jpg").write_bytes(b"no image")
    result = run(faces, "--output", tmp_path / "out")
    assert result.returncode == 2
    assert result.stderr.splitlines() == [
        f"error: bob/1.jpg: not an image that can be read ({FORMATS})",
        "no dataset was made: repair or remove them, or give --on-bad-image skip",
    ]
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("option", "limits"),
    [
        ("--shards", "from 1 to 99999"),
        ("--workers", "from 1 to 1024"),
        ("--min-images", "of 1 or more"),
        ("--seed", "of 0 or more"),
    ],
)
@pytest.mark.parametrize("value", ["-1", "x", "1.5"])
def test_numbers_are_checked(option, limits, value, capsys):
    with pytest.raises(SystemExit, match="2"):
        convert.main(["faces", "--output", "out", f"{option}={value}"])
    assert f"must be a whole number {limits}" in capsys.readouterr().err


def test_a_missing_source(tmp_path):
    with pytest.raises(InputError, match="gone: no such file or folder"):
        convert.main([str(tmp_path / "gone"), "--output", str(tmp_path / "out")])


@pytest.mark.parametrize("name", ["faces_rec", "flat_rec"])
def test_reference_record_files(test_data, tmp_path, name):
    expected = json.loads((test_data / "fixtures/expected.json").read_text())
    convert.main([str(test_data / "fixtures" / name), "--output", str(tmp_path / "out")])
    source = DatasetSource(tmp_path / "out")
    assert source.num_images == expected[name]["num_images"]
    assert source.num_identities == expected[name]["num_identities"]
    counts = np.bincount(source.labels).tolist()
    assert counts == expected["faces_rec"]["images_per_identity"]
    images = {}
    for index in range(source.num_images):
        record = source.read(index)
        images[int(record.filename.removeprefix("train.rec/"))] = record.encoded
    digest = hashlib.sha256(b"".join(images[key] for key in sorted(images))).hexdigest()
    assert digest == expected["faces_rec"]["sha256_of_all_jpegs_in_key_order"]


def test_a_parser_that_knows_three_keys_reads_our_files(tmp_path):
    faces = write_folder(tmp_path / "faces", {"ann": 2, "bob": 3})
    convert.main([str(faces), "--output", str(tmp_path / "out")])

    def parse(record):
        # What arcface-tf2's dataset.py asks for.
        features = {
            "image/source_id": tf.io.FixedLenFeature([], tf.int64),
            "image/filename": tf.io.FixedLenFeature([], tf.string),
            "image/encoded": tf.io.FixedLenFeature([], tf.string),
        }
        return tf.io.parse_single_example(record, features)

    files = sorted(str(file) for file in (tmp_path / "out").glob("*.tfrecord"))
    found = {
        features["image/filename"].decode(): features
        for features in tf.data.TFRecordDataset(files).map(parse).as_numpy_iterator()
    }
    assert sorted(found) == ["ann/0.jpg", "ann/1.jpg", *(f"bob/{i}.jpg" for i in range(3))]
    for name, features in found.items():
        assert features["image/encoded"] == (faces / name).read_bytes()
        assert features["image/source_id"] == name.startswith("bob")
