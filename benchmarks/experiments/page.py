"""Pages of the experiments, written from their definitions and the records in seconds."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path

from benchmarks.experiments.catalogue import EXPERIMENTS
from benchmarks.experiments.definition import Experiment
from benchmarks.experiments.record import RunRecord

DOCS = Path("docs/experiments")
TITLE = "# Is it true? The paper's empirical claims at the scale of a few cores"


def write_pages(
    records: Sequence[RunRecord], everything: Sequence[RunRecord], docs: Path = DOCS
) -> None:
    """The overview's table, a page an experiment, and its figure where there are runs.

    Args:
        records: one of each run.
        everything: those of all machines.
        docs: folder of the pages.
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


MARK = "<!-- the table below is written by python -m benchmarks.experiments NAME --page -->"
END = "<!-- end of the table -->"


def with_table(text: str, table: str) -> str:
    """The overview with its table replaced; words before and after it stay."""
    before, _, rest = text.partition(MARK)
    after = rest.partition(END)[2]
    return f"{before}{MARK}\n\n{table}\n\n{END}{after or chr(10)}"


def overview(records: Sequence[RunRecord]) -> str:
    """The table claim → verdict → page."""
    rows = ["| Claim | Where | Verdict | Page |", "|---|---|---|---|"]
    for experiment in EXPERIMENTS.values():
        mine = experiment.mine(records)
        for claim in experiment.claims:
            verdict, _ = claim.judge(mine)
            link = f"[{experiment.name}]({experiment.name}.md)"
            rows.append(f"| {claim.text} | {claim.where} | **{verdict}** | {link} |")
    return "\n".join(rows)


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
    done = sum(record.complete for record in records)
    parts = [
        f"# {experiment.title}",
        experiment.question,
        f"Command: `python -m benchmarks.experiments {experiment.name} --data-root DIR`; "
        "[README.md](README.md) has its options.",
        "## What was fixed before the runs",
        "**Setting.** " + " ".join(setting.words for setting in settings),
        f"**Runs.** {len(experiment.runs)}: {', '.join(methods)}; seeds 0, 1, 2 in general. Runs "
        "of one seed share the images, the split, the initial ω and α, the batches and their "
        "augmentation, so that differences are paired.",
        f"**Measure.** {experiment.measure}",
        f"**Rules.** {experiment.rules}",
        "**Claims.**\n\n"
        + "\n".join(f"- {c.text} ({c.where}) {c.rule}" for c in experiment.claims),
        "**Deviations and caveats.**\n\n" + "\n".join(f"- {d}" for d in experiment.deviations),
        "## Results",
        f"{done} of {len(experiment.runs)} runs are complete, and {len(records) - done} have come "
        "a part of the way.",
    ]
    if records:
        parts += [
            f"![The runs]({experiment.name}.svg)\n\n*Records `{digest_of(records)}`.*",
            experiment.report.table(records),
        ]
    if also:
        parts += [
            "The same runs on other machines, shorter, and in none of the answers below:",
            experiment.report.table(also),
        ]
    parts += ["## Answer"]
    if experiment.reading:
        parts += [experiment.reading]
    parts += [_answers(experiment, records)]
    if records:
        parts += ["## Cost", _cost(records)]
    return "\n\n".join(parts) + "\n"


def _answers(experiment: Experiment, records: Sequence[RunRecord]) -> str:
    rows = ["| Claim | Verdict | By |", "|---|---|---|"]
    for claim in experiment.claims:
        verdict, numbers = claim.judge(records)
        rows.append(f"| {claim.text} | **{verdict}** | {numbers} |")
    return "\n".join(rows)


def _cost(records: Sequence[RunRecord]) -> str:
    hours = math.fsum(record.content["wall_seconds"] for record in records) / 3600
    places = sorted({f"{r.machine} (torch {_torch(r)})" for r in records})
    return (
        f"{hours:.1f} hours of wall time, added over runs of one thread each, on "
        f"{', '.join(places)}. Machines were not idle: times are not benchmarks."
    )


def _torch(record: RunRecord) -> str:
    return str(record.content["environment"]["packages"]["torch"])
