"""What of a face image is the person: GrabCut, started from where aligned faces have theirs."""

import cv2
import numpy as np
from PIL import Image

# Larger images are shrunk for the search: its time grows with the pixels, its quality doesn't.
_LONGEST_SIDE = 400
_ITERATIONS = 5
# Of an image of 1 x 1, (center x, center y, half width, half height): what is surely the face, what
# is likely the person, and outside of what nothing is.
_FACE = (0.5, 0.55, 0.3, 0.4)
_PERSON = (0.5, 0.5, 0.5, 0.62)
_LIMIT = (0.5, 0.62, 0.62, 0.72)
# Of the image: with less told apart beyond the guess, nothing was found.
_LEAST = 0.01


def find_foreground(image: np.ndarray, margin: float = 0.0) -> tuple[np.ndarray | None, str]:
    """Finds the pixels that belong to the person, hair included.

    GrabCut (Rother et al., SIGGRAPH 2004) learns the colours of person and background from a first
    guess and moves the border to where the image has one. The guess: the middle of the image is the
    face, and stays so; what lies in a larger ellipse is likely the person; what lies beyond a third
    one, which leaves out the upper corners, is background. (Started from a rectangle, as is usual,
    it cuts foreheads and sometimes whole faces away.) Parts that don't hang together with the face
    are left out then, and holes are filled.

    The defaults suit aligned faces of 112 pixels, and portraits that a face fills.

    Args:
        image: uint8 [height, width, 3], RGB.
        margin: how far the ellipses lie within the image: share of height and width on each side,
            in [0, 0.45]. More suits faces that fill less of their photo.
    Returns: bool [height, width], and ""; or None and why there is none, in a few words. The same
        image gives the same result.
    """
    height, width = image.shape[:2]
    scale = _LONGEST_SIDE / max(height, width)
    small = image if scale >= 1 else _resized(image, scale)
    guess = _guess(*small.shape[:2], margin)
    face = guess == cv2.GC_FGD
    if not face.any():
        return None, "too few pixels"
    try:
        found = _grab_cut(small, guess)
    except cv2.error:
        # One of the two has no pixel to learn from.
        return None, "GrabCut could not start"
    # Nothing that was not given.
    if found.mean() > (guess != cv2.GC_BGD).mean() - _LEAST:
        return None, "no background found"
    if found.mean() < face.mean() + _LEAST:
        return None, "no person found"
    found = _one_part(found, face)
    if small is not image:
        mask = Image.fromarray(found.astype(np.uint8) * 255)
        found = np.asarray(mask.resize((width, height), Image.Resampling.BILINEAR)) > 127
    return found, ""


def _guess(height: int, width: int, margin: float) -> np.ndarray:
    """Returns what each pixel is taken for at first: uint8 [height, width] of cv2.GC_..."""
    guess = np.full((height, width), cv2.GC_PR_BGD, np.uint8)
    guess[_ellipse(height, width, _PERSON, margin)] = cv2.GC_PR_FGD
    guess[~_ellipse(height, width, _LIMIT, margin)] = cv2.GC_BGD
    guess[_ellipse(height, width, _FACE, margin)] = cv2.GC_FGD
    return guess


def _ellipse(
    height: int, width: int, place: tuple[float, float, float, float], margin: float
) -> np.ndarray:
    """Returns which pixels lie inside: bool [height, width]."""
    kept = 1 - 2 * margin
    # About the middle of the image, all of them.
    x, y, half_width, half_height = (
        0.5 + (place[0] - 0.5) * kept,
        0.5 + (place[1] - 0.5) * kept,
        place[2] * kept,
        place[3] * kept,
    )
    rows = ((np.arange(height) + 0.5) / height - y) / half_height
    columns = ((np.arange(width) + 0.5) / width - x) / half_width
    return rows[:, None] ** 2 + columns**2 < 1


def _grab_cut(image: np.ndarray, guess: np.ndarray) -> np.ndarray:
    # Its first clusters are drawn at random; the state is the thread's own.
    cv2.setRNGSeed(0)
    mask = guess.copy()
    models = np.zeros((1, 65)), np.zeros((1, 65))
    bgr = np.ascontiguousarray(image[..., ::-1])
    cv2.grabCut(bgr, mask, None, *models, _ITERATIONS, cv2.GC_INIT_WITH_MASK)
    return (mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)


def _one_part(found: np.ndarray, face: np.ndarray) -> np.ndarray:
    """Keeps what hangs together with the face, without holes and single pixels at its border."""
    smooth = cv2.medianBlur(found.astype(np.uint8), 3).astype(bool) | face
    _, parts = cv2.connectedComponents(smooth.astype(np.uint8), connectivity=4)
    kept = parts == parts[face][0]
    # What is not kept and does not reach the image's edge is a hole.
    _, rest = cv2.connectedComponents((~kept).astype(np.uint8), connectivity=4)
    edge = np.concatenate([rest[0], rest[-1], rest[:, 0], rest[:, -1]])
    return kept | ~np.isin(rest, edge)


def _resized(image: np.ndarray, scale: float) -> np.ndarray:
    height, width = image.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize(size))
