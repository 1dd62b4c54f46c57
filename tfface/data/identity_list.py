"""Lists of identities, to choose or to leave out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfface.data.dataset_folder import Identity
from tfface.errors import InputError


def read_identity_list(path: Path, identities: Sequence[Identity]) -> np.ndarray:
    """Reads a list of identities: on each line a name, and after a tab or a space what you like.

    LFW's people lists are such files; a first line that is only a number is their count.

    Returns: bool [identities]: who is listed.
    Raises InputError: the file can't be read, is empty, or holds a name that is not there.
    """
    known = {identity.name for identity in identities}
    try:
        lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    if lines and lines[0].strip().isdecimal() and lines[0].strip() not in known:
        lines = lines[1:]
    names, unknown = set(), []
    for line in filter(str.strip, lines):
        # Names may hold spaces, so the longer reading is tried first.
        readings = (line.strip(), line.split("\t")[0].strip(), line.split()[0])
        name = next((reading for reading in readings if reading in known), None)
        if name is None:
            unknown.append(readings[1])
        else:
            names.add(name)
    if unknown:
        raise InputError(
            f"{path}: lists identities that the sources don't have: {', '.join(unknown[:5])}"
            + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
        )
    if not names:
        raise InputError(f"{path}: lists no identities")
    return np.array([identity.name in names for identity in identities])
