"""docs/VERDICT.md and docs/LEDGER.md, from the ledger: nothing that differs between machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from proofs_checks.evidence import Evidence, Outcome
from proofs_checks.five_that_matter import five
from proofs_checks.ledger import Claim, Verdict, Verified
from proofs_checks.paper import of_the_paper, stated

PAGE_HEADER = """# The verdict in one page

For a reader who wants to know what is true of "Stabilizing DARTS with Amended Gradient Estimation
on Architectural Parameters" (*the paper*). At the end they know it, and where each sentence is
proved. [The ledger](LEDGER.md) has every claim with its evidence, and [the proofs](PROOFS.md) the
mathematics ([second part](PROOFS_FURTHER.md)). `python -m proofs_checks` verifies all of it again
in about two minutes. That its checks can fail has been tried: [planted errors](PLANTS.md).
"""
LEDGER_HEADER = """# Ledger

Every claim of the paper, in the order of its text, and of this project, with its verdict and the
evidence. [The verdict in one page](VERDICT.md) says how a verdict is reached. This page is written
by `python -m proofs_checks --write-docs`, and a test says when it is stale. Errors planted in
formulas are at its end; [PLANTS.md](PLANTS.md) has those planted in bounds, tables, records, rules
and words.
"""
RULES = """## How a verdict is reached

- *holds*, *holds if* and *fails* rest on proofs, exact examples and counts, which are verified anew
  each time. Where the evidence is numerical, its errors are bounded or its intervals given.
- *supported*, *not supported* and *undecided at this scale* are taken from the record of an
  experiment by a rule that stands in the row: where the claim puts a quantity, and how one value
  for each independent run is read from the record. The 95 % interval of their mean lies all on the
  claimed side, all on the other, or on both; below three runs nothing is decided. The verdict is
  recomputed from the record each time, and one that contradicts the row makes it fail
  (`proofs_checks/experiment.py`).
- *not tested* says what would decide. No figure that the paper printed is taken for granted because
  it was not tested, nor doubted.
- A claim that the text makes twice has one row with both places. Definitions, settings of runs and
  bare citations are not claims; judgements of other papers are listed and not tested.
"""
PAPER_HEADINGS = ("id", "place", "the paper claims", "verdict", "why, or what would decide")
OWN_HEADINGS = ("id", "where", "claim", "verdict", "by what")


def page_text(claims: Sequence[Claim]) -> str:
    """docs/VERDICT.md: what the claims add up to, and how a verdict is reached."""
    return "\n".join([PAGE_HEADER, *first_page(claims), RULES])


def ledger_text(results: Sequence[Verified], appendix: str = "") -> str:
    """docs/LEDGER.md: all claims and their evidence; `appendix` is the table of mutants."""
    paper = [result for result in results if of_the_paper(result.claim)]
    own = [result for result in results if not of_the_paper(result.claim)]
    lines = [
        LEDGER_HEADER,
        "## The paper's claims, in the order of its text",
        "",
        *_table(paper, PAPER_HEADINGS),
        "## Theorems and measurements of this project",
        "",
        *_table(own, OWN_HEADINGS),
        "# Evidence",
        "",
    ]
    for result in results:
        if result.claim.evidence:
            lines.extend(_section(result))
    return "\n".join(lines) + (f"\n{appendix}" if appendix else "")


def said_of(result: Verified) -> tuple[str, str]:
    """The row of one claim, and its section; "" for the section of one without evidence."""
    row = _table([result], OWN_HEADINGS)[2]
    return row, "\n".join(_section(result)) if result.claim.evidence else ""


def tally(claims: Sequence[Claim]) -> Counter[Verdict]:
    return Counter(claim.verdict for claim in claims)


def in_a_sentence(counts: Counter[Verdict]) -> str:
    """How many hold, fail, are supported and are open."""
    holding = counts[Verdict.HOLDS] + counts[Verdict.HOLDS_IF]
    unclear = (Verdict.UNDETERMINED, Verdict.UNDECIDED, Verdict.NOT_TESTED)
    return (
        f"By proof or count {holding} hold, {counts[Verdict.HOLDS_IF]} of them under a condition "
        f"that it does not state, and {counts[Verdict.FAILS]} fail. By experiment "
        f"{_are(counts[Verdict.SUPPORTED])} supported and {_are(counts[Verdict.NOT_SUPPORTED])} "
        "not. "
        f"{sum(counts[verdict] for verdict in unclear)} are open."
    )


def _are(count: int) -> str:
    return f"{count} {'is' if count == 1 else 'are'}"


def first_page(claims: Sequence[Claim]) -> list[str]:
    """What the paper's claims add up to, and the five that matter: lines of the document."""
    paper = [claim for claim in claims if of_the_paper(claim)]
    counts = tally(paper)
    lines = [
        f"**The paper makes {len(paper)} claims.** {in_a_sentence(counts)}",
        "",
        "| verdict | claims | meaning |",
        "|---|---|---|",
        *(f"| **{v.value}** | {counts[v]} | {v.meaning} |" for v in Verdict),
        "",
        "**The five that matter:**",
        "",
    ]
    for number, (summary, claim) in enumerate(five(claims), 1):
        link = f"[{claim.id}](LEDGER.md#{_anchor(claim.id)})" if claim.evidence else claim.id
        lines.append(
            f"{number}. **{summary.heading}: {claim.verdict.value}** ({link}). {summary.sentences}"
        )
    return [*lines, ""]


def _table(results: Sequence[Verified], headings: Sequence[str]) -> list[str]:
    lines = ["| " + " | ".join(headings) + " |", "|---" * len(headings) + "|"]
    for result in results:
        claim = result.claim
        state = "" if result.stands else " **(not verified)**"
        name = f"[{claim.id}](#{_anchor(claim.id)})" if claim.evidence else claim.id
        cells = (
            name,
            claim.where,
            stated()[claim.id].text if of_the_paper(claim) else claim.statement,
            f"**{claim.verdict.value}**{state}",
            claim.because if of_the_paper(claim) else _kinds(result),
        )
        lines.append("| " + " | ".join(map(_cell, cells)) + " |")
    return [*lines, ""]


def _kinds(result: Verified) -> str:
    kinds = [evidence.kind for evidence in result.claim.evidence]
    return ", ".join(f"{kinds.count(kind)}× {kind}" for kind in dict.fromkeys(kinds))


def _section(result: Verified) -> list[str]:
    claim = result.claim
    lines = [
        f"## {claim.id}",
        "",
        f"{claim.statement}",
        "",
        f"- **Verdict**: {claim.verdict.value}. {claim.because}",
        f"- **Assumptions**: {claim.assumptions}",
    ]
    for evidence, outcome in zip(claim.evidence, result.outcomes, strict=True):
        lines.append(f"- {_line(evidence, outcome)}")
    return [*lines, ""]


def _line(evidence: Evidence, outcome: Outcome) -> str:
    state = "" if outcome.passed else f" **Not verified**: {outcome.reason}."
    numbers = "; ".join(f"{k} = {v}" for k, v in outcome.numbers.items())
    return f"*{evidence.kind}*: {evidence.label}.{state}" + (f" `{numbers}`" if numbers else "")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _anchor(claim_id: str) -> str:
    """As GitHub makes it of the heading."""
    kept = (c for c in claim_id.lower() if c.isalnum() or c in " -_")
    return "".join(kept).replace(" ", "-")
