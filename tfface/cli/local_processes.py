"""Starting a tool several times on this machine, as processes that train together."""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import BinaryIO

from tfface.cli import command
from tfface.errors import InputError

OPTION = "--local-processes"

# What ends by itself, because it was told the same as the one that ended first, gets this long.
_GRACE_SECONDS = 3.0
# The variable of the environment by which processes know what was typed.
_GIVEN = "TFFACE_LOCAL_PROCESSES_OF"
_POLL_SECONDS = 0.1


def add(parser: argparse.ArgumentParser) -> None:
    """Adds what a tool needs to train in several processes."""
    parser.add_argument(
        OPTION,
        type=command.workers,
        metavar="N",
        help="try training in several processes: N of them on this machine's CPU; needs "
        "KERAS_BACKEND=jax",
    )
    parser.add_argument(
        "--coordinator-address",
        metavar="HOST:PORT",
        help="address of process 0, for a run of several processes on one machine or several",
    )
    parser.add_argument(
        "--num-processes", type=command.positive, metavar="N", help="number of processes"
    )
    parser.add_argument(
        "--process-id", type=command.natural, metavar="I", help="which this is, from 0"
    )


def check(options: argparse.Namespace) -> None:
    """Raises InputError: options of several processes that don't go together."""
    of_one = (options.coordinator_address, options.num_processes, options.process_id)
    if None in of_one and any(value is not None for value in of_one):
        raise InputError("--coordinator-address, --num-processes and --process-id go together")
    if options.local_processes and options.coordinator_address:
        raise InputError(f"{OPTION} chooses --coordinator-address by itself: give one of them")


def run(num_processes: int, arguments: Sequence[str], how_to_go_on: str) -> None:
    """Runs this tool as several processes, and returns when all have ended well.

    What process 0 says is passed on; the others are heard when they fail. When one is lost, the
    others are ended. When this process is killed, they end as by SIGTERM.

    Args:
        arguments: of the tool.
        how_to_go_on: for the message about a process that was lost.
    Raises InputError: one was lost. SystemExit: process 0 has failed and has said why, or they were
        asked to end and have ended.
    """
    from tfface.parent_process import training_environment

    _, rest = _only_option().parse_known_args(arguments)
    # Of the same kind as on a cluster: an accelerator can't be shared by processes.
    of_children = {"JAX_PLATFORMS": "cpu", **os.environ, _GIVEN: json.dumps([*arguments])}
    environment = training_environment(of_children)
    coordinator = f"127.0.0.1:{_free_port()}"
    with tempfile.TemporaryFile() as heard:
        children = [
            subprocess.Popen(
                [
                    *(*command.this_command(), *rest, "--coordinator-address", coordinator),
                    *("--num-processes", str(num_processes), "--process-id", str(number)),
                ],
                env=environment,
                stdout=subprocess.DEVNULL if number else None,
                stderr=heard if number else None,
            )
            for number in range(num_processes)
        ]
        try:
            _wait(children, heard, how_to_go_on)
        except (KeyboardInterrupt, command.Ended) as ended:
            # Ctrl-C reaches all of them, other signals may have reached only this one.
            if isinstance(ended, command.Ended):
                for child in children:
                    child.send_signal(ended.number)
            # They write a checkpoint, and process 0 says what there is to say.
            sys.exit(max(child.wait() for child in children))
        finally:
            _stop(children)


def typed(arguments: Sequence[str]) -> list[str]:
    """Returns the arguments of the command that the user gave, of which this process is a part."""
    return json.loads(os.environ.get(_GIVEN, "null")) or [*arguments]


def _wait(children: list[subprocess.Popen], heard: BinaryIO, how_to_go_on: str) -> None:
    while True:
        have_ended = all(child.poll() is not None for child in children)
        lost = _lost(children)
        if lost is not None:
            break
        if have_ended:
            return
        time.sleep(_POLL_SECONDS)
    if children[lost].returncode > 0:
        _give_time(children)
        lost = _lost(children)
    code = children[lost].returncode
    if code == children[0].returncode and code > 0:
        sys.exit(code)
    _stop(children)
    if lost:
        heard.seek(0)
        sys.stderr.write(heard.read().decode(errors="replace"))
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    raise InputError(
        f"process {lost} of {len(children)} was lost: it {how}; the others were ended. "
        f"{how_to_go_on[0].upper()}{how_to_go_on[1:]}"
    )


def _lost(children: list[subprocess.Popen]) -> int | None:
    """Returns which of them has failed; one that was killed before those that failed for it."""
    codes = [child.poll() for child in children]
    failed = [number for number, code in enumerate(codes) if code]
    return min(failed, key=lambda number: (codes[number] > 0, number), default=None)


def _give_time(children: list[subprocess.Popen]) -> None:
    end = time.monotonic() + _GRACE_SECONDS
    while any(child.poll() is None for child in children) and time.monotonic() < end:
        time.sleep(_POLL_SECONDS)


def _stop(children: list[subprocess.Popen]) -> None:
    # At once: one that is asked to end would wait for the others.
    for child in children:
        if child.poll() is None:
            child.kill()
    for child in children:
        child.wait()


def _only_option() -> argparse.ArgumentParser:
    parser = command.Parser(add_help=False)
    parser.add_argument(OPTION)
    return parser


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]
