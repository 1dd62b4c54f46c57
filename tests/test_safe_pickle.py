"""Pickles of untrusted files: data is read, code is not run, time and memory are bounded."""

import contextlib
import mmap
import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.property_tests import examples
from tfface import safe_pickle
from tfface.data.pairs.insightface_bin import Array, read_pickle
from tfface.safe_pickle import DICTIONARIES, PickleError

ROOT = Path(__file__).resolve().parent.parent

plain_data = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.binary() | st.text(),
    lambda inner: st.lists(inner) | st.tuples(inner) | st.tuples(inner, inner, inner, inner),
    max_leaves=15,
)


@given(plain_data, st.integers(2, 5))
def test_plain_data_of_every_protocol(data, protocol):
    assert read_pickle(pickle.dumps(data, protocol=protocol)) == data


@given(st.binary(max_size=50), st.integers(2, 5))
def test_numpy_arrays_of_bytes(data, protocol):
    array = np.frombuffer(data, np.uint8)
    for flat in (array, array.copy(), array.reshape(-1, 1), array.reshape(1, -1)):
        read = read_pickle(pickle.dumps([flat, flat], protocol=protocol))
        assert read == [Array(flat.shape, "u1", data)] * 2
        assert read[0].is_flat


@pytest.mark.parametrize("protocol", range(2, 6))
def test_booleans_of_numpy(protocol):
    labels = np.array([True, False, True])
    assert read_pickle(pickle.dumps(labels, protocol=protocol)).data == b"\1\0\1"
    assert read_pickle(pickle.dumps(list(labels), protocol=protocol)) == [True, False, True]


@pytest.mark.parametrize("protocol", range(2, 6))
def test_bytearray(protocol):
    assert read_pickle(pickle.dumps(bytearray(b"\xff\0abc"), protocol=protocol)) == b"\xff\0abc"


def test_strings_of_python_2():
    # pickle.dumps((["\xff\xd8"], [True]), 2) under Python 2.
    data = b"\x80\x02]q\x00U\x02\xff\xd8q\x01a]q\x02\x88a\x86q\x03."
    assert read_pickle(data) == ([b"\xff\xd8"], [True])


