"""Pages of the experiments, written from their definitions and the records in seconds."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path

from benchmarks.experiments.catalogue import EXPERIMENTS
from benchmarks.experiments.definition import NOT_RUN, VERDICTS, Experiment
from benchmarks.experiments.record import RunRecord
from benchmarks.experiments.stability import stability, with_sentences
from benchmarks.tables import table
from proofs_checks.paragraphs import wrapped

DOCS = Path("docs/experiments")
FRONT = Path("README.md")
TITLE = "# Do the paper's searches behave as it says?"


def write_pages(
    records: Sequence[RunRecord],
    everything: Sequence[RunRecord],
    docs: Path = DOCS,
    front: Path = FRONT,
) -> None:
    """The overview's table, a page an experiment, its figure where there are runs, and README.

    Args:
        records: one of each run.
        everything: those of all machines.
        docs: folder of the pages.
        front: the file whose two sentences on stability follow from the records.
    """
    for experiment in EXPERIMENTS.values():
        mine = experiment.mine(records)
        docs.mkdir(parents=True, exist_ok=True)
        (docs / f"{experiment.name}.md").write_text(
            page(experiment, mine, everything), encoding="utf-8"
        )
        if mine:
            experiment.report.draw(mine, docs / f"{experiment.name}.svg", digest_of(mine))
    readme = docs / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.is_file() else f"{TITLE}\n\n{MARK}\n"
    readme.write_text(with_table(text, overview(records)), encoding="utf-8")
    front.write_text(
        with_sentences(front.read_text(encoding="utf-8"), stability(records)), encoding="utf-8"
    )


MARK = "<!-- the table below is written by python -m benchmarks.experiments NAME --page -->"
END = "<!-- end of the table -->"


def with_table(text: str, table: str) -> str:
    """The overview with its table replaced; words before and after it stay."""
    before, _, rest = text.partition(MARK)
    after = rest.partition(END)[2]
    return f"{before}{MARK}\n\n{table}\n\n{END}{after or chr(10)}"


def overview(records: Sequence[RunRecord]) -> str:
    """How many claims have which verdict, a row for each that has runs, and the others' pages."""
    counts = dict.fromkeys(VERDICTS, 0)
    rows = []
    waiting = []
    for experiment in EXPERIMENTS.values():
        mine = experiment.mine(records)
        link = f"[{experiment.name}]({experiment.name}.md)"
        judged = [(claim, *claim.judge(mine)) for claim in experiment.claims]
        for claim, verdict, numbers in judged:
            counts[verdict] += 1
            if verdict != NOT_RUN:
                rows.append((claim.text, claim.where, f"**{verdict}**", numbers, link))
        verdicts = [verdict for _, verdict, _ in judged]
        if NOT_RUN in verdicts:
            waiting.append(f"{verdicts.count(NOT_RUN)} of {link}")
    found = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    head = ("Claim", "In the paper", "Verdict", "Found", "Page")
    parts = [f"Of {sum(counts.values())} claims: {found}.", table(head, rows)]
    if waiting:
        parts.append(f"Claims not run yet: {', '.join(waiting)}.")
    return wrapped("\n\n".join(parts))


def digest_of(records: Sequence[RunRecord]) -> str:
    """A short digest of what a page and its figure were made from."""
    text = json.dumps([record.content for record in records], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def page(
    experiment: Experiment, records: Sequence[RunRecord], everything: Sequence[RunRecord]
) -> str:
    """The whole page as Markdown."""
    also = [record for record in experiment.others(everything) if record not in records]
    settings = dict.fromkeys(run.setting for run in experiment.runs)
    methods = list(dict.fromkeys(run.method for run in experiment.runs))
    seeds = ", ".join(str(seed) for seed in sorted({run.seed for run in experiment.runs}))
    done = sum(record.complete for record in records)
    begun = len(records) - done
    parts = [
        f"# {experiment.title}",
        experiment.question,
        "For readers of the paper who ask the same: the answer as far as the runs have come, the "
        "runs, and the rules. They were fixed before the runs; what was changed later is told. "
        "[Symbols and words](../GLOSSARY.md) are explained on a page of their own.",
        "## Answer",
        f"Complete: {done} of {len(experiment.runs)} runs. Begun: {begun} "
        f"{'other' if begun == 1 else 'others'}.",
    ]
    if experiment.reading:
        parts += [experiment.reading]
    parts += [_answers(experiment, records)]
    if records:
        parts += [
            "## Runs",
            f"![The runs]({experiment.name}.svg)",
            experiment.report.table(records),
        ]
    if also and (beside := experiment.report.table(also)):
        parts += [
            "The same runs on other machines, shorter, and in none of the answers above:",
            beside,
        ]
    parts += [
        "## What was fixed before the runs",
        "**Setting.** " + " ".join(setting.words for setting in settings),
        f"**Runs.** {len(experiment.runs)}, with seeds {seeds}: {', '.join(methods)}. Runs of one "
        "seed share the images, the split, the initial ω and α, the batches and their "
        "augmentation. Differences between them are therefore taken seed by seed.",
        f"**Measure.** {experiment.measure}",
        f"**Rules.** {experiment.rules} Each claim has a rule of its own in the table above.",
        "## What differs from the paper, and what to keep in mind",
        "\n".join(f"- {d}" for d in experiment.deviations),
        "## Run it again",
        f"`python -m benchmarks.experiments {experiment.name} --data-root DIR` goes on with the "
        "runs that are missing. [All experiments](README.md) has its options.",
    ]
    if experiment.cost:
        parts += [f"**Estimated before the runs.** {experiment.cost}"]
    if records:
        parts += [_cost(records)]
    return wrapped("\n\n".join(parts)) + "\n"


def _answers(experiment: Experiment, records: Sequence[RunRecord]) -> str:
    rows = []
    above = ""
    for claim in experiment.claims:
        verdict, numbers = claim.judge(records)
        rule = "The same rule." if claim.rule == above else claim.rule
        rows.append((claim.text, claim.where, f"**{verdict}**", numbers, rule))
        above = claim.rule
    return table(("Claim", "In the paper", "Verdict", "Found", "Rule"), rows)


def _cost(records: Sequence[RunRecord]) -> str:
    hours = math.fsum(record.content["wall_seconds"] for record in records) / 3600
    places = sorted({f"{r.machine} (torch {_torch(r)})" for r in records})
    return (
        f"The records `{digest_of(records)}` took {hours:.1f} hours of wall time, added over runs "
        f"of one thread each, on {', '.join(places)}. The machines had other work, so these times "
        "are no benchmark."
    )


def _torch(record: RunRecord) -> str:
    return str(record.content["environment"]["packages"]["torch"])
