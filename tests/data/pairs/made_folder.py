"""A template set on disk as InsightFace publishes them, with colored squares for faces."""

import numpy as np
import tensorflow as tf

from tfface.alignment.template import template_points

NUM_PEOPLE = 6


def write_folder(folder, *, stem="ijbx", photos=False):
    """Writes two templates of each person: one of a photo and a video, one of a photo.

    Args:
        photos: faces lie in larger pictures, and there is a file that says where.
    """
    rng = np.random.default_rng(0)
    (folder / "meta").mkdir(parents=True)
    (folder / "loose_crop").mkdir()
    entries, points = [], []
    for person in range(NUM_PEOPLE):
        colors = np.random.default_rng(person).integers(30, 226, (4, 4, 3))
        for image, (template, medium) in enumerate([(1, 1), (1, 2), (1, 2), (2, 1)]):
            face = np.kron(colors, np.ones((28, 28, 1))) + rng.normal(0, 5, (112, 112, 3))
            top, left = (10, 30) if photos else (0, 0)
            picture = np.zeros((160, 180, 3)) if photos else face
            picture[top : top + 112, left : left + 112] = face
            name = f"{4 * person + image + 1}.jpg"
            pixels = np.clip(picture, 0, 255).astype(np.uint8)
            encoded = tf.io.encode_jpeg(pixels, quality=98).numpy()
            (folder / "loose_crop" / name).write_bytes(encoded)
            entries.append(f"{name} {10 * person + template} {medium}")
            places = (template_points(112, 112) + np.array([left, top])).ravel()
            points.append(
                f"{name} {' '.join(f'{place:.3f}' for place in places)} {0.9 + image / 50}"
            )
    pairs = [
        f"{10 * a + 1} {10 * b + 2} {int(a == b)}"
        for a in range(NUM_PEOPLE)
        for b in range(NUM_PEOPLE)
    ]
    write_lines(folder, f"{stem}_face_tid_mid.txt", entries)
    write_lines(folder, f"{stem}_template_pair_label.txt", pairs)
    if photos:
        write_lines(folder, f"{stem}_name_5pts_score.txt", points)
    return folder


def write_lines(folder, name, lines):
    (folder / "meta" / name).write_text("\n".join(lines) + "\n")


def lines_of(folder, name):
    return (folder / "meta" / name).read_text().splitlines()
