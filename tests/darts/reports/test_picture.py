"""A genotype as one picture: the same shapes and colours in SVG and PNG."""

import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from darts import cli
from darts.reports.picture import DOTS, TITLE, genotype_png, genotype_svg
from darts.spaces.nasbench201 import from_string
from darts.spaces.published import DARTS_V2, PUBLISHED

NS = "{http://www.w3.org/2000/svg}"
BENCH = from_string("|nor_conv_3x3~0|+|skip_connect~0|none~1|+|none~0|none~1|avg_pool_3x3~2|")


def heads(svg):
    """(x, y, colour) in the middle of every arrow's head."""
    found = []
    for cell in ElementTree.fromstring(svg).findall(f"{NS}g"):
        left, top = map(float, cell.get("data-at").split())
        for head in cell.iter(f"{NS}path"):
            if head.get("class") == "head":
                tip_x, tip_y, back = map(float, re.findall(r"[\d.]+", head.get("d"))[:3])
                x = tip_x + 0.7 * (back - tip_x)
                found.append((left + x, top + TITLE + tip_y, head.get("fill")))
    return found


@pytest.mark.parametrize("genotype", [DARTS_V2, PUBLISHED["NASNet"].genotype, BENCH])
def test_the_png_has_every_arrow_of_the_svg_in_its_colour(genotype):
    svg = genotype_svg(genotype)
    assert "var(" not in svg
    assert "currentColor" not in svg
    pixels = np.asarray(Image.open(io.BytesIO(genotype_png(genotype))).convert("RGB"))
    arrows = heads(svg)
    assert len(arrows) == sum(len(cell.edges) for cell in genotype.cells)
    for x, y, colour in arrows:
        expected = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
        assert pixels[int(y * DOTS), int(x * DOTS)].tolist() == expected


def test_draw_writes_the_file_asked_for_and_no_other_kind(tmp_path, capsys):
    for name in ("a.svg", "a.PNG"):
        assert cli.main(["draw", "DARTS_V2", "-o", str(tmp_path / name)]) == 0
        assert capsys.readouterr().out.startswith(f"files:\n  {tmp_path / name}\nnext:\n")
    assert (tmp_path / "a.svg").read_text().startswith("<svg xmlns=")
    assert cli.main(["draw", "DARTS_V2", "-o", str(tmp_path / "a.pdf")]) == 2
    assert "is written as .svg or .png" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.PNG", "a.svg"]


def test_a_genotype_shows_itself_short_and_in_a_notebook_drawn():
    assert repr(BENCH) == "Genotype(cell: 3 none, 1 nor_conv_3x3, 1 skip_connect, 1 avg_pool_3x3)"
    assert DARTS_V2._repr_html_() == genotype_svg(DARTS_V2)
