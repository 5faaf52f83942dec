"""docs/VERDICT.md and docs/LEDGER.md, from the ledger: nothing that differs between machines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from proofs_checks.evidence import Evidence, Outcome
from proofs_checks.five_that_matter import five
from proofs_checks.ledger import Claim, Verdict, Verified
from proofs_checks.paper import of_the_paper, stated
from proofs_checks.paragraphs import wrapped

PAGE_HEADER = """# The verdict in one page

For a reader who wants to know which claims of "Stabilizing DARTS with Amended Gradient Estimation
on Architectural Parameters" (*the paper*) are true. The table counts them, and below it are the
five that matter most.

[The ledger](LEDGER.md) has every claim with its evidence. The mathematics is in the
[proofs](PROOFS.md) ([on average](PROOFS_ON_AVERAGE.md), [further](PROOFS_FURTHER.md)), and the
measurements are in [How often is the sign wrong?](WRONG_SIGNS.md) `python -m proofs_checks`
verifies all of it again in about two minutes. [Planted errors](PLANTS.md) show that its checks can
fail.
"""
LEDGER_HEADER = """# Ledger

For a reader who has a claim in mind and wants its verdict and its evidence. The first table has the
paper's claims in the order of its text, the second has this project's own. An id leads to the
evidence.

[The verdict in one page](VERDICT.md) counts the claims, and says how a verdict is reached.
`python -m proofs_checks --claim E7` verifies one claim again. At the end are the errors that were
planted in formulas; [Planted errors](PLANTS.md) has those in bounds, tables, records, rules and
words. `python -m proofs_checks --write-docs` writes this page, and a test fails when it is stale.
"""
RULES = """## How a verdict is reached

- **holds**, **holds if** and **fails** rest on proofs, exact examples and counts. They are verified
  anew each time. Where the evidence is numerical, its errors are bounded or its intervals given.
- **supported**, **not supported** and **undecided at this scale** rest on the record of an
  experiment and on a rule. A row's own rule says which values the claim predicts, and which one
  value each independent run gives. If the 95 % interval of their mean lies within the predicted
  values, the claim is supported. If it lies outside, the claim is not supported. If it reaches over
  both, the claim is undecided. Where a row names a page of docs/experiments, that page has the
  rule, which may count runs instead. With fewer than three runs a claim is undecided, but where
  its rule says “any run” one that does is enough. The verdict is computed from the record each
  time. If it contradicts the row, the claim is not verified (`proofs_checks/experiment.py`).
- **not tested** says what would decide. The figures that the paper printed are then neither taken
  for granted nor doubted. [Searches on digits](experiments/all-edges-digits.md) looked at some of
  these claims; they decide no row.
- A claim that the text makes twice has one row with both places. Definitions, settings of runs and
  bare citations are no claims. Opinions on other papers are listed, and not tested.
"""
PAPER_HEADINGS = ("id", "place", "the paper claims", "verdict", "why, or what would decide")
OWN_HEADINGS = ("id", "where", "claim", "verdict", "evidence")


def page_text(claims: Sequence[Claim]) -> str:
    """docs/VERDICT.md: what the claims add up to, and how a verdict is reached."""
    return wrapped("\n".join([PAGE_HEADER, *first_page(claims), RULES]))


def ledger_text(results: Sequence[Verified], appendix: str = "") -> str:
    """docs/LEDGER.md: all claims and their evidence; `appendix` is the table of mutants."""
    return _ledger([(result.claim, said_of(result)) for result in results], appendix)


def renewed(text: str, results: Sequence[Verified], claims: Sequence[Claim]) -> str:
    """docs/LEDGER.md's `text` with what `results` say, and of all other claims what it says now.

    Raises:
        ValueError: a claim without a result is not in the text; it has to be written anew.
    """
    tables, _, rest = text.partition("# Evidence\n\n")
    rows = {
        row[1]: row[0] for row in re.finditer(r"^\| \[?(.*?)(?:\]\(.*?\))? \| .*$", tables, re.M)
    }
    *parts, appendix = re.split(r"^(?=## )", rest, flags=re.M)[1:]
    sections = {part.splitlines()[0].removeprefix("## "): f"{part.rstrip()}\n" for part in parts}
    new = {result.claim.id: said_of(result) for result in results}
    lost = [claim.id for claim in claims if claim.id not in rows.keys() | new.keys()]
    if lost:
        raise ValueError(f"docs/LEDGER.md has no row of {', '.join(lost)}; write all of it anew")
    return _ledger(
        [(c, new.get(c.id) or (rows[c.id], sections.get(c.id, ""))) for c in claims], appendix
    )


def _ledger(said: Sequence[tuple[Claim, tuple[str, str]]], appendix: str) -> str:
    paper = [row for claim, (row, _) in said if of_the_paper(claim)]
    own = [row for claim, (row, _) in said if not of_the_paper(claim)]
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
        *(section for _, (_, section) in said if section),
    ]
    return "\n".join(lines) + (f"\n{appendix}" if appendix else "")


def said_of(result: Verified) -> tuple[str, str]:
    """The row of one claim, and its section; "" for the section of one without evidence."""
    return _row(result), wrapped("\n".join(_section(result))) if result.claim.evidence else ""


def tally(claims: Sequence[Claim]) -> Counter[Verdict]:
    return Counter(claim.verdict for claim in claims)


def in_a_sentence(counts: Counter[Verdict]) -> str:
    """How many hold, fail, are supported and are open."""
    holding = counts[Verdict.HOLDS] + counts[Verdict.HOLDS_IF]
    unclear = (Verdict.UNDETERMINED, Verdict.UNDECIDED, Verdict.NOT_TESTED)
    return (
        f"By proof or count, {holding} hold, {counts[Verdict.HOLDS_IF]} of them under a condition "
        f"that the paper does not state, and {counts[Verdict.FAILS]} fail. By experiment, "
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


def _table(rows: Sequence[str], headings: Sequence[str]) -> list[str]:
    return ["| " + " | ".join(headings) + " |", "|---" * len(headings) + "|", *rows, ""]


def _row(result: Verified) -> str:
    claim = result.claim
    state = "" if result.stands else " **(not verified)**"
    cells = (
        f"[{claim.id}](#{_anchor(claim.id)})" if claim.evidence else claim.id,
        claim.where,
        stated()[claim.id].text if of_the_paper(claim) else claim.statement,
        f"**{claim.verdict.value}**{state}",
        claim.because if of_the_paper(claim) else _kinds(result),
    )
    return "| " + " | ".join(map(_cell, cells)) + " |"


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
