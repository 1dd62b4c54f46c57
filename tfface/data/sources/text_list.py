"""Images that a text file lists, a path and a label in each line."""

from pathlib import Path

from tfface.data.sources.file_list import FileList
from tfface.data.sources.image_files import ImageFiles
from tfface.errors import InputError
from tfface.files import os_errors
from tfface.progress import progress
from tfface.text_file import open_text

EXTENSIONS = frozenset({".txt", ".lst", ".list"})


class ListSource(ImageFiles):
    """A text file (UTF-8) with a line `PATH LABEL` for each image, without a header.

    The label is the last word of a line, or what follows its last tab; so paths may contain blanks.
    It is the name of the identity. Identities are sorted by the bytes of their names, which are
    normalized by `names.clean_name`; images are in the order of the lines. Blank lines are ignored.

    Args:
        path: the file.
        image_root: folder of the images, which no path may leave; by default the folder of the
            file.
        name: the source's name in `Identity.source`; by default the stem of the file.

    Raises:
        InputError: the file can't be read, or of lines: there is no label, or the image isn't
            there, lies outside of `image_root` or was listed before. The first 20 such lines are
            named.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("RGB", (32, 32)).save(Path(folder, "1.png"))
        ...     _ = Path(folder, "faces.txt").write_text("1.png 0")
        ...     source = ListSource(Path(folder, "faces.txt"))
        >>> source.identities[0].name, source.filename(0)
        ('0', '1.png')
    """

    def __init__(self, path: Path, image_root: Path | None = None, *, name: str | None = None):
        path = Path(path)
        self.name = name or path.stem
        root = Path(image_root) if image_root is not None else path.parent
        files = FileList(path, root)
        with os_errors(path), open_text(path) as file:
            lines = enumerate(file, start=1)
            for number, line in progress(lines, description="listing", unit="images"):
                if not (text := line.strip()):
                    continue
                if "\0" in text:
                    raise InputError(f"{path}: line {number}: holds a zero byte: it is no text")
                image, _, label = text.rpartition("\t")
                if not image:
                    image, _, label = text.rpartition(" ")
                if not image.strip():
                    files.note(number, "has no label: expected PATH LABEL")
                    continue
                files.add(number, image.strip(), label)
        self.identities, self.labels = files.identities(self.name)
        self._set_files(files.root, files.paths)


def is_list(path: Path) -> bool:
    """Whether `path` is in the format of `ListSource`."""
    return path.suffix.lower() in EXTENSIONS and path.is_file()