class Calls:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    ("attack", "name"),
    [
        (Calls(os.system, "touch ran"), "system"),
        (Calls(eval, "open('ran', 'w')"), "eval"),
        (Calls(getattr, os, "system"), "getattr"),
        (Calls(np.load, "ran"), "load"),
        (Calls(subprocess.Popen, ["touch", "ran"]), "Popen"),
    ],
)
def test_code_is_refused(attack, name, protocol, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if name == "getattr":
        attack = Calls(getattr, "text", "upper")
    with pytest.raises(PickleError, match=rf"refused: .*({name}|opcode)"):
        read_pickle(pickle.dumps(([b"x"], attack), protocol=protocol))
    assert not list(tmp_path.iterdir())


def test_other_opcodes_and_types_are_refused():
    with pytest.raises(PickleError, match="opcode EMPTY_DICT"):
        read_pickle(pickle.dumps({"a": 1}))
    with pytest.raises(PickleError, match="an array of type f4; expected u1"):
        read_pickle(pickle.dumps(np.ones(3, np.float32)))
    with pytest.raises(PickleError, match=r"the pickle calls posix\.system"):
        read_pickle(pickle.dumps(np.array([os.system], object)))
    # numpy.ndarray may be named, but not called.
    with pytest.raises(PickleError, match=r"calls numpy\.ndarray, which is not a function"):
        read_pickle(b"\x80\x02cnumpy\nndarray\nK\x01\x85R.")
    with pytest.raises(PickleError, match=r"not a whole pickle .*not callable"):
        read_pickle(b"\x80\x02U\x01aK\x01\x85R.")


def test_python_2s_first_protocol():
    """Strings are written as in a program; pickletools takes them for ASCII."""
    text = b"(lp0\nS'\\xff\\xd8\\n\\'\"'\np1\nag1\naS\"it's\"\np2\naa(I01\nI00\nL7L\ntp3\na."
    text = text.replace(b"aa(", b"a(")
    assert read_pickle(text) == [b"\xff\xd8\n'\"", b"\xff\xd8\n'\"", b"it's", (True, False, 7)]
    for bad in (b"S'a\n.", b"Sa'\n.", b"S\n.", b"S'", b"S'\\x1'\n."):
        with pytest.raises(PickleError, match="cut short or damaged"):
            read_pickle(bad)
    # Names and calls are refused as in other protocols.
    with pytest.raises(PickleError, match=r"the pickle calls posix\.system"):
        read_pickle(b"cposix\nsystem\n(S'true'\ntR.")


def test_whole_numbers_and_objects():
    for dtype in ("<i8", ">i4", "u2", "i1"):
        array = read_pickle(pickle.dumps(np.array([1, 0, 7], dtype), protocol=2))
        assert (array.items(), array.is_flat) == ([1, 0, 7], True)
    assert read_pickle(pickle.dumps([np.int64(5), np.bool_(True)])) == [5, True]
    array = read_pickle(pickle.dumps(np.array([b"a", b"bc"], object)))
    assert (array.items(), array.type) == ([b"a", b"bc"], "O")
    with pytest.raises(PickleError, match="an array of"):
        read_pickle(pickle.dumps(np.arange(3)).replace(b"K\x03\x85", b"K\x04\x85"))


@examples(200)
@given(st.data())
def test_damage_is_an_error_of_ours(data):
    whole = pickle.dumps(([b"abc", np.arange(9, dtype=np.uint8)], [True]), protocol=2)
    start = data.draw(st.integers(0, len(whole)))
    damaged = whole[:start] + data.draw(st.binary(max_size=4))
    if data.draw(st.booleans()):
        damaged += whole[len(damaged) :]
    with contextlib.suppress(PickleError):
        read_pickle(damaged)


def test_empty_and_cut_short():
    with pytest.raises(PickleError, match="cut short"):
        read_pickle(b"")
    with pytest.raises(PickleError, match="cut short or damaged"):
        read_pickle(pickle.dumps([b"x" * 100])[:50])
    with pytest.raises(PickleError, match="cut short or damaged"):
        read_pickle(b"\x80\x02.")
    with pytest.raises(PickleError, match="cut short or damaged"):
        read_pickle(b"\x80\x02\x86.")


def lengthy(opcode, layout, length):
    return b"\x80\x05" + opcode + struct.pack(layout, length) + b"x."


# Short files that claim to hold, or to make, very much.
GREEDY = {
    "bytes": lengthy(b"B", "<I", 2**32 - 1),
    "bytes8": lengthy(b"\x8e", "<Q", 2**40),
    "bytearray": lengthy(b"\x96", "<Q", 2**40),
    "unicode": lengthy(b"X", "<I", 2**32 - 1),
    "string": lengthy(b"T", "<i", 2**31 - 1),
    "frame": lengthy(b"\x95", "<Q", 2**60),
    "memo": b"\x80\x02K\x01r\xff\xff\xff\xff.",
    # One text of 1 MiB turned to bytes 20,000 times.
    "again": b"\x80\x02X" + struct.pack("<I", 2**20) + b"x" * 2**20 + b"q\x000]("
    b"c_codecs\nencode\nq\x010" + b"h\x01h\0U\x06latin1\x86R" * 20_000 + b"e.",
}


def test_a_short_file_cannot_ask_for_much_memory(tmp_path):
    for name, data in GREEDY.items():
        (tmp_path / name).write_bytes(data)
    # In a process that can't have more than 256 MiB.
    code = (
        "import resource, sys\n"
        "from tfface.safe_pickle import PickleError, read_pickle\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**28, 2**28))\n"
        "for path in sys.argv[1:]:\n"
        "    try: read_pickle(open(path, 'rb').read(), 'test', {})\n"
        "    except PickleError as error: print(error)\n"
        "    else: print('read')\n"
    )
    output = subprocess.run(
        [sys.executable, "-c", code, *(str(tmp_path / name) for name in GREEDY)],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    ).stdout.splitlines()
    said = dict(zip(GREEDY, output, strict=True))
    for name in ("bytes", "bytes8", "bytearray", "unicode", "string", "frame"):
        assert "cut short or damaged" in said[name]
    assert "a memo index beyond the number of opcodes" in said["memo"]
    assert said["again"] == "read"


def test_an_array_that_claims_more_items_than_the_file_has():
    data = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\x01b\x87R"
        b"(K\x01J\xff\xff\xff\x7f\x85cnumpy\ndtype\nU\x02u1K\0K\x01\x87R\x89U\x01xtb."
    )
    with pytest.raises(PickleError, match=r"an array of \(2147483647,\) with 1 bytes"):
        read_pickle(data)


@pytest.mark.parametrize("opcode", [b"\x94", b"]", b"(", b"\x85", b"U\x00", b"I7\n"])
def test_a_file_cannot_make_objects_without_end(opcode, monkeypatch):
    """Each takes some 100 bytes of memory for one byte of the file, or a few."""
    monkeypatch.setattr(safe_pickle, "_MIN_OBJECT_LIMIT", 1000)
    monkeypatch.setattr(safe_pickle, "_BYTES_PER_OBJECT", 4)
    # 500 are fewer than the limit; 2000 are more than 1000 and one for four bytes of each opcode.
    with contextlib.suppress(PickleError):
        read_pickle(b"\x80\x04]" + opcode * 500 + b".")
    with pytest.raises(PickleError, match=r"refused: the pickle's [\d,]+ bytes make more objects"):
        read_pickle(b"\x80\x04]" + opcode * 10_000 + b".")


