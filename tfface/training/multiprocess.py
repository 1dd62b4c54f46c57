"""Coordination of the processes that train together; with one process, all of it does nothing.

Several processes need JAX, whose words are used here.
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
    """Connects this process to the others of a run; call it before anything is computed.

    Args:
        coordinator: HOST:PORT at which process 0 listens.
        num_processes: number of processes, each with its own devices.
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
    with _discarded_stdout():
        barrier("all have joined")


def parse_address(text: str) -> tuple[str, int]:
    """Returns the host and port of HOST:PORT.

    Raises InputError: it isn't that.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise InputError(f"--coordinator-address {text}: must be HOST:PORT, as in 10.0.0.1:9123")
    return host.strip("[]"), int(port)


def wait_for_listener(host: str, port: int, seconds: float) -> None:
    """Returns as soon as a process listens at the address.

    Raises:
        InputError: none does within `seconds`.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((host, port), timeout=10).close()
        except OSError as error:
            if time.monotonic() >= end:
                raise InputError(
                    f"--coordinator-address {host}:{port}: process 0 can't be reached there within "
                    f"{seconds:g} seconds ({error.strerror or error}); is it started, and may "
                    "this machine connect to it?"
                ) from error
            time.sleep(0.5)
        else:
            return


def process_count() -> int:
    """Returns the number of processes."""
    if keras.backend.backend() != "jax":
        return 1
    import jax

    return jax.process_count()


def process_index() -> int:
    """Returns the index of this process, from 0."""
    if process_count() == 1:
        return 0
    import jax

    return jax.process_index()


def is_main_process() -> bool:
    """Returns whether this is the process that writes files and prints."""
    return process_index() == 0


def broadcast_from_main(metrics: Mapping[str, float]) -> dict[str, float]:
    """Returns the metrics of process 0 in all processes, so that they decide alike.

    Args:
        metrics: with the same names in all processes.
    """
    if process_count() == 1:
        return dict(metrics)
    import numpy as np
    from jax.experimental import multihost_utils

    # As bytes: JAX has no float64 of its own.
    values = np.array([*metrics.values()], np.float64)
    agreed = multihost_utils.broadcast_one_to_all(values.view(np.uint8))
    return dict(
        zip(metrics, np.asarray(agreed).astype(np.uint8).view(np.float64).tolist(), strict=True)
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
    """Returns when all processes have called it.

    Args:
        what: a name for it, the same in all of them.
    """
    if process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(what)


def shutdown() -> None:
    """Disconnects from the other processes when all have called it; each may continue alone."""
    if process_count() > 1:
        import jax

        jax.distributed.shutdown()


@contextmanager
def run_together(how_to_resume: str) -> Iterator[None]:
    """Within the block only process 0 prints, and no process outlives a failed one.

    Where this process fails, it exits without JAX's wait for the others, since they wait for this
    one; they then lose the connection to it.

    Args:
        how_to_resume: for the message when another process was lost.

    Raises:
        InputError: another process was lost, as far as JAX reports it by an exception.
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
            f"which has ended or can't be reached; {how_to_resume}"
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
def _discarded_stdout() -> Iterator[None]:
    """Discards output on stdout, also that of libraries: gloo prints each connection there."""
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
