"""Several seeds of one run on one page: every run, mean and deviation."""

from html import escape
from pathlib import Path

from darts.records.run_folder import Record, RunFolder
from darts.records.writing import write_atomically
from darts.reports.page import page
from darts.reports.shares import SKIP
from darts.reports.simple_models import accuracy_bars
from darts.reports.tables import mean_and_deviation, table
from darts.reports.top5 import top5_percent
from darts.spaces import Genotype


def write_summary(folder: Path) -> str:
    """Write `report.html` and `summary.json` over the runs in `folder/seed-*`; a line about them.

    Raises:
        ValueError: no run there has been finished.
    """
    runs = [RunFolder.open(path) for path in sorted(folder.glob("seed-*"), key=_seed_of)]
    finished = [run for run in runs if run.has("result.json")]
    if not finished:
        raise ValueError(
            f"None of the {len(runs)} runs in {folder} is finished. Go on with --resume {folder}."
        )
    results = [run.read("result.json") for run in finished]
    accuracies = [
        entry["retrain"]["test"]["accuracy_percent"] for entry in results if "retrain" in entry
    ]
    shares = [
        top5_percent(run, entry["retrain"]["test"])
        for run, entry in zip(finished, results, strict=True)
        if "retrain" in entry
    ]
    top5 = [share for share in shares if share is not None]
    seeds = [_seed_of(run.path) for run in finished]
    body = [
        f"<h1>{len(finished)} runs of {escape(finished[0].read('config.json')['preset'])}</h1>",
        f'<p class="lead">Seeds {", ".join(map(str, seeds))}. '
        + (f"{len(runs) - len(finished)} more not finished. " if len(runs) > len(finished) else "")
        + "All runs are listed; none was left out.</p>",
    ]
    line = f"{len(finished)} runs"
    if accuracies:
        base = results[0]["baselines"]
        images = results[0]["retrain"]["test"]["images"]
        mean = sum(accuracies) / len(accuracies)
        body.append(accuracy_bars(base, "Networks found, mean", mean))
        also = f", top-5 {mean_and_deviation(top5)} %" if top5 else ""
        line = f"test accuracy {mean_and_deviation(accuracies)} %{also}, n = {len(accuracies)}"
        body.append(
            f"<p>Test accuracy <b>{mean_and_deviation(accuracies)} %</b>{also} "
            f"(mean ± sample standard deviation, n = {len(accuracies)} seeds, the same "
            f"{images:,} test images in all).</p>"
        )
    body.append("<h2>Every run</h2>")
    body.append(table(_HEAD, [_row(run) for run in finished], "numbers"))
    write_atomically(folder / "report.html", page("Runs compared", "\n".join(body)).encode())
    RunFolder(folder).write(
        "summary.json",
        {
            "seeds": seeds,
            "test_accuracy_percent": accuracies,
            "test_top5_percent": top5,
            "runs": results,
        },
    )
    return f"{line}; report: {folder / 'report.html'}"


_HEAD = (
    "run",
    "supernet, val %",
    "test %",
    "test top-5 %",
    "parameters, M",
    "skip kept",
    "search, s",
    "retrain, s",
)


def _row(run: RunFolder) -> list[str]:
    result: Record = run.read("result.json")
    search, trained = result.get("search"), result.get("retrain")
    top5 = top5_percent(run, trained["test"]) if trained else None
    genotype = Genotype.from_dict(run.read("genotype.json"))
    kept = [operation for cell in genotype.cells for operation, _ in cell.edges]
    return [
        f'<a href="{run.path.name}/report.html">{run.path.name}</a>',
        f"{search['val']['accuracy_percent']:.2f}" if search else "–",
        f"{trained['test']['accuracy_percent']:.2f}" if trained else "–",
        "–" if top5 is None else f"{top5:.2f}",
        f"{trained['params_millions']:.3f}" if trained else "–",
        f"{kept.count(SKIP)} of {len(kept)}",
        f"{search['wall_seconds']:.0f}" if search else "–",
        f"{trained['wall_seconds']:.0f}" if trained else "–",
    ]


def _seed_of(path: Path) -> int:
    return int(path.name.removeprefix("seed-"))
