"""What all benchmarks share: the checkout on the path, --results and --work-dir.

Import it before `tfface`.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tfface.cli import command, outputs
from tfface.errors import InputError


def make_parser(description: str, *, results: bool = True) -> command.Parser:
    """Makes a parser of command lines.

    Args:
        description: What `--help` prints above the options.
        results: Whether it has the option --results.

    Returns:
        The parser, to which the benchmark adds its own options.
    """
    parser = command.Parser(description=description)
    if results:
        outputs.add_results(parser, "add a row for each measurement to this file")
    return parser


@contextmanager
def work_folder(work_dir: Path | None) -> Iterator[Path]:
    """Yields a folder for temporary files, which is removed after the block.

    Args:
        work_dir: Where to create it; None for the system's folder of temporary files.

    Raises:
        InputError: It can't be created there.
    """
    try:
        folder = tempfile.TemporaryDirectory(dir=work_dir, prefix="tfface-")
    except OSError as error:
        raise InputError(f"--work-dir {work_dir}: {error.strerror}") from error
    with folder as path:
        yield Path(path)
