"""docs/WRONG_SIGNS.md: every figure of its tables is the record's, to the digits printed."""

import json
import re

from proofs_checks.places import DOCS
from tests import documents

PAGE = (DOCS / "WRONG_SIGNS.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"\d+(?:\.\d+)?")


def record(name: str):
    return json.loads((DOCS / "records" / f"{name}.json").read_text(encoding="utf-8"))


def rows_below(header: str) -> list[list[str]]:
    return documents.rows_below("docs/WRONG_SIGNS.md", header)


def test_random_problems_are_those_of_the_record():
    found = record("wrong_sign_rates")["rows"]
    names = ("amended", "darts", "neumann-1")
    shown = rows_below("| H | amended | DARTS | Neumann-1 |")
    assert len(shown) == 7
    for where, *cells in shown:
        n, condition = map(int, re.findall(r"= (\d+)", where))
        signs = "random" if "random signs" in where else "definite"
        for name, cell in zip(names, cells, strict=True):
            (row,) = (
                row
                for row in found
                if (row["estimator"], row["n"], row["m"]) == (name, n, 5)
                and row["condition"] == condition
                and row["shape"] == "log-uniform"
                and row["signs"] == signs
            )
            values = (row["wrong"] / row["draws"], row["low"], row["high"])
            figures = NUMBER.findall(cell)
            assert len(figures) == 3
            for figure, value in zip(figures, values, strict=True):
                assert documents.prints(figure, 100 * value), (where, name, cell, values)


def test_many_hyperparameters_are_those_of_the_record():
    summary = record("regime")["summary"]
    shown = rows_below("| spectrum of H, m = 224 | amended wrong |")
    assert len(shown) == 7
    for where, cell in shown:
        key = where.replace(", n = 1000", "")
        power = re.search(r"10⁻(\S+)", cell)
        digits = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
        unit = 10.0 ** -int(power[1].translate(digits)) if power else 0.01
        figures = NUMBER.findall(cell.partition("×")[0])
        for figure, end in zip(figures, ("least", "largest"), strict=True):
            value = summary[f"amended, {key}: {end}"] / unit
            assert documents.prints(figure, value), (where, cell, value)
    assert max(v for k, v in summary.items() if k.startswith("darts")) < 1e-16


def test_isotropic_v_at_minima_is_that_of_the_record():
    summary = record("regime_networks")["summary"]
    fields = (
        *("amended: isotropic v", "darts: isotropic v"),
        *("v in the top 10", "B in the top 10", "amended: Gaussian B"),
    )
    shown = rows_below("| minimum | n, m | amended wrong |")
    assert len(shown) == 5
    for where, sizes, *cells in shown:
        decay = re.search(r"decay ([\d.]+)", where)[1]
        network = "supernet of R4" if "supernet" in where else "MLP of R1"
        key = f"{network}, seed 0, λ={decay}"
        assert sizes == f"{summary[f'{key}: n']:.0f}, {summary[f'{key}: m']:.0f}"
        for field, figure in zip(fields, cells, strict=True):
            assert documents.prints(figure, 100 * summary[f"{key}: {field}"]), (where, field)


def test_what_a_certificate_costs_is_that_of_the_record():
    found = record("certified")["table"]
    shown = rows_below("| asked for | κ = 2 |")
    for (_, *cells), asked in zip(shown, ("sign", "angle", "bounded"), strict=True):
        rows = [row for row in found if row["asked"] == asked]
        assert all(row["certified"] == row["problems"] for row in rows)
        assert not any(row["wrong_signs"] or row["bounds_exceeded"] for row in rows)
        for figure, row in zip(cells, rows, strict=True):
            assert documents.prints(figure, row["products_mean"]), (asked, row)
    indefinite = sum(row["indefinite"] for row in found if row["asked"] == "sign")
    assert f"{indefinite:,} of them indefinite" in PAGE


def readings(claim: str) -> dict[str, float]:
    """What the ledger reads from the record of one claim; tests hold it to the record."""
    ledger = (DOCS / "LEDGER.md").read_text(encoding="utf-8")
    section = ledger.partition(f"\n## {claim}\n")[2].partition("\n## ")[0]
    pairs = (entry.split(" = ") for entry in section.split("`")[-2].split("; "))
    return {key: float(value) for key, value in pairs if NUMBER.fullmatch(value)}


def test_minima_and_searches_are_those_of_the_records():
    mlp = readings("R1")
    for decay, darts, amended in rows_below("| weight decay | mean angle"):
        assert documents.prints(darts.rstrip("°"), mlp[f"λ={decay} DARTS: angle of g₂"])
        assert documents.prints(amended.rstrip("°"), mlp[f"λ={decay} amended: angle of g₂"])
    supernet = readings("R4")
    term, total, errors = rows_below("| of 63 | amended | DARTS | first order |")
    wrong = [supernet[f"{name}: wrong"] for name in ("amended", "identity")]
    assert [int(NUMBER.findall(cell)[0]) for cell in term[1:3]] == wrong
    wrong = [supernet[f"{name}: total wrong"] for name in ("amended", "identity", "first order")]
    assert [int(cell) for cell in total[1:]] == wrong
    for cell, name in zip(errors[1:3], ("amended", "DARTS"), strict=True):
        found = [v for k, v in supernet.items() if k.endswith(f"{name}: error of g₂ at the best η")]
        for figure, value in zip(cell.split("–"), (min(found), max(found)), strict=True):
            assert documents.prints(figure, value)
    search = record("on_search")["summary"]
    for (_, amended, darts, angles), against in zip(
        rows_below("| beside | amended wrong |"), ("Eq. 5", "damped"), strict=True
    ):
        counts = (f"{name} wrong against {against}" for name in ("amended", "identity"))
        wrong = [search[name] for name in counts]
        assert [int(cell.split()[0]) for cell in (amended, darts)] == wrong
        assert darts.endswith(f"of {search['points']:.0f}")
        for figure, name in zip(NUMBER.findall(angles), ("amended", "identity"), strict=True):
            assert documents.prints(figure, search[f"{name} mean angle against {against}"])
