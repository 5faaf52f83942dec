"""The ledger as one self-contained HTML page: a filter, formulas rendered, no network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from darts.reports.page import render
from proofs_checks.documents import tally
from proofs_checks.five_that_matter import FIVE, five
from proofs_checks.ledger import Verdict, Verified
from proofs_checks.paper import of_the_paper, stated
from proofs_checks.plots import formula_svg


def page(results: Sequence[Verified], figures: Sequence[tuple[str, str]] = ()) -> str:
    """The page as text.

    Args:
        results: the ledger after verification.
        figures: (inline SVG, caption) pairs.
    """
    claims = [result.claim for result in results]
    broken = sum(not result.stands for result in results)
    counts = tally(claims)
    whole = {summary.claim for summary in FIVE} <= {claim.id for claim in claims}
    return render(
        "verdict.html",
        package="proofs_checks",
        title="Verdict",
        paper=[_shown(result) for result in results if of_the_paper(result.claim)],
        own=[_shown(result) for result in results if not of_the_paper(result.claim)],
        state=f"{broken} claims not verified" if broken else "all evidence verified",
        five=[(summary, claim.verdict.value) for summary, claim in five(claims)] if whole else [],
        words=[(v.value, counts[v], v.meaning) for v in Verdict if counts[v]],
        figures=[(Markup(svg), caption) for svg, caption in figures],
    ).decode()


def write_page(
    path: Path, results: Sequence[Verified], figures: Sequence[tuple[str, str]] = ()
) -> None:
    path.write_text(page(results, figures), encoding="utf-8")


def _shown(result: Verified) -> dict[str, Any]:
    claim = result.claim
    evidence = [
        (
            piece,
            {
                "passed": outcome.passed,
                "reason": outcome.reason,
                "said": {**outcome.numbers, **outcome.measured},
            },
        )
        for piece, outcome in zip(claim.evidence, result.outcomes, strict=True)
    ]
    return {
        "claim": claim,
        "word": claim.verdict.value,
        "text": stated()[claim.id].text if of_the_paper(claim) else claim.statement,
        "formula": Markup(formula_svg(claim.formula)) if claim.formula else "",
        "stands": result.stands,
        "evidence": evidence,
    }
