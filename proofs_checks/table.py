"""The ledger on a terminal: a coloured table of all claims, or one claim with its numbers."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from proofs_checks.evidence import Evidence, Outcome
from proofs_checks.ledger import Verdict, Verified
from proofs_checks.paper import of_the_paper, stated

COLOURS = {
    Verdict.HOLDS: "green",
    Verdict.HOLDS_IF: "yellow",
    Verdict.FAILS: "red",
    Verdict.UNDETERMINED: "yellow",
    Verdict.SUPPORTED: "green",
    Verdict.NOT_SUPPORTED: "red",
    Verdict.UNDECIDED: "yellow",
    Verdict.NOT_TESTED: "dim",
}


def summary_tables(results: Sequence[Verified]) -> Group:
    """The paper's claims in the order of its text with their places, then the project's own."""
    paper = [result for result in results if of_the_paper(result.claim)]
    own = [result for result in results if not of_the_paper(result.claim)]
    titled = (
        ("The paper's claims, in the order of its text", paper),
        ("Theorems and measurements of this project", own),
    )
    return Group(*(_table(title, listed) for title, listed in titled if listed))


def _table(title: str, results: Sequence[Verified]) -> Table:
    table = Table(
        title=title,
        box=box.SIMPLE_HEAVY,
        show_lines=True,
        expand=True,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("id", no_wrap=True)
    table.add_column("place", max_width=12, overflow="fold")
    table.add_column("claim", ratio=1)  # the words have all the room that is left
    table.add_column("verdict", max_width=12)
    table.add_column("checks", no_wrap=True)
    table.add_column("s", justify="right", no_wrap=True)
    for result in results:
        claim, passed = result.claim, sum(outcome.passed for outcome in result.outcomes)
        table.add_row(
            Text(claim.id, style="bold"),
            claim.where,
            stated()[claim.id].text if of_the_paper(claim) else claim.statement,
            Text(claim.verdict.value, style=f"bold {COLOURS[claim.verdict]}"),
            _mark(result.stands, f"{passed}/{len(result.outcomes)}") if claim.evidence else "",
            f"{result.seconds:.1f}" if claim.evidence else "",
        )
    return table


def explanation(result: Verified) -> Group:
    """One claim: statement, verdict, reason, and every piece of evidence with what it found."""
    claim = result.claim
    head = Text.assemble(
        (f"{claim.statement}\n", "bold"),
        f"where       {claim.where}\nassumptions {claim.assumptions}\nverdict     ",
        (claim.verdict.value, f"bold {COLOURS[claim.verdict]}"),
        f"\nbecause     {claim.because}",
    )
    parts = [Panel(head, title=claim.id)]
    for evidence, outcome in zip(claim.evidence, result.outcomes, strict=True):
        parts.append(Panel(_evidence_text(evidence, outcome), title=evidence.kind))
    return Group(*parts)


def _evidence_text(evidence: Evidence, outcome: Outcome) -> Text:
    text = Text.assemble((evidence.label, "bold"), "  ", _mark(outcome.passed, ""))
    for name, value in {**outcome.numbers, **outcome.measured}.items():
        text.append(f"\n  {name} = {value}")
    if outcome.reason:
        text.append(f"\n  {outcome.reason}", style="red")
    text.append(f"\n  {outcome.seconds:.2f} s", style="dim")
    return text


def _mark(passed: bool, words: str) -> Text:
    return Text(f"✓ {words}", style="green") if passed else Text(f"✗ {words}", style="bold red")


def print_failures(results: Sequence[Verified], console: Console) -> None:
    for result in results:
        for evidence, outcome in zip(result.claim.evidence, result.outcomes, strict=True):
            if not outcome.passed:
                console.print(
                    f"[bold red]{result.claim.id}[/]: {evidence.label}\n    {outcome.reason}",
                    highlight=False,
                )
