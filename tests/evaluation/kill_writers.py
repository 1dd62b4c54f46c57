"""Kills writers of a gallery at every line that they run, and looks at what is left.

    python -m tests.evaluation.kill_writers FOLDER

Ends with 0 and the number of kills when what is left was always the gallery from before or from
after. (A process of its own, because forking one with TensorFlow's threads is no good.)
"""

import os
import signal
import sys
from pathlib import Path

import numpy as np

from tfface.evaluation.face_index import FaceIndex
from tfface.gallery.storage import (
    MANIFEST,
    EnrolledFace,
    GalleryContent,
    changing_gallery,
    new_gallery,
    read_gallery,
    write_gallery,
)

WRITERS = ("gallery/storage.py", "files.py", "face_index.py")


def made(count: int) -> GalleryContent:
    vectors = np.eye(8, dtype=np.float32)[:count]
    faces = [EnrolledFace(f"person {number}", f"{number}.jpg", "0" * 64) for number in range(count)]
    return GalleryContent("model", "fingerprint", FaceIndex.from_embeddings(vectors), faces)


def build(folder: Path) -> None:
    with new_gallery(folder):
        write_gallery(folder, made(3))


def add(folder: Path) -> None:
    with changing_gallery(folder) as gallery:
        larger = made(5)
        write_gallery(
            folder,
            GalleryContent("model", "fingerprint", larger.index, larger.faces, gallery.generation),
        )


def run_until(line: int, write, folder: Path) -> bool:
    """Runs `write` in a process that is killed at its `line`-th line; whether it ended before."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    left = line

    def trace(frame, event, _):
        nonlocal left
        if not frame.f_code.co_filename.endswith(WRITERS):
            return None
        left -= event == "line"
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
    write(folder)
    os._exit(0)


def content(folder: Path) -> list[str] | None:
    if not (folder / MANIFEST).exists():
        return None
    gallery = read_gallery(folder)
    np.testing.assert_array_equal(gallery.index.embeddings(), np.eye(8)[: len(gallery.faces)])
    return [face.name for face in gallery.faces]


def main(folder: Path) -> None:
    three, five = ([f"person {number}" for number in range(count)] for count in (3, 5))
    num_kills, lefts = 0, set()
    for write, before, after in ((build, None, three), (add, three, five)):
        line, ended = 0, False
        while not ended:
            line += 1
            target = folder / f"{write.__name__}-{line}"
            if before:
                build(target)
            ended = run_until(line, write, target)
            found = content(target)
            assert found in ([after] if ended else [before, after]), (write, line, found)
            num_files = len(os.listdir(target)) if target.exists() else 0
            lefts.add((write.__name__, found == after, num_files))
            # The next writer can go on, and leaves nothing of the killed one.
            if found is None:
                build(target)
            add(target)
            assert content(target) == five
            assert len(os.listdir(target)) == 3, os.listdir(target)
        num_kills += line - 1
    # Kills came before and after the change, with and without files lying about.
    assert len(lefts) > 6, lefts
    print(num_kills)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
