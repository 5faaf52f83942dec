"""The benchmark measures what it says: the loop is right, bars can fail, absence has a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.estimators import BARS, bars, hand_written, indefinite_warnings
from benchmarks.peers import PEERS, Peer
from benchmarks.plots import OFFSET, PLACES, draw_benchmark, set_apart
from bilevel import Vector, relative_error
from bilevel.estimators import ConjugateGradient
from bilevel.problems import hyper_cleaning, quadratic


def test_the_hand_written_loop_solves_the_quadratic_in_n_steps() -> None:
    ready = quadratic(8, 3, condition=10.0)
    point = Vector.of(ready.params), Vector.of(ready.hyperparams)
    found = hand_written(ready.problem, *point, steps=8)
    truth = ready.hypergradient(ready.hyperparams) - ready.ridge * ready.hyperparams
    assert relative_error(found, truth) < 1e-6


def test_the_hand_written_loop_takes_the_same_steps_as_conjugate_gradient() -> None:
    ready = hyper_cleaning(train=100, val=100)
    point = Vector.of(ready.params), Vector.of(ready.hyperparams)
    loop = hand_written(ready.problem, *point, steps=6)
    h = ConjugateGradient(6, tolerance=None, stationary=None)(*ready.point)
    assert relative_error(loop, h.implicit) < 1e-9


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.package)
def test_a_library_that_is_absent_says_so(peer: Peer) -> None:
    absent = Peer("nobody's", "no-such-package", "no_such_module", peer.make)
    assert absent.missing() == "no-such-package is not installed"


def record(error: float, products: int, time: float, memory: int, warned: int) -> dict[str, Any]:
    def row(name: str) -> dict[str, Any]:
        spread = {"median": time, "low": time, "high": time}
        return {
            "name": name,
            "source": "this project",
            "error": error,
            "hessian_products": products,
            "time": spread,
            "peak_bytes": memory,
        }

    rows = [row(n) for n in ("CG to 1e-5", "CG to 5e-6, Nyström 40", "CG, 20")]
    rows.append(row("hand-written CG, 20") | {"peak_bytes": 100})
    spread = {"median": 1.0, "low": 1.0, "high": 1.0}
    rows.append(row("jaxopt CG, 20, jitted") | {"time": spread})
    rows.append({"name": "absent", "source": "x", "skipped": "x is not installed"})
    part = {"sizes": [1, 1], "rows": rows}
    seed = {"CG": products, "CG, Nyström 40": products}
    return {
        "problems": dict.fromkeys(BARS, part),
        "mlp_clean_seeds": [seed, seed | {"CG": 1}],
        "indefinite": {"problems": 10, "warned": warned},
    }


def test_bars_are_met_and_missed_where_they_should_be() -> None:
    assert all(bar["met"] for bar in bars(record(1e-5, 37, 1.0, 105, 10)))
    many = bars(record(1e-5, 184, 1.0, 105, 10))
    assert not any(bar["met"] for bar in many if "products" in bar["bar"])
    seeds = [bar["measured"] for bar in many if "seeds" in bar["bar"]]
    assert seeds == [[1, 92.5, 184, 1], [184, 184, 184, 0]]
    wrong = bars(record(3e-5, 37, 1.0, 105, 10))
    assert not any(
        bar["met"] for bar in wrong if "products, " in bar["bar"] and "seeds" not in bar["bar"]
    )
    slow = bars(record(1e-5, 37, 1.06, 105, 10))
    assert not any(bar["met"] for bar in slow if "time" in bar["bar"])
    large = bars(record(1e-5, 37, 1.0, 106, 10))
    assert not any(bar["met"] for bar in large if "memory" in bar["bar"])
    assert not bars(record(1e-5, 37, 1.0, 105, 9))[-1]["met"]


def test_indefinite_problems_are_warned_of_every_time() -> None:
    assert indefinite_warnings(20) == {"problems": 20, "warned": 20}


def test_the_chart_is_drawn_from_the_record(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = draw_benchmark(record(1e-5, 37, 1.0, 100, 10), tmp_path / "chart.png")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_names_of_points_that_lie_together_do_not_hide_one_another() -> None:
    figure = Figure(figsize=(6, 4))
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    places = [(0.5, 0.5), (0.505, 0.5), (0.51, 0.505), (0.52, 0.5), (0.52, 0.52)]
    names = [axes.annotate("a long name", p, xytext=PLACES[0], textcoords=OFFSET) for p in places]
    boxes = [name.get_window_extent() for name in names]
    assert boxes[0].count_overlaps(boxes[1:]) == 4
    set_apart(names, figure)
    boxes = [name.get_window_extent() for name in names]
    assert not any(box.count_overlaps(boxes[k + 1 :]) for k, box in enumerate(boxes))
    points = [axes.transData.transform(place) for place in places]
    assert not any(box.contains(*point) for box in boxes for point in points)
