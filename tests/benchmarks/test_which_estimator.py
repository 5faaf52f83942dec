"""docs/WHICH_ESTIMATOR.md: every figure of its tables is the record's, to the digits printed."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.estimators import ours
from benchmarks.peers import PEERS
from bilevel import Vector
from bilevel.estimators.certificate import certify
from bilevel.krylov.norm_bound import NormBound
from tests import documents

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "WHICH_ESTIMATOR.md").read_text(encoding="utf-8")
PAGE = " ".join(TEXT.split())

# the page's words for a row -> the record's, where they differ
ROWS = {
    "CG to 5e-6, Nyström preconditioner 40": "CG to 5e-6, Nyström 40",
    "certified, cosine 0.99": "certified, cos 0.99",
    "the same, μ guessed": "certified, cos 0.99, μ guessed",
}
METHODS = {
    "first order": "first order",
    "identity η = 1": "identity, η = 1",
    "amended η = 0.1": "amended, η = 0.1",
    "amended η = 1": "amended, η = 1",
    "CG, 10": "CG, 10",
    "certified, μ guessed": "certified",
}
EXAMPLES = {
    "wrong labels found, AUC": ("cleaning", "AUC of wrong labels"),
    "distillation, test accuracy %": ("distilling", "test accuracy %"),
    "penalties, Φ": ("penalties", "Φ(α), ω solved for"),
    "rare classes, recall %": ("weights_of_a_loss", "recall of rare classes %"),
    "rare classes, L_val": ("weights_of_a_loss", "L_val"),
    "operations, Φ": ("operations", "Φ(α), ω solved for"),
}


def record(name: str) -> Any:
    return json.loads((ROOT / "docs" / "records" / f"{name}.json").read_text(encoding="utf-8"))


def table(header: str) -> tuple[list[str], dict[str, list[str]]]:
    """Columns and rows, by their first cell, of the one table whose header begins so."""
    lines = TEXT[TEXT.index(f"\n| {header}") + 1 :].split("\n\n")[0].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return cells[0][1:], {row[0]: row[1:] for row in cells[2:]}


def assert_prints(figure: str, value: float) -> None:
    assert documents.prints(figure, value), f"{figure} is printed for {value!r}"


def measured(problem: str) -> dict[str, Any]:
    return {row["name"]: row for row in record("estimators")["problems"][problem]["rows"]}


COSTS = table("estimator | logreg")


@pytest.mark.parametrize("name", COSTS[1])
def test_costs_and_errors_are_the_records(name):
    cells = COSTS[1][name]
    for problem, (error, time) in zip(("logreg", "mlp_clean"), (cells[:2], cells[2:]), strict=True):
        row = measured(problem)[ROWS.get(name, name)]
        figure, products = error.removesuffix(")").split(" (")
        assert_prints(figure, row["error"])
        assert int(products) == row["hessian_products"]
        assert_prints(time, row["time"]["median"])


def test_every_estimator_and_every_library_measured_has_a_row():
    shown = {ROWS.get(name, name) for name in COSTS[1]}
    names = set(ours()) | {peer.name for peer in PEERS}
    assert shown == names & set(measured("logreg"))


def test_sizes_and_repetitions_are_the_records():
    found = record("estimators")
    kappa = {"logreg": "254", "mlp_clean": None}
    for column, problem in zip(COSTS[0][::2], ("logreg", "mlp_clean"), strict=True):
        assert f"{problem}: n = {found['problems'][problem]['sizes'][0]}" in column
        assert kappa[problem] is None or f"κ = {kappa[problem]}" in column
    assert f"median of {found['repetitions']} turns" in PAGE


def test_what_the_page_says_of_the_preconditioner_is_the_records():
    found = record("estimators")
    seeds = found["mlp_clean_seeds"]
    bars = {bar["bar"]: bar["measured"] for bar in found["bars"]}
    for name, words in (
        ("CG, Nyström 40", "takes {0} to {2} products, median {1:g}, in {3} of 10 within 183"),
        ("CG", "plain CG takes {0} to {2}, median {1:g}, in {3} of 10 within 183"),
    ):
        (key,) = (key for key in bars if key.endswith(f"183 products, {name}"))
        assert words.format(*bars[key]) in PAGE
        counts = [row[name] for row in seeds]
        assert [min(counts), max(counts)] == [bars[key][0], bars[key][2]]
    kappas = [row["kappa"] for row in seeds]
    assert f"κ from {min(kappas):,.0f} to {max(kappas):,.0f}" in PAGE
    plain = measured("mlp_clean")["CG to 1e-5"]
    assert f"plain CG ends at {plain['error']:.1e}".replace("e-0", "e-") in PAGE
    assert f"after {plain['hessian_products']}." in PAGE
    found_in = re.search(r"Peak memory of CG is ([\d.]+) and ([\d.]+) times", PAGE)
    assert found_in
    nystrom = re.search(r"rank 40 it is ([\d.]+) and ([\d.]+) times", PAGE)
    assert nystrom
    for figures, name, unit in (
        (found_in, "CG, 20", "hand-written CG, 20"),
        (nystrom, "CG to 5e-6, Nyström 40", "CG, 20"),
    ):
        for figure, problem in zip(figures.groups(), ("logreg", "mlp_clean"), strict=True):
            rows = measured(problem)
            assert_prints(figure, rows[name]["peak_bytes"] / rows[unit]["peak_bytes"])
    every = found["indefinite"]
    assert f"({every['warned']} of {every['problems']} indefinite problems)" in PAGE


@pytest.mark.parametrize(
    ("row", "method"), [("`Identity`, `DartsSecondOrder`", "darts"), ("`Amended`", "amended")]
)
def test_wrong_signs_are_the_records(row, method):
    (cell,) = (cells[-1] for name, cells in table("estimator | q")[1].items() if name == row)
    quoted = re.search(r"([\d.]+) %, ([\d.]+) %, ([\d.]+) % (of|at)", cell)
    assert quoted
    rates = record("wrong_sign_rates")["summary"]
    for figure, condition in zip(quoted.groups()[:3], (10, 100, 1000), strict=True):
        assert_prints(figure, 100 * rates[f"{method} κ={condition} n=50 m=5"])


def test_many_outer_variables_are_the_records():
    regime = record("regime")["summary"]
    quoted = re.search(r"wrong in (\d) × 10⁻¹³, (\d+) % and (\d+) % of random", PAGE)
    assert quoted
    for figure, condition, unit in zip(
        quoted.groups(), (10, 100, 1000), (1e13, 100, 100), strict=True
    ):
        for end in ("least", "largest"):
            assert_prints(figure, unit * regime[f"amended, log-uniform, κ = {condition}: {end}"])
    darts = [v for k, v in regime.items() if k.startswith("darts, log-uniform")]
    assert max(darts) < 1e-16
    assert "`Identity` below 10⁻¹⁶ in each" in PAGE
    networks = record("regime_networks")["summary"]
    ranges = re.search(
        r"for (\d+) to (\d+) % of isotropic v, `Identity` for (\d+) to (\d+) %", PAGE
    )
    assert ranges
    for method, ends in (("amended", ranges.groups()[:2]), ("darts", ranges.groups()[2:])):
        shares = [v for k, v in networks.items() if k.endswith(f"{method}: isotropic v")]
        for figure, share in zip(ends, (min(shares), max(shares)), strict=True):
            assert_prints(figure, 100 * share)


EXAMPLE_COLUMNS, EXAMPLE_ROWS = table("| first order | identity η = 1")


@pytest.mark.parametrize("name", EXAMPLE_ROWS)
def test_examples_are_the_records(name):
    words, start = re.fullmatch(r"(.*) \(start ([\d.]+)\)", name).groups()
    problem, quantity = EXAMPLES[words]
    found = record("examples")[problem]
    assert_prints(start, found["start"][quantity])
    for column, figure in zip(EXAMPLE_COLUMNS, EXAMPLE_ROWS[name], strict=True):
        row = found[METHODS[column]]
        if figure == "diverged":
            assert quantity not in row
        else:
            assert_prints(figure, row[quantity])


def test_every_example_has_its_rows():
    words = [re.sub(r" \(start .*", "", name) for name in EXAMPLE_ROWS]
    assert words == list(EXAMPLES)


def test_a_figure_one_unit_off_is_seen():
    assert_prints("4.1e-6", 4.108e-6)
    assert_prints("**2.9**", 2.94)
    for figure, value in (("4.2e-6", 4.108e-6), ("2.9", 2.96), ("0.930", 0.9294), ("37", 36)):
        with pytest.raises(AssertionError, match="is printed for"):
            assert_prints(figure, value)


def test_what_the_page_says_of_a_certificate_and_the_sum_is_so():
    """The figures of its example: g₁, g₂ and the estimate, with one hyperparameter."""
    quoted = re.search(
        r"With g₁ = −([\d.]+) and g₂ = ([\d.]+), an estimate of ([\d.]+) can be certified at 0°, "
        r"and the sum has the wrong sign\. The sum is within 90° of dΦ/dα if `certificate\.error` "
        r"is below the length of `total`",
        PAGE,
    )
    assert quoted
    direct, truth, estimate = (float(figure) for figure in quoted.groups())
    found = certify(
        Vector.of(torch.tensor([estimate], dtype=torch.float64)),
        truth - estimate,
        NormBound(1.0, None, 0),
        mu=1.0,
        asked_degrees=8.1,
        asked_error=math.inf,
    )
    assert found.sign
    assert (estimate - direct) * (truth - direct) < 0
    assert found.error >= abs(estimate - direct)
