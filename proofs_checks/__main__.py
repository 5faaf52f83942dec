"""python -m proofs_checks: verify every claim, print a table; exit status 1 if any fails to."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from proofs_checks.catalogue import all_claims
from proofs_checks.documents import DOCS, verdict_text
from proofs_checks.ledger import find
from proofs_checks.page import write_page
from proofs_checks.running import verify_all
from proofs_checks.table import explanation, print_failures, summary_table


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the return value is the exit status."""
    options = _parser().parse_args(arguments)
    console = Console()
    claims = all_claims()
    if options.claim:
        try:
            claims = tuple(find(claims, wanted) for wanted in options.claim)
        except ValueError as error:
            console.print(f"[red]{error}[/]")
            return 2
    jobs = min(options.jobs, len(claims))
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("verifying", total=len(claims))
        results = verify_all(claims, jobs=jobs, each=lambda _: progress.advance(task))
    if options.claim:
        for result in results:
            console.print(explanation(result))
    else:
        console.print(summary_table(results))
    print_failures(results, console)
    if options.html:
        write_page(options.html, results)
        console.print(f"wrote {options.html}")
    if options.write_docs:
        (DOCS / "VERDICT.md").write_text(verdict_text(results), encoding="utf-8")
        console.print(f"wrote {DOCS / 'VERDICT.md'}")
    standing = sum(result.stands for result in results)
    console.print(f"{standing} of {len(results)} claims verified")
    return 0 if standing == len(results) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m proofs_checks", description=__doc__)
    parser.add_argument("--claim", action="append", metavar="ID", help="explain one claim")
    parser.add_argument(
        "--html", nargs="?", type=Path, const=Path("verdict.html"), metavar="FILE", help="a page"
    )
    parser.add_argument("--write-docs", action="store_true", help="regenerate docs/VERDICT.md")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), metavar="N")
    return parser


if __name__ == "__main__":
    sys.exit(main())
