"""Record files by themselves: parts, headers, the index."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.recordio_writer import MAGIC, framed, payload, write
from tfface.data.sources.recordio_file import RecordIOFile, read_index
from tfface.errors import InputError

PIECES = st.lists(st.one_of(st.binary(max_size=9), st.just(MAGIC)), max_size=8).map(b"".join)


@given(st.lists(PIECES, min_size=1, max_size=6))
def test_what_was_written_is_read(tmp_path_factory, images):
    contents = [payload([i, 7.5], image, i) for i, image in enumerate(images)]
    # Magic in the labels as well: the header's own record is in parts then.
    contents.append(payload(np.frombuffer(MAGIC, "<f4").tolist(), b"last", 99))
    rec = write(tmp_path_factory.mktemp("rec") / "a.rec", dict(enumerate(contents)))
    file = RecordIOFile(rec)
    _, offsets = read_index(rec.with_suffix(".idx"))
    np.testing.assert_array_equal(file.find_records(), offsets)
    headers = file.headers(offsets)
    assert headers["record_bytes"].tolist() == [len(content) for content in contents]
    assert headers["flag"].tolist() == [2] * len(images) + [1]
    assert headers["id"].tolist() == [*range(len(images)), 99]
    assert file.labels(offsets[:-1], 1).tolist() == [7.5] * len(images)
    for offset, part_bytes, content in zip(offsets, headers["part_bytes"], contents, strict=True):
        assert file.read(offset, part_bytes) == file.read(offset) == content


def test_headers_in_the_order_asked_for(tmp_path):
    rec = write(tmp_path / "a.rec", {i: payload(i, b"x" * i, i) for i in range(9)})
    _, offsets = read_index(rec.with_suffix(".idx"))
    order = np.random.default_rng(0).permutation(9)
    assert RecordIOFile(rec).headers(offsets[order])["label"].tolist() == order.tolist()


class TestDamage:
    @pytest.fixture
    def rec(self, tmp_path):
        """Records at the bytes 0, 40 and 80, the last in parts that begin at 80, 120 and 132."""
        image = b"12345678" + MAGIC + b"1234" + MAGIC + b"5678"
        contents = [payload(0, b"12345678", 1), payload(1, b"12345678", 2), payload(2, image, 3)]
        return write(tmp_path / "a.rec", dict(enumerate(contents)))

    @pytest.mark.parametrize(
        ("offsets", "why"),
        [
            ([44], "byte 44: no record begins there"),
            ([3], "byte 3: no record begins there"),
            ([0, 40, 4000], "byte 4000: it lies beyond the file's end"),
            ([10**17], "it lies beyond the file's end"),
            ([120], "byte 120: a record's later part, not where one begins"),
            ([0, 0], "byte 0: it lies inside another record"),
        ],
    )
    def test_of_the_index(self, rec, offsets, why):
        with pytest.raises(InputError, match=rf"a\.rec: {'.*' if 'byte' not in why else ''}{why}"):
            RecordIOFile(rec).headers(np.array(offsets))

    @pytest.mark.parametrize(
        ("num_bytes", "why"),
        [
            (30, "byte 0: the file ends inside the record that begins there"),
            (78, "byte 40: the file ends inside the record"),
            (120, "byte 120: the file ends"),
            (125, "byte 120: the file ends"),
            (129, "byte 120: the file ends inside"),
        ],
    )
    def test_cut_short(self, rec, num_bytes, why):
        _, offsets = read_index(rec.with_suffix(".idx"))
        rec.write_bytes(rec.read_bytes()[:num_bytes])
        with pytest.raises(InputError, match=why):
            RecordIOFile(rec).headers(offsets[offsets < num_bytes])
        with pytest.raises(InputError, match=why):
            RecordIOFile(rec).find_records()

    @pytest.mark.parametrize(
        ("content", "why"),
        [
            (b"", "holds no records"),
            (b"PK\x03\x04" * 9, "byte 0: no record begins there"),
            (framed(payload(0, b"1234")) + framed(b"")[:4], "byte 36: the file ends there"),
            (framed(MAGIC)[8:], "byte 0: a part of a record that doesn't follow the others"),
            (framed(MAGIC)[:8] + framed(b"1234"), "byte 8: a part of a record that doesn't follow"),
            (framed(MAGIC)[:8], "byte 8: the file ends inside a record"),
        ],
    )
    def test_found_by_walking(self, tmp_path, content, why):
        (tmp_path / "a.rec").write_bytes(content)
        with pytest.raises(InputError, match=rf"a\.rec: {why}"):
            RecordIOFile(tmp_path / "a.rec").find_records()

    @pytest.mark.parametrize(
        ("content", "why"),
        [
            (b"too short", "too short for a header"),
            (MAGIC + b"too short", "too short for a header"),
            (payload([1, 2])[:-4], "too short for its labels"),
            (b"\xff\xff\xff\xff" + payload(0, b"1234")[4:], "too short for its labels"),
        ],
    )
    def test_of_headers(self, tmp_path, content, why):
        rec = write(tmp_path / "a.rec", {0: content})
        with pytest.raises(InputError, match=rf"a\.rec: byte 0: the record is {why}"):
            RecordIOFile(rec).headers(np.array([0]))

    def test_after_opening(self, rec):
        file = RecordIOFile(rec)
        part_bytes = file.headers(np.array([40]))["part_bytes"][0]
        rec.write_bytes(rec.read_bytes()[:70])
        with pytest.raises(InputError, match=r"a\.rec: byte 40: the file ends there"):
            file.read(40, part_bytes)


def index(tmp_path, content: bytes):
    (tmp_path / "a.idx").write_bytes(content)
    return [array.tolist() for array in read_index(tmp_path / "a.idx")]


def test_index_lines(tmp_path):
    assert index(tmp_path, b"0\t8\n") == [[0], [8]]
    assert index(tmp_path, b"7\t0\r\n2\t16\r\n") == [[2, 7], [16, 0]]
    assert index(tmp_path, b"1\t999999999999999999\n3 5") == [[1, 3], [999999999999999999, 5]]


def test_index_in_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("tfface.data.sources.recordio_file._INDEX_BLOCK_BYTES", 7)
    lines = b"".join(b"%d\t%d\r\n" % (i, 40 * i) for i in range(50))
    assert index(tmp_path, lines) == [list(range(50)), list(range(0, 2000, 40))]
    with pytest.raises(InputError, match=r"a\.idx: line 51: .* got 'x'"):
        index(tmp_path, lines + b"x\n" + lines)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "lists no records"),
        (b"0\t0\n1\n2\t9\n", r"line 2: expected a record's key, a tab and its offset, got '1'"),
        (b"0\t0\n\n2\t9\n", "line 2: expected"),
        (b"0\t0\n1\t-4\n", r"line 2: expected .*, got '1\\t-4'"),
        (b"0\t0\n1\t2\t3\n", "line 2: expected"),
        (b"0\t1e3\n", "line 1: expected"),
        (b"0\t1234567890123456789\n", "line 1: expected"),
        (b"\xff\xfe0\x00", "line 1: expected"),
        (b"0\t0\n" + b"x" * 1000, "line 2: expected .*'x{40}'"),
        (b"4\t0\n3\t8\n4\t16\n", "lists key 4 twice"),
    ],
)
def test_index_damage(tmp_path, content, why):
    with pytest.raises(InputError, match=rf"a\.idx: {why}"):
        index(tmp_path, content)
