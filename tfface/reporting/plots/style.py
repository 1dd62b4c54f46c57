"""How all pictures of tfface look: colours, axes, and how they are written."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tfface.files import replacing
from tfface.reporting.contact_sheet import MADE_BY

# Okabe and Ito's palette, which colour-blind readers can tell apart; lines differ in style as well.
BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#E69F00",
    "#CC79A7",
    "#56B4E9",
)
LINES = [
    (colour, style) for style in ("-", "--", ":") for colour in (BLUE, VERMILION, GREEN, ORANGE)
] + [(PURPLE, "-"), (SKY, "-")]
GREY = "#666666"


def dress(axes: Axes, title: str, x_label: str, y_label: str) -> None:
    axes.set_title(title, fontsize=11)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(color="#DDDDDD", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def percent(value: float, position: int | None = None) -> str:
    return f"{100 * value:g}%" if abs(100 * value - round(100 * value, 2)) < 1e-9 else ""


def whole(value: float, position: int | None = None) -> str:
    return f"{value:,.0f}" if value == round(value) else ""


def save(figure: Figure, path: Path) -> None:
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=130, metadata=MADE_BY)
