"""A genotype as one picture: the drawings of its cells side by side, as SVG or PNG.

Colours are written at each shape, so that programs without style sheets show them too.
"""

import io
import re
from xml.etree import ElementTree

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.path import Path as Curve

from darts.reports.cell_names import cell_title
from darts.reports.drawing import COLOURS, GREYS, cell_svg
from darts.spaces import CellGenotype, Genotype

BESIDE, APART, TITLE = 2, 28.0, 26.0
"""Cells in a row; pixels between two, and of a title."""
FONT, SIZE = "Helvetica Neue, Helvetica, Arial, Liberation Sans, DejaVu Sans, sans-serif", 12.0
DOTS = 2.0
"""Dots of a PNG for each pixel of the SVG."""


def genotype_svg(genotype: Genotype) -> str:
    """The picture as the text of an SVG file, on white."""
    return _text(_picture(genotype))


def genotype_png(genotype: Genotype) -> bytes:
    """The same as a PNG, `DOTS` dots to a pixel."""
    root = _picture(genotype)
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    figure = Figure(figsize=(width / 72, height / 72), facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.axis("off")
    for cell in root.findall("g"):
        left, top = (float(part) for part in cell.attrib["data-at"].split())
        for shape in cell.iter():
            _paint(axes, shape, left, top)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=72 * DOTS, metadata={"Software": None})
    return buffer.getvalue()


def _picture(genotype: Genotype) -> ElementTree.Element:
    cells = [_cell(cell) for cell in genotype.cells]
    rows = [cells[at : at + BESIDE] for at in range(0, len(cells), BESIDE)]
    root = ElementTree.Element("svg", {"xmlns": "http://www.w3.org/2000/svg"})
    ElementTree.SubElement(root, "rect", {"width": "100%", "height": "100%", "fill": "#ffffff"})
    width, top = 0.0, APART / 2
    for row in rows:
        left = APART / 2
        for cell, wide, _ in row:
            cell.set("transform", f"translate({left:g} {top:g})")
            cell.set("data-at", f"{left:g} {top:g}")
            root.append(cell)
            left += wide + APART
        width = max(width, left - APART / 2)
        top += max(tall for _, _, tall in row) + APART
    for name, value in (("width", width), ("height", top - APART / 2)):
        root.set(name, f"{value:g}")
    root.set("viewBox", f"0 0 {root.get('width')} {root.get('height')}")
    return root


def _cell(cell: CellGenotype) -> tuple[ElementTree.Element, float, float]:
    """A drawing under its title, with a colour at each shape; its width and height."""
    drawn = ElementTree.fromstring(cell_svg(cell))
    width, height = float(drawn.attrib["width"]), float(drawn.attrib["height"])
    group = ElementTree.Element("g", {"font-family": FONT, "font-size": f"{SIZE:g}"})
    title = {"x": f"{width / 2:g}", "y": "14", "text-anchor": "middle", "font-weight": "bold"}
    heading = ElementTree.SubElement(group, "text", {**title, "fill": GREYS["other"][0]})
    heading.text = cell_title(cell.kind)
    body = ElementTree.SubElement(group, "g", {"transform": f"translate(0 {TITLE:g})"})
    for part in drawn.iter("g"):
        _colour(part)
        body.append(part)
    return group, width, height + TITLE


def _colour(part: ElementTree.Element) -> None:
    """The colours that the style sheet of a page gives an edge or a state, on white."""
    classes = part.get("class", "").split()
    if "edge" in classes:
        family = next((name for name in classes if name in COLOURS), "")
        colour = COLOURS[family][0] if family else GREYS["other"][0]
        for shape in part:
            line = shape.get("class") == "line"
            shape.set("fill", "none" if line else colour)
            if line:
                shape.set("stroke", colour)
            if line and family == "none":
                shape.set("stroke-dasharray", "3 3")
        return
    kind = "input" if "input" in classes else "node"
    for shape in part:
        if shape.get("class") == "box":
            shape.set("fill", GREYS[kind][0])
        elif shape.tag == "rect":
            shape.set("stroke", GREYS[f"{kind}-text"][0])
        else:
            shape.set("fill", GREYS[f"{kind}-text"][0])
            shape.set("font-weight", "bold" if kind == "node" else "normal")


def _paint(axes: Axes, shape: ElementTree.Element, left: float, top: float) -> None:
    """One shape of a cell whose corner is at (left, top)."""
    inside = 0.0 if shape.get("font-weight") == "bold" and shape.get("y") == "14" else TITLE
    at = {name: float(shape.get(name, "0")) for name in ("x", "y", "width", "height", "rx")}
    if shape.tag == "text":
        axes.text(
            left + at["x"],
            top + inside + at["y"],
            shape.text or "",
            ha="center",
            va="baseline",
            fontsize=SIZE * 0.88,  # matplotlib's own font is wider than the others
            family="DejaVu Sans",
            weight=shape.get("font-weight", "normal"),
            color=shape.get("fill"),
        )
    elif shape.tag == "rect":
        box = FancyBboxPatch(
            (left + at["x"], top + TITLE + at["y"]),
            at["width"],
            at["height"],
            boxstyle=f"round,pad=0,rounding_size={at['rx']}",
            facecolor=shape.get("fill", "none"),
            edgecolor=shape.get("stroke", "none"),
            linewidth=1.0,
        )
        axes.add_patch(box)
    elif shape.tag == "path":
        curve = _curve(shape.attrib["d"], left, top + TITLE)
        axes.add_patch(
            PathPatch(
                curve,
                facecolor=shape.get("fill", "none"),
                edgecolor=shape.get("stroke", "none"),
                linewidth=float(shape.get("stroke-width", "0")),
                linestyle="--" if shape.get("stroke-dasharray") else "-",
                capstyle="butt",
            )
        )


def _curve(text: str, left: float, top: float) -> Curve:
    """A path of the commands that drawings use: M, L, H, V, Q, Z."""
    points: list[tuple[float, float]] = []
    codes = []
    x = y = 0.0
    for command, rest in re.findall(r"([MLHVQZ])([^MLHVQZ]*)", text):
        numbers = [float(number) for number in rest.split()]
        if command == "Z":
            points.append(points[0])
            codes.append(Curve.CLOSEPOLY)
            continue
        if command == "H":
            numbers = [numbers[0], y]
        elif command == "V":
            numbers = [x, numbers[0]]
        for a, b in zip(numbers[::2], numbers[1::2], strict=True):
            x, y = a, b
            points.append((left + x, top + y))
            codes.append({"M": Curve.MOVETO, "Q": Curve.CURVE3}.get(command, Curve.LINETO))
    return Curve(points, codes)


def _text(root: ElementTree.Element) -> str:
    return ElementTree.tostring(root, encoding="unicode") + "\n"
