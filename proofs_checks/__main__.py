"""python -m proofs_checks: verify every claim, print a table; exit status 1 if any fails to."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress

from proofs_checks.catalogue import all_claims
from proofs_checks.documents import ledger_text, page_text, renewed
from proofs_checks.figures import recorded_figures, write_figures
from proofs_checks.judged_by_pages import ROWS
from proofs_checks.ledger import Claim, Verified, find
from proofs_checks.mutants import hunt_all, mutant_table, verify_and_trace
from proofs_checks.page import write_page
from proofs_checks.places import DOCS, FIGURES
from proofs_checks.running import verify_all
from proofs_checks.table import explanation, print_failures, summary_tables


def main(
    arguments: Sequence[str] | None = None,
    *,
    ledger: Callable[[], tuple[Claim, ...]] = all_claims,
) -> int:
    """Run the command on the claims of `ledger`; the return value is the exit status."""
    options = _parser().parse_args(arguments)
    console = Console()
    if options.figures:
        for path in write_figures(DOCS / "figures"):
            console.print(f"wrote {path}")
        return 0
    claims = ledger()
    if options.write_docs == "all":
        results, users = verify_and_trace()
        return _write(ledger_text(results, mutant_table(hunt_all(users))), results, console)
    if options.write_docs == "judged":
        results = verify_all([find(claims, judged) for judged, *_ in ROWS])
        written = (DOCS / "LEDGER.md").read_text(encoding="utf-8")
        try:
            return _write(renewed(written, results, claims), results, console)
        except ValueError as error:
            console.print(f"[red]{error}: python -m proofs_checks --write-docs[/]")
            return 2
    if options.claim:
        try:
            claims = tuple(find(claims, wanted) for wanted in options.claim)
        except ValueError as error:
            console.print(f"[red]{error}[/]")
            return 2
    jobs = min(options.jobs, len(claims))
    jobs = min(jobs, 1) if ledger is not all_claims else jobs  # workers rebuild the catalogue
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("verifying", total=len(claims))
        results = verify_all(claims, jobs=jobs, each=lambda _: progress.advance(task))
    if options.claim:
        for result in results:
            console.print(explanation(result))
    else:
        console.print(summary_tables(results))
    if options.html:
        write_page(options.html, results, recorded_figures(FIGURES))
        console.print(f"wrote {options.html}")
    return _close(results, console)


def _write(ledger: str, results: Sequence[Verified], console: Console) -> int:
    for name, text in {"VERDICT.md": page_text(all_claims()), "LEDGER.md": ledger}.items():
        (DOCS / name).write_text(text, encoding="utf-8")
        console.print(f"wrote {DOCS / name}")
    return _close(results, console)


def _close(results: Sequence[Verified], console: Console) -> int:
    print_failures(results, console)
    tested = [result for result in results if result.claim.evidence]
    standing = sum(result.stands for result in tested)
    lacking = sum(result.lacks for result in tested)
    untested = len(results) - len(tested)
    rest = f"; {untested} not tested" if untested else ""
    rest += f"; {lacking} not looked at for want of what is said above" if lacking else ""
    console.print(f"{standing} of {len(tested)} claims verified{rest}")
    return 0 if standing + lacking == len(tested) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m proofs_checks", description=__doc__)
    parser.add_argument("--claim", action="append", metavar="ID", help="explain one claim")
    parser.add_argument(
        "--html", nargs="?", type=Path, const=Path("verdict.html"), metavar="FILE", help="a page"
    )
    parser.add_argument(
        "--write-docs",
        nargs="?",
        const="all",
        choices=("all", "judged"),
        help="regenerate docs/VERDICT.md and docs/LEDGER.md, planted errors too (minutes); judged: "
        "of the ledger only the rows that pages of docs/experiments judge (seconds)",
    )
    parser.add_argument(
        "--figures", action="store_true", help="compute and draw docs/figures from their seeds"
    )
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), metavar="N")
    return parser


if __name__ == "__main__":
    torch.set_num_threads(1)  # small tensors: more threads only wait for each other
    # a notice of torch about itself, in this process and in those that verify beside it
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"torch\.jit\._script")
    os.environ.setdefault("PYTHONWARNINGS", "ignore::FutureWarning:torch.jit._script")
    sys.exit(main())
