"""The processes that train together: how they join, agree, wait for each other, and end.

All of it does nothing where there is only one process. Several need JAX.
"""

import atexit
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stdout

import keras

from tfface.errors import InputError
from tfface.progress import silence

# After so long without a sign of life a process counts as lost; JAX itself would wait for 100.
_HEARTBEAT_SECONDS = 30
# Machines may be started one after the other by hand.
_JOINING_SECONDS = 300


def initialize(coordinator: str, num_processes: int, process_id: int) -> None:
    """Joins the processes of a run; to be called before anything is computed.

    Args:
        coordinator: HOST:PORT where process 0 waits for the others.
        num_processes: how many processes there are, each with its own devices.
        process_id: int in [0, num_processes).
    Raises InputError: another backend than JAX, numbers that don't fit, or the others don't come.
    """
    if keras.backend.backend() != "jax":
        raise InputError(
            f"several processes train on JAX only, and the backend is {keras.backend.backend()}: "
            "set KERAS_BACKEND=jax"
        )
    if not 0 <= process_id < num_processes:
        raise InputError(
            f"--process-id {process_id}: must be from 0 to {num_processes - 1} with "
            f"--num-processes {num_processes}"
        )
    host, port = parse_address(coordinator)
    if process_id > 0:
        # JAX would end this process with a message of its own.
        wait_for_listener(host, port, _JOINING_SECONDS)
    import jax

    # Without it processes on CPUs can't compute together; accelerators have their own.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(
            coordinator,
            num_processes,
            process_id,
            heartbeat_timeout_seconds=_HEARTBEAT_SECONDS,
            initialization_timeout=_JOINING_SECONDS,
        )
    except (RuntimeError, ValueError) as error:
        reason = str(error).split("\n")[0]
        raise InputError(
            f"process {process_id} of {num_processes} can't join the others at {coordinator}: "
            f"{reason}"
        ) from error
    with _stdout_unheard():
        barrier("all have joined")


def parse_address(text: str) -> tuple[str, int]:
    """Returns the host and port of HOST:PORT.

    Raises InputError: it isn't that.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise InputError(f"--coordinator {text}: must be HOST:PORT, as in 10.0.0.1:9123")
    return host.strip("[]"), int(port)


def wait_for_listener(host: str, port: int, seconds: float) -> None:
    """Returns as soon as somebody listens there.

    Raises InputError: nobody does, for `seconds`.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((host, port), timeout=10).close()
        except OSError as error:
            if time.monotonic() >= end:
                raise InputError(
                    f"--coordinator {host}:{port}: process 0 can't be reached there within "
                    f"{seconds:g} seconds ({error.strerror or error}); is it started, and may "
                    "this machine connect to it?"
                ) from error
            time.sleep(0.5)
        else:
            return


def process_count() -> int:
    """Returns how many processes train together."""
    if keras.backend.backend() != "jax":
        return 1
    import jax

    return jax.process_count()


def process_index() -> int:
    """Returns which of them this is, from 0."""
    if process_count() == 1:
        return 0
    import jax

    return jax.process_index()


def is_main_process() -> bool:
    """Returns whether this is the process that writes files and says how it goes."""
    return process_index() == 0


def broadcast_from_main(figures: Mapping[str, float]) -> dict[str, float]:
    """Returns the figures of process 0, so that all of them decide alike.

    Args:
        figures: of the same names in all processes.
    """
    if process_count() == 1:
        return dict(figures)
    import numpy as np
    from jax.experimental import multihost_utils

    # As bytes: JAX has no float64 of its own.
    values = np.array([*figures.values()], np.float64)
    agreed = multihost_utils.broadcast_one_to_all(values.view(np.uint8))
    return dict(
        zip(figures, np.asarray(agreed).astype(np.uint8).view(np.float64).tolist(), strict=True)
    )


def any_process(*flags: bool) -> tuple[bool, ...]:
    """Returns for each flag whether it is true in any process.

    Args:
        flags: as many in all processes.
    """
    if process_count() == 1:
        return flags
    import numpy as np
    from jax.experimental import multihost_utils

    gathered = multihost_utils.process_allgather(np.array(flags, np.int32))
    return tuple(bool(flag) for flag in np.asarray(gathered).any(axis=0))


def barrier(what: str) -> None:
    """Returns when all processes have come here.

    Args:
        what: they wait for, the same in all of them.
    """
    if process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(what)


def shutdown() -> None:
    """Parts from the others, when all have come here; each may go on alone."""
    if process_count() > 1:
        import jax

        jax.distributed.shutdown()


@contextmanager
def run_together(how_to_go_on: str) -> Iterator[None]:
    """What several processes do together: process 0 says how it goes, and none outlives another.

    Where this process fails, it ends without the wait for the others by which JAX ends, since they
    wait for this one; they then find its connection gone.

    Args:
        how_to_go_on: for the message when another process was lost.
    Raises InputError: another process was lost, as far as JAX says it by an exception.
    """
    if process_count() == 1:
        yield
        return
    import jax

    exit_code = 1
    try:
        with nullcontext() if is_main_process() else _silence():
            yield
        return
    except InputError:
        exit_code = 2
        raise
    except KeyboardInterrupt:
        exit_code = 130
        raise
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        if not _is_loss(str(error)):
            raise
        exit_code = 2
        raise InputError(
            f"process {process_index()} of {process_count()} lost the connection to another one, "
            f"which has ended or can't be reached; {how_to_go_on}"
        ) from error
    finally:
        if sys.exc_info()[1] is not None:
            # Registered last, it is called first of all.
            atexit.register(_end_at_once, exit_code)


def _end_at_once(exit_code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)


@contextmanager
def _stdout_unheard() -> Iterator[None]:
    """Drops what is written to stdout, also by libraries: gloo tells of each connection there."""
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


@contextmanager
def _silence() -> Iterator[None]:
    with open(os.devnull, "w") as nothing, redirect_stdout(nothing), silence():
        yield


def _is_loss(message: str) -> bool:
    signs = ("gloo", "nccl", "coordination service", "heartbeat", "connection", "unavailable")
    return any(sign in message.lower() for sign in signs)
