"""The experiments' command: run what is missing, fold journals into records, write pages."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from benchmarks.experiments.beside import write_comparison_of
from benchmarks.experiments.catalogue import EXPERIMENTS
from benchmarks.experiments.journal import fold, journal_lines
from benchmarks.experiments.packing import pack
from benchmarks.experiments.page import write_pages
from benchmarks.experiments.queue import Place, images_of, machine_of_runs, missing, work_through
from benchmarks.experiments.random_search import table_path
from benchmarks.experiments.record import read_all, read_records, write_record
from benchmarks.experiments.reproduce import compare_with_records, recorded_here
from darts.training.accuracy_table import AccuracyTable

WORK = Path("runs/experiments")
PART = "table_cifar10_percent"


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        return _act(options)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1


def _act(options: argparse.Namespace) -> int:
    experiment = EXPERIMENTS[options.name]
    setting = experiment.runs[0].setting
    if options.page:
        write_pages(read_records(), read_all())
    elif options.take:
        _take(options.take, options.table)
        write_pages(read_records(), read_all())
        print("Next: python -m proofs_checks --write-docs judged")
    elif options.pack:
        pack(setting, images_of(setting, options.data_root, None), options.pack)
        print(f"{options.pack}: {options.pack.stat().st_size / 1e6:.1f} MB")
    else:
        folder = options.records or WORK
        again = options.again or options.reproduce
        runs = missing(experiment, [] if again else read_records(), options.only)
        if options.reproduce:
            recorded = recorded_here(experiment, read_all(), machine_of_runs(options.device))
            runs = [run for run in runs if run in recorded]
        place = Place(
            work=options.work,
            journal=folder / f"{experiment.name}.jsonl",
            data_root=options.data_root,
            packed=options.packed,
            device=options.device,
            deadline=None if options.budget is None else time.time() + options.budget,
            epochs=options.epochs,
            capture=options.capture,
        )
        print(f"{len(runs)} of {len(experiment.runs)} runs to do → {place.journal}", flush=True)
        work_through(runs, place, options.workers)
        page = write_comparison_of(experiment, options.work)
        if page is not None:
            print(f"The runs beside one another: {page}")
        compared = _compared(place.journal)
        if options.reproduce:
            return 0 if compared and all(compared) else 1
        print(f"Next: python -m benchmarks.experiments {experiment.name} --take {place.journal}")
    return 0


def _compared(journal: Path) -> list[bool]:
    """Print how the runs of a journal stand beside their records; which of them agree."""
    found = compare_with_records(journal_lines([journal]) if journal.is_file() else [], read_all())
    for each in found:
        print(each.text)
    return [each.agrees for each in found if each.agrees is not None]


def _take(journals: list[Path], table: str) -> None:
    """Fold journals into records; longer records that are there already stay."""
    rows = AccuracyTable.read(table).rows
    accuracy = {digits: row[PART] for digits, row in rows.items()}
    for record in fold(journal_lines(journals), accuracy):
        written = write_record(record)
        print(f"{record.method}, seed {record.seed}: {record.epochs} epochs → {written or 'kept'}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.experiments", description=__doc__, allow_abbrev=False
    )
    add = parser.add_argument
    add("name", choices=sorted(EXPERIMENTS), help="the experiment")
    add("--workers", type=int, default=1, help="processes of one thread each")
    add("--budget", type=float, help="seconds after which runs stop; they go on another time")
    add("--epochs", type=int, help="epochs after which searches stop; they go on another time")
    add("--device", default="cpu", help="cpu, cuda, cuda:1, ...")
    add("--capture", action="store_true", help="replay steps on a GPU as one graph")
    add("--data-root", default="data", help="folder that holds cifar-10-batches-py")
    add("--packed", type=Path, help="images that --pack wrote, in place of --data-root")
    add("--records", type=Path, help="folder of the journal, by default that of the runs")
    add("--work", type=Path, default=WORK, help="folder of run folders and checkpoints")
    add("--only", help="methods or runs (METHOD-seed-N) to do, with commas between")
    add("--again", action="store_true", help="also do runs whose records are complete")
    add(
        "--reproduce",
        action="store_true",
        help="do runs with a record of this machine again; "
        "exit status 1 unless all that is compared agrees",
    )
    add("--pack", type=Path, metavar="FILE", help="write the images of the setting and stop")
    add("--take", type=Path, nargs="+", metavar="JOURNAL", help="fold journals into docs/records")
    add("--page", action="store_true", help="write all pages again from the records")
    add("--table", default=str(table_path()), help="NAS-Bench-201's accuracy table, for --take")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