def test_a_file_cannot_hold_opcodes_without_end(monkeypatch):
    monkeypatch.setattr(safe_pickle, "_MAX_OPCODES", 1000)
    assert read_pickle(b"\x80\x02" + b"N0" * 490 + b"N.") is None
    with pytest.raises(PickleError, match=r"refused: the pickle's 1,504 bytes make more objects"):
        read_pickle(b"\x80\x02" + b"N0" * 750 + b"N.")


def test_memo_indexes_are_bounded():
    """Python makes room for all indexes up to the largest."""
    puts = b"".join(b"p%d\n" % number for number in (0, 2))
    assert read_pickle(b"\x80\x02N" + puts + b"g2\n\x86.") == (None, None)
    for index in (b"p9\n", b"r\xff\xff\xff\x7f", b"p-1\n"):
        with pytest.raises(PickleError, match="a memo index beyond the number of opcodes"):
            read_pickle(b"\x80\x02N" + index + b".")


def read_any(data, names=None):
    return safe_pickle.read_pickle(data, "test", names or {}, more_opcodes=DICTIONARIES)


SHARED = b"K\x01" + b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(60))


@pytest.mark.parametrize(
    "key",
    [SHARED, b"K\x01" + b"\x85" * 100_000, b"K\x01\x85q\x00(NNub", b"K\x01\x85N)\x86b"],
    ids=["shared", "deep", "filled", "built"],
)
def test_tuples_are_no_keys(key):
    """Python hashes all that is in them, however deep and often."""
    for data in (b"}" + key + b"Ns.", b"}(" + key + b"Nu.", b"(" + key + b"Nd."):
        with pytest.raises(PickleError, match=r"as a key|not a whole pickle"):
            read_any(b"\x80\x02" + data)


def test_a_tuple_in_the_memo_is_no_key_either():
    with pytest.raises(PickleError, match="as a key"):
        read_any(b"\x80\x02N\x85q\x000}h\x00Ns.")


def test_wide_integers_are_no_keys():
    """Any number of them can have one hash."""
    assert read_any(b"\x80\x02}\x8a\x08" + b"\xff" * 7 + b"\x7fNs.") == {2**63 - 1: None}
    for number in (b"\x8a\x09" + b"\xff" * 8 + b"\x7f", b"L9223372036854775808L\n"):
        with pytest.raises(PickleError, match="a number of more than 64 bits, as a key"):
            read_any(b"\x80\x02}" + number + b"Ns.")


def test_a_tuple_cannot_be_passed_to_functions_often():
    called = []
    names = {"a.b": lambda *arguments: called.append(len(arguments))}
    read_any(b"\x80\x02ca\nb\n(" + b"N" * 100 + b"tR.", names)
    with pytest.raises(PickleError, match="a function of 101 arguments"):
        read_any(b"\x80\x02ca\nb\n(" + b"N" * 101 + b"tR.", names)
    assert called == [100]


class Kept:
    made = 0

    def __setstate__(self, state):
        self.state = state


@pytest.mark.parametrize("state", [b"}U\x04madeK\x01s", b"N}U\x04madeK\x01s\x86", b"N"])
def test_functions_and_classes_keep_their_own_state(state):
    """BUILD, which would write into what a name stands for."""

    def function():
        return 1

    names = {"a.function": function, "a.Kept": Kept, "a.nothing": None}
    for name in (b"a\nfunction\n", b"a\nKept\n", b"_codecs\nencode\n", b"a\nnothing\n"):
        with pytest.raises(PickleError, match="not a whole pickle"):
            read_any(b"\x80\x02c" + name + state + b"b.", names)
    assert vars(function) == {}
    assert Kept.made == 0
    made = read_any(b"\x80\x02ca\nKept\n)\x81" + state + b"b.", {"a.Kept": Kept})
    assert "state" in vars(made)


def test_several_pickles_of_a_memory_map(tmp_path):
    (tmp_path / "a").write_bytes(
        b"".join(pickle.dumps(n, p) for n, p in ((1, 2), ("b", 4), ([], 5)))
    )
    with (
        (tmp_path / "a").open("rb") as file,
        mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as data,
    ):
        assert [safe_pickle.read_pickle(data, "test", {}) for _ in range(3)] == [1, "b", []]
        assert data.tell() == len(data)
