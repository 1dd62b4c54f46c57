"""Contact sheets: many small images in one, each with a caption."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from tfface.files import replacing

# In every picture that is written, for people and for PICTURE_MARK.
MADE_BY = {"Software": "tfface"}
# By which `output_paths.check_replaceable` knows them.
PICTURE_MARK = re.compile(rb"\A\x89PNG.{,512}?tEXtSoftware\0tfface", re.DOTALL)
# Name of a contact sheet in a folder of images.
CONTACT_SHEET_FILE = "contact_sheet.png"

_GAP = 6
_BACKGROUND, _INK, _TITLE_INK = (255, 255, 255), (70, 70, 70), (0, 0, 0)
_CAPTION_SIZE, _TITLE_SIZE = 11, 15
_MIN_WIDTH = 480  # room for a title above few images


def draw_contact_sheet(
    path: str | os.PathLike,
    images: Sequence[np.ndarray],
    captions: Sequence[str],
    *,
    title: str = "",
    columns: int | None = None,
    cell: int | tuple[int, int] = 112,
) -> None:
    """Draws images in rows, each with its caption below.

    Images are resized to fit their cell; the aspect ratio is kept. The middle of long caption lines
    is removed, since names often differ at their ends only.

    Args:
        path: the PNG.
        images: uint8 [height, width, 3] each, RGB. Without images, only the title is drawn.
        captions: one for each image; may have several lines.
        title: above the images; wrapped if necessary.
        columns: images per row, > 0; by default such that the sheet is slightly wider than high.
        cell: (height, width) of an image in pixels, > 0; one number for a square.

    Raises:
        ValueError: the numbers of images and captions differ, or an image has a wrong shape.
        InputError: the file can't be written.
    """
    if len(images) != len(captions):
        raise ValueError(f"got {len(images)} images, but {len(captions)} captions")
    for image, caption in zip(images, captions, strict=True):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(
                f"the image of {caption!r} has type and shape {image.dtype} {list(image.shape)}; "
                "expected uint8 [height, width, 3]"
            )
    caption_font, title_font = _font(_CAPTION_SIZE), _font(_TITLE_SIZE)
    caption_height = sum(caption_font.getmetrics())
    num_lines = max((caption.count("\n") + 1 for caption in captions), default=0)
    cell_height, cell_width = (cell, cell) if isinstance(cell, int) else cell
    step_x = cell_width + _GAP
    step_y = cell_height + 2 + num_lines * caption_height + _GAP
    if columns is None:
        columns = round((1.3 * len(images) * step_y / step_x) ** 0.5)
    columns = max(1, min(columns, len(images)))
    rows = -(-len(images) // columns)
    width = max(columns * step_x + _GAP, _MIN_WIDTH)
    title_lines = _wrapped(title, title_font, width - 2 * _GAP)
    title_height = sum(title_font.getmetrics())
    top = _GAP + (len(title_lines) * title_height + _GAP if title_lines else 0)

    sheet = Image.new("RGB", (width, top + rows * step_y), _BACKGROUND)
    drawing = ImageDraw.Draw(sheet)
    for number, line in enumerate(title_lines):
        drawing.text((_GAP, _GAP + number * title_height), line, _TITLE_INK, title_font)
    for number, (image, caption) in enumerate(zip(images, captions, strict=True)):
        x = _GAP + number % columns * step_x
        y = top + number // columns * step_y
        fitted = _fitted(image, cell_height, cell_width)
        left, above = (cell_width - fitted.width) // 2, (cell_height - fitted.height) // 2
        sheet.paste(fitted, (x + left, y + above))
        for line_number, line in enumerate(caption.split("\n")):
            line = _shortened(line, caption_font, cell_width)
            position = (x, y + cell_height + 2 + line_number * caption_height)
            drawing.text(position, line, _INK, caption_font)
    with replacing(path) as temporary:
        sheet.save(temporary, format="PNG", pnginfo=_made_by())


def _made_by() -> PngInfo:
    texts = PngInfo()
    for key, text in MADE_BY.items():
        texts.add_text(key, text)
    return texts


def framed(image: np.ndarray, color: str) -> np.ndarray:
    """Adds a frame to an image: uint8 [h, w, 3] -> [h + 2 f, w + 2 f, 3].

    Args:
        color: "#RRGGBB".

    Example:
        >>> framed(np.zeros((1, 1, 3), np.uint8), "#0102FF")[0, 0].tolist()
        [1, 2, 255]
    """
    width = max(1, max(image.shape) // 24)
    height, length = image.shape[:2]
    result = np.empty((height + 2 * width, length + 2 * width, 3), np.uint8)
    result[:] = [int(color[start : start + 2], 16) for start in (1, 3, 5)]
    result[width:-width, width:-width] = image
    return result


def side_by_side(images: Sequence[np.ndarray], cell: int = 112) -> np.ndarray:
    """Joins images, each resized to fit a white square.

    Args:
        images: uint8 [height, width, 3] each, RGB; at least one.
        cell: height and width of a square in pixels, > 0.

    Returns:
        uint8 [cell, width of all squares and gaps, 3].
    """
    gap = max(1, cell // 28)
    joined = Image.new("RGB", (len(images) * (cell + gap) - gap, cell), _BACKGROUND)
    for number, image in enumerate(images):
        fitted = _fitted(image, cell, cell)
        left, above = (cell - fitted.width) // 2, (cell - fitted.height) // 2
        joined.paste(fitted, (number * (cell + gap) + left, above))
    return np.asarray(joined)


def _font(size: int) -> ImageFont.FreeTypeFont:
    # Matplotlib includes this font; Pillow's default lacks most alphabets. The import is slow.
    import matplotlib

    path = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    return ImageFont.truetype(path, size)


def _fitted(image: np.ndarray, cell_height: int, cell_width: int) -> Image.Image:
    height, width = image.shape[:2]
    scale = min(cell_height / height, cell_width / width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    fitted = Image.fromarray(np.ascontiguousarray(image))
    return fitted if size == fitted.size else fitted.resize(size, Image.Resampling.LANCZOS)


def _shortened(line: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Replaces the middle of a line by an ellipsis, so that it is not wider than `width`."""
    line = _printable(line)
    kept = len(line)
    short = line
    while font.getlength(short) > width and kept > 0:
        kept -= 1
        short = line[: kept // 2] + "…" + line[len(line) - (kept + 1) // 2 :]
    return short


def _wrapped(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    lines: list[str] = []
    for paragraph in text.split("\n") if text else []:
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}".strip()
            if line and font.getlength(longer) > width:
                lines.append(line)
                longer = word
            line = _shortened(longer, font, width)
        lines.append(line)
    return lines


def _printable(text: str) -> str:
    """File names may contain control characters and bytes that are not UTF-8."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
