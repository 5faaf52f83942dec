"""Results show themselves: short on a line, as a table in a notebook, angles of rounding as 0°."""

from html.parser import HTMLParser

import pytest
import torch

from bilevel import compare, recommend
from bilevel.estimators import Amended, Certified, Exact, FirstOrder, Hypergradient
from bilevel.problems import quadratic
from bilevel.shown import degrees
from bilevel.vector import Vector


class Tags(HTMLParser):
    """Checks that every tag is closed in order, and collects the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def text_of(html: str) -> str:
    parsed = Tags()
    parsed.feed(html)
    assert not parsed.open
    return parsed.text


@pytest.fixture
def point():
    return quadratic(6, 3, condition=10.0).point


@pytest.mark.parametrize(
    ("angle", "dtype", "shown"),
    [
        (8.55e-16, torch.float64, "0°"),
        (1e-9, torch.float64, "1e-09°"),
        (1e-5, torch.float32, "0°"),
        (34.5678, torch.float64, "34.6°"),
    ],
)
def test_an_angle_below_rounding_is_zero(angle, dtype, shown):
    assert degrees(angle, Vector.of(torch.ones(64, dtype=dtype))) == shown


def test_an_estimate_says_its_two_terms_and_how_q_was_found(point):
    found = Certified(cosine=0.9)(*point)
    for text in (repr(found), text_of(found._repr_html_())):
        assert "tensor(" not in text
        assert "CONVERGED" in text
        assert f"{float(Vector.of(found.implicit).norm()):.3g}" in text
    assert found.certificate.in_short in repr(found.certificate)
    assert "angle to g₂" in text_of(found.certificate._repr_html_())
    assert "products" in text_of(found.solve._repr_html_())
    assert "Solve" not in repr(FirstOrder()(*point))


def test_the_angle_between_the_terms_is_shown_where_there_is_one():
    alpha = torch.tensor([3.0, 4.0])
    opposed = Hypergradient(alpha, -alpha, 0.5)
    assert "angle between them 180°" in repr(opposed)
    assert "angle" not in repr(Hypergradient(alpha, 0 * alpha, 0.5))


def test_a_comparison_and_a_recommendation_show_their_tables(point):
    table = compare(*point, [Amended(eta=0.1), Exact()], repetitions=0)
    assert len(repr(table).splitlines()) == 1
    shown = text_of(table._repr_html_())
    for words in ("angle to g₂", "H products", "the Hessian", "Amended(eta=0.1)", "0°"):
        assert words in shown
        assert words in str(table)
    advice = recommend(*point, budget=10)
    assert len(repr(advice).splitlines()) == 1
    assert all(reason in text_of(advice._repr_html_()) for reason in advice.reasons)
