"""What all tools share: finding the package, a quiet TensorFlow, and how they end.

Import it first: it puts the checkout on the path, so that the tools run without installing tfface.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

# TensorFlow reads these when it is imported; its start-up notes would bury the tool's own lines.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from tfface.errors import InputError

# Where the relative paths of recipes start, unless --data-dir says otherwise.
DATA_DIR = Path(os.environ.get("TFFACE_DATA", "data"))


def import_tensorflow_quietly() -> None:
    """Imports TensorFlow without what its C++ side prints before its log level is in force."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        import tensorflow

        # Looking for devices prints too, the first time.
        tensorflow.config.list_physical_devices()
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def run(main: Callable[[], None]) -> None:
    """Calls a tool's `main` and exits: 0 when it returns, 2 with one line when the input is bad."""
    try:
        main()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output (head, less) has gone; nothing is left to tell it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
