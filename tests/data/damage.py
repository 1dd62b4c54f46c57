"""Files as a bad disk, a broken download or a hostile sender makes them; what may come of it."""

import resource
import signal
import struct
from contextlib import contextmanager

from hypothesis import strategies as st

from tfface.errors import InputError

# More than any reader may ask for because of what a small file claims.
_EXTRA_MEMORY_BYTES = 1 << 30
_MOST_SECONDS = 20

_lengths = st.sampled_from([0, 1, 2**16, 2**24, 2**29 - 1, 2**31 - 1, 2**32 - 1])


@st.composite
def damaged(draw, whole: bytes) -> bytes:
    """Bytes like `whole`: cut short, bits flipped, numbers overwritten, parts lost or added."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(data) - 1, 0)))
        match draw(st.sampled_from(["cut", "flip", "number", "lose", "add", "replace"])):
            case "cut":
                del data[place:]
            case "flip":
                if data:
                    data[place] ^= 1 << draw(st.integers(0, 7))
            case "number":
                data[place : place + 4] = struct.pack(
                    draw(st.sampled_from("<>")) + "I", draw(_lengths)
                )
            case "lose":
                del data[place : place + draw(st.integers(1, 64))]
            case "add":
                data[place:place] = draw(st.binary(min_size=1, max_size=16))
            case "replace":
                new = draw(st.binary(min_size=1, max_size=16))
                data[place : place + len(new)] = new
    return bytes(data)


@contextmanager
def only_input_errors():
    """The block may succeed or raise InputError; all else, much memory or a hang fails the test."""
    old_limits = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as statm:
        in_use = int(statm.read().split()[0]) * resource.getpagesize()
    old_handler = signal.signal(signal.SIGALRM, _time_is_up)
    signal.alarm(_MOST_SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (in_use + _EXTRA_MEMORY_BYTES, old_limits[1]))
    try:
        yield
    except InputError as error:
        if not str(error) or "Traceback" in str(error):
            raise AssertionError(f"no clear line: {error}") from error
    finally:
        resource.setrlimit(resource.RLIMIT_AS, old_limits)
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old_handler)


def _time_is_up(*_):
    raise TimeoutError(f"a reader took more than {_MOST_SECONDS} seconds for a small file")
