"""A gallery in words: who is in it, and what it says of pictures."""

from collections import Counter
from collections.abc import Mapping, Sequence

from tfface.reporting.format import align


def content_as_text(names: Sequence[str], model: str) -> str:
    """Returns how many images of whom there are.

    Args:
        names: of all images.
        model: that embedded them.
    """
    counts = Counter(names)
    rows = [[name, f"{counts[name]:,}"] for name in sorted(counts)]
    return (
        f"{align(['name', 'images'], rows)}\n{len(names):,} images of {len(counts):,} people, "
        f"embedded by {model}"
    )


def answers_as_text(answers: Sequence[Mapping], threshold: float | None) -> str:
    """Returns whom pictures show, as a table, and what has to be known about it.

    Args:
        answers: as `gallery.py query --json` writes them.
        threshold: what they were asked with.
    """
    rows = []
    for answer in answers:
        first = [answer["image"], _named(answer["name"])]
        for candidate in answer["candidates"]:
            rows.append([*first, candidate["name"], f"{candidate['cosine']:.3f}"])
            first = ["", ""]
        if not answer["candidates"]:
            rows.append([*first, "-", "-"])
    table = align(["image", "name", "most alike", "cosine"], rows)
    if threshold is not None:
        return table
    return f"{table}\nwithout --threshold strangers get the name of whoever is most alike, too"


def _named(name: str | None) -> str:
    if name is None:
        return "nobody"
    # People may be called so.
    return f"'{name}'" if name == "nobody" else name
