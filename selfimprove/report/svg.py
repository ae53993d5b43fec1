"""Charts as SVG, inside a page or as a file of its own: matplotlib draws, and what it wrote is fitted to the page.

What matplotlib writes is a file of its own: colours in `style` attributes, which a strict policy forbids; ids that
clash between two charts of one page; its name and the date. `fitted` turns the colours into classes, so that the page's
style sheet says what they are on a light ground, on a dark one and on paper; gives the ids the chart's name; and leaves
the rest out. A drawing uses the colours of `ROLES` alone: each stands for a part that it plays, not for a hue.

A file of its own (`standalone`) brings the page's colours with it, those for a dark ground too.

The same figures give the same bytes: ids are salted with a constant and no time is written.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROLE_NAMES = (
    *("ink", "muted", "rule", "champion", "challenger", "good", "bad"),
    *("hue0", "hue1", "hue2", "hue3", "hue4", "hue5"),
)
ROLES = {name: f"#0000{number:02x}" for number, name in enumerate(ROLE_NAMES, start=1)}
"""What stands in a drawing for a colour of the style sheet."""
HUES = 6
"""How many things side by side get a colour of their own."""
WIDTH, HEIGHT = 4.7, 2.9
"""Inches of 72 points; the page scales them."""
SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "selfimprove",
    "text.parse_math": False,
    "font.size": 8.5,
    "font.family": ["DejaVu Sans"],
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.linewidth": 0.6,
    "grid.color": ROLES["rule"],
    "axes.edgecolor": ROLES["rule"],
    "axes.labelcolor": ROLES["muted"],
    "xtick.color": ROLES["rule"],
    "ytick.color": ROLES["rule"],
    "xtick.labelcolor": ROLES["muted"],
    "ytick.labelcolor": ROLES["muted"],
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "text.color": ROLES["ink"],
    "legend.frameon": False,
    "legend.fontsize": 8,
    "legend.labelcolor": ROLES["ink"],
    "hatch.color": ROLES["ink"],
}
_NAMES = {colour: name for name, colour in ROLES.items()}
_CLASSES = {"fill": "fi", "stroke": "st"}
_REFERENCE = re.compile(r"#([\w.-]+)")


@dataclass(frozen=True)
class Chart:
    """An SVG element that may stand in a page, and what it shows in words."""

    svg: str
    caption: str


def drawn(
    name: str, caption: str, paint: Callable[[Axes], None], height: float = HEIGHT, width: float = WIDTH
) -> Chart:
    """What `paint` puts on empty axes, as a chart; `name` is a word that no other chart of the page has."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(SETTINGS):
        figure = Figure(figsize=(width, height), layout="constrained")
        paint(figure.subplots())
        written = io.BytesIO()
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    return Chart(fitted(written.getvalue().decode(), name, caption), caption)


def standalone(name: str, caption: str, paint: Callable[[Axes], None], height: float, width: float) -> str:
    """The same as an SVG file in the page's style, on its ground; sizes are inches of 72 points."""
    chart = drawn(name, caption, paint, height, width)
    head, _, body = chart.svg.partition(">")
    size = f'xmlns="http://www.w3.org/2000/svg" width="{72 * width:.0f}pt" height="{72 * height:.0f}pt"'
    font = "svg{background:var(--ground)}text{font-family:system-ui,sans-serif;stroke:none}"
    style = f"<style>{colours()}{role_rules()}{font}</style>"
    return f"{head.replace('<svg', f'<svg {size}', 1)}>{style}{body}\n"


def colours() -> str:
    """The style sheet's colours for a light and a dark ground, as custom properties."""
    return files("selfimprove.report").joinpath("colours.css").read_text(encoding="utf-8")


def role_rules() -> str:
    """The style sheet's rules for the classes of a chart; each role is a custom property of the page."""
    return "".join(f".fi-{name}{{fill:var(--{name})}}.st-{name}{{stroke:var(--{name})}}" for name in ROLES)


def fitted(svg: str, name: str, label: str) -> str:
    """matplotlib's SVG without styles, strange ids and metadata, for use inside a page; `label` is read out."""
    root = ElementTree.fromstring(svg)
    for element in list(root):
        if _tag(element) == "metadata" or element.find("{*}style") is not None:
            root.remove(element)
    wanted = {found for element in root.iter() for found in _references(element)}
    for element in root.iter():
        element.tag = _tag(element)
        element.attrib = _attributes(element, name, wanted)
        element.tail = None
        element.text = element.text if element.tag == "text" else None
    box = root.attrib["viewBox"]
    root.attrib = {"viewBox": box, "role": "img", "aria-label": label}
    return ElementTree.tostring(root, encoding="unicode")


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _references(element: ElementTree.Element) -> list[str]:
    return [found for key, value in element.attrib.items() if _refers(key) for found in _REFERENCE.findall(value)]


def _refers(key: str) -> bool:
    return key.endswith("href") or key == "clip-path"


def _attributes(element: ElementTree.Element, name: str, wanted: set[str]) -> dict[str, str]:
    kept: dict[str, str] = {}
    for key, value in element.attrib.items():
        if _refers(key):
            kept[key.rpartition("}")[2]] = _REFERENCE.sub(rf"#{name}-\1", value)
        elif key == "id" and value in wanted:
            kept["id"] = f"{name}-{value}"
        elif key == "style":
            kept |= _from_style(value)
        elif key == "d":
            kept["d"] = " ".join(value.split())
        elif key != "id" and not (key == "transform" and value.startswith("rotate(-0 ")):
            kept[key] = value
    return kept


def _from_style(style: str) -> dict[str, str]:
    """A style's declarations as attributes, its colours as classes; the font is the page's."""
    found = dict(part.strip().split(": ", 1) for part in style.split(";") if ": " in part)
    classes = [f"{_CLASSES[key]}-{_NAMES[value]}" for key, value in found.items() if _is_role(key, value)]
    kept = {key: value for key, value in found.items() if not _is_role(key, value) and key != "font-family"}
    return {**kept, **({"class": " ".join(classes)} if classes else {})}


def _is_role(key: str, value: str) -> bool:
    return key in _CLASSES and value in _NAMES
