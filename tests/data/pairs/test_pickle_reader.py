"""The pickle reader reads data and runs nothing."""

import contextlib
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
from tfface import plain_pickle
from tfface.data.pairs import pickle_reader
from tfface.data.pairs.pickle_reader import Array, PickleError, read_pickle

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
    with pytest.raises(PickleError, match=rf"refused: .*({name}|instruction)"):
        read_pickle(pickle.dumps(([b"x"], attack), protocol=protocol))
    assert not list(tmp_path.iterdir())


def test_other_instructions_and_types_are_refused():
    with pytest.raises(PickleError, match="instruction EMPTY_DICT"):
        read_pickle(pickle.dumps({"a": 1}))
    with pytest.raises(PickleError, match="an array of type f4; expected u1"):
        read_pickle(pickle.dumps(np.ones(3, np.float32)))
    with pytest.raises(PickleError, match=r"the pickle calls posix\.system"):
        read_pickle(pickle.dumps(np.array([os.system], object)))
    # numpy.ndarray may be named, but not called.
    with pytest.raises(PickleError, match="isn't a function it may name"):
        read_pickle(b"\x80\x02cnumpy\nndarray\nK\x01\x85R.")
    with pytest.raises(PickleError, match="isn't a function it may name"):
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


# Of the reader, and of the package.
FOLDERS = [str(Path(pickle_reader.__file__).parents[n]) for n in (0, 3)]

# Short files that claim to hold, or to make, very much.
GREEDY = {
    "bytes": lengthy(b"B", "<I", 2**32 - 1),
    "bytes8": lengthy(b"\x8e", "<Q", 2**40),
    "bytearray": lengthy(b"\x96", "<Q", 2**40),
    "unicode": lengthy(b"X", "<I", 2**32 - 1),
    "string": lengthy(b"T", "<i", 2**31 - 1),
    "frame": lengthy(b"\x95", "<Q", 2**60),
    "memo": b"\x80\x02K\x01r\xff\xff\xff\xff.",
    # An array that claims more items than the file has bytes.
    "array": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\x01b\x87R"
    b"(K\x01J\xff\xff\xff\x7f\x85cnumpy\ndtype\nU\x02u1K\0K\x01\x87R\x89U\x01xtb.",
    # One text of 1 MiB turned to bytes 20,000 times.
    "again": b"\x80\x02X" + struct.pack("<I", 2**20) + b"x" * 2**20 + b"q\x000]("
    b"c_codecs\nencode\nq\x010" + b"h\x01h\0U\x06latin1\x86R" * 20_000 + b"e.",
}


def test_a_short_file_cannot_ask_for_much_memory(tmp_path):
    for name, data in GREEDY.items():
        (tmp_path / name).write_bytes(data)
    # The two modules by themselves, in a process that can't have more than 256 MiB.
    code = (
        "import resource, sys\n"
        "import pickle_reader\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**28, 2**28))\n"
        "for path in sys.argv[1:]:\n"
        "    try: pickle_reader.read_pickle(open(path, 'rb').read())\n"
        "    except pickle_reader.PickleError as error: print(error)\n"
        "    else: print('read')\n"
    )
    output = subprocess.run(
        [sys.executable, "-c", code, *(str(tmp_path / name) for name in GREEDY)],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": os.pathsep.join(FOLDERS)},
    ).stdout.splitlines()
    said = dict(zip(GREEDY, output, strict=True))
    for name in ("bytes", "bytes8", "bytearray", "unicode", "string"):
        assert "cut short or damaged" in said[name]
    assert "an array of (2147483647,) with 1 bytes" in said["array"]
    assert said["memo"] == said["again"] == "read"


@pytest.mark.parametrize("opcode", [b"\x94", b"]", b"(", b"\x85", b"U\x00", b"I7\n"])
def test_a_file_cannot_make_objects_without_end(opcode, monkeypatch):
    """Each takes some 100 bytes of memory for one byte of the file, or a few."""
    # Which any file may make; the true limit takes seconds to reach.
    monkeypatch.setattr(plain_pickle, "_ALWAYS_MADE", 20_000)
    with pytest.raises(PickleError, match=r"refused: the pickle's [\d,]+ bytes make more objects"):
        read_pickle(b"\x80\x04]" + opcode * 30_000 + b".")


def test_a_file_cannot_hold_instructions_without_end(monkeypatch):
    monkeypatch.setattr(plain_pickle, "_MOST_INSTRUCTIONS", 1000)
    assert read_pickle(b"\x80\x02" + b"N0" * 490 + b"N.") is None
    with pytest.raises(PickleError, match=r"refused: the pickle's 1,504 bytes make more objects"):
        read_pickle(b"\x80\x02" + b"N0" * 750 + b"N.")


def test_numbers_of_places_cannot_be_mixed_up():
    """A dictionary takes time with the square of how many of these it holds."""
    puts = b"".join(b"p%d\n" % (number * (2**61 - 1)) for number in range(1, 3))
    with pytest.raises(PickleError, match="a place beyond those that there are"):
        read_pickle(b"\x80\x02N" + puts + b".")
