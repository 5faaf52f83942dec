"""The ledger as one self-contained HTML page: formulas rendered, figures inline, no network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from proofs_checks.evidence import Evidence, Outcome
from proofs_checks.ledger import Verified
from proofs_checks.paper import of_the_paper, stated
from proofs_checks.plots import formula_svg

STYLE = """
body {font: 16px/1.5 Georgia, serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem}
table {border-collapse: collapse; width: 100%; font-size: .9rem}
td, th {border-bottom: 1px solid #ddd; padding: .35rem .5rem; text-align: left; vertical-align: top}
h2 {margin-top: 2.2rem; border-top: 1px solid #bbb; padding-top: 1rem}
.verdict {font-weight: bold; white-space: nowrap}
.holds, .supported {color: #1a7f37} .fails, .not-supported {color: #cf222e}
.holds-if, .undetermined, .undecided-at-this-scale {color: #9a6700} .not-tested {color: #57606a}
.evidence {margin: .6rem 0; padding: .5rem .8rem; border-left: 4px solid #1a7f37;
    background: #f6f8fa}
.evidence.broken {border-color: #cf222e}
.kind {color: #57606a; font-size: .85rem}
dl {display: grid; grid-template-columns: max-content 1fr; gap: .1rem .8rem; margin: .4rem 0 0;
    font: 13px/1.45 ui-monospace, monospace}
dd {margin: 0; overflow-wrap: anywhere}
svg {max-width: 100%; height: auto}
figure {margin: 1.5rem 0} figcaption {font-size: .9rem; color: #444}
"""


def page(results: Sequence[Verified], figures: Sequence[tuple[str, str]] = ()) -> str:
    """The page as text.

    Args:
        results: the ledger after verification.
        figures: (inline SVG, caption) pairs.
    """
    paper = [result for result in results if of_the_paper(result.claim)]
    own = [result for result in results if not of_the_paper(result.claim)]
    drawn = "".join(
        f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"
        for svg, caption in figures
    )
    sections = "".join(_section(result) for result in results if result.claim.evidence)
    broken = sum(not result.stands for result in results)
    state = "all evidence verified" if not broken else f"{broken} claims not verified"
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        f"<title>Verdict</title><style>{STYLE}</style></head><body><h1>Verdict</h1>"
        f"<p>{len(paper)} claims of the paper, in the order of its text, and {len(own)} of this "
        f"project; {state}.</p>{_table(paper)}{_table(own)}{drawn}{sections}</body></html>"
    )


def write_page(
    path: Path, results: Sequence[Verified], figures: Sequence[tuple[str, str]] = ()
) -> None:
    path.write_text(page(results, figures), encoding="utf-8")


def _verdict(result: Verified) -> str:
    words = result.claim.verdict.value
    return f'<span class="verdict {words.replace(" ", "-")}">{words}</span>'


def _table(results: Sequence[Verified]) -> str:
    rows = "".join(_row(result) for result in results)
    heads = "<tr><th>id<th>place<th>claim<th>verdict<th>verified</tr>"
    return f"<table>{heads}{rows}</table>" if rows else ""


def _row(result: Verified) -> str:
    claim = result.claim
    name, words = escape(claim.id), claim.statement
    if of_the_paper(claim):
        words = stated()[claim.id].text
    if claim.evidence:
        name, last = f'<a href="#{name}">{name}</a>', "✓" if result.stands else "✗"
    else:
        last = escape(claim.because)
    cells = (name, escape(claim.where), escape(words), _verdict(result), last)
    return "<tr>" + "".join(f"<td>{cell}" for cell in cells)


def _section(result: Verified) -> str:
    claim = result.claim
    formula = f"<p>{formula_svg(claim.formula)}</p>" if claim.formula else ""
    evidence = "".join(
        _evidence(e, o) for e, o in zip(claim.evidence, result.outcomes, strict=True)
    )
    return (
        f'<h2 id="{escape(claim.id)}">{escape(claim.id)} · {_verdict(result)}</h2>'
        f"<p><b>{escape(claim.statement)}</b></p>{formula}<p>{escape(claim.because)}</p>"
        f"<p class=kind>{escape(claim.where)} · {escape(claim.assumptions)}</p>{evidence}"
    )


def _evidence(evidence: Evidence, outcome: Outcome) -> str:
    numbers = "".join(
        f"<dt>{escape(name)}<dd>{escape(value)}"
        for name, value in {**outcome.numbers, **outcome.measured}.items()
    )
    reason = f"<p>{escape(outcome.reason)}</p>" if outcome.reason else ""
    return (
        f'<div class="evidence{"" if outcome.passed else " broken"}">'
        f"{'✓' if outcome.passed else '✗'} {escape(evidence.label)} "
        f"<span class=kind>({escape(evidence.kind)})</span>{reason}<dl>{numbers}</dl></div>"
    )
