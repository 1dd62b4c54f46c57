"""Images with attributes, such as K-Face has: PERSON/POSE-LIGHT.jpg, and a CSV that lists them."""

from pathlib import Path

from tests.data.small_faces import encoded


def write_posed_faces(
    root: Path,
    num_people: int,
    poses: tuple[str, ...] = ("C1", "C7", "C13"),
    lights: tuple[str, ...] = ("L1", "L30"),
) -> Path:
    """Writes images below `root`; returns their list, `posed.csv`, with columns pose and light."""
    lines = ["path,identity,pose,light"]
    for person in range(num_people):
        (root / f"p{person:02d}").mkdir(parents=True)
        for pose in poses:
            for light in lights:
                path = f"p{person:02d}/{pose}-{light}.jpg"
                (root / path).write_bytes(encoded(len(lines) - 1))
                lines.append(f"{path},p{person:02d},{pose},{light}")
    (root / "posed.csv").write_text("\n".join(lines) + "\n")
    return root / "posed.csv"
