"""docs/CARD.md from the record of a run on a GPU: `python -m benchmarks.card.page`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.card.hours import IMAGES, presets
from benchmarks.card.launches import section
from benchmarks.card.packing import packed
from benchmarks.card.pipeline import piped
from benchmarks.card.retraining import RETRAINING
from benchmarks.card.steps import (
    BF16,
    CAPTURED,
    CG5,
    EAGER,
    FLOAT32,
    NCHW,
    OURS,
    PRODUCT,
    REFERENCE,
    SEARCH,
    TF32,
    WEIGHT,
    named,
)
from benchmarks.card.supernets import DIFFERENCES, EXACT, FIRST, SECOND
from benchmarks.tables import table
from proofs_checks.paragraphs import wrapped

RECORD = Path("docs/records/card_h100.json")
PAGE = Path("docs/CARD.md")
STEPS = (WEIGHT, FIRST, SEARCH, EXACT, DIFFERENCES, SECOND, CG5)
COLUMNS = {
    "original, eager": (REFERENCE, EAGER, FLOAT32),
    "ours, eager": (OURS, EAGER, FLOAT32),
    "ours, captured": (OURS, CAPTURED, FLOAT32),
    "captured, NCHW": (NCHW, CAPTURED, FLOAT32),
    "captured, TF32": (OURS, CAPTURED, TF32),
    "captured, bf16": (OURS, CAPTURED, BF16),
}
PARTS = {
    "b64": "S1, batch 64",
    "b64_cudnn": "Why dilated kernels go by phases, and norms in closed form",
    "precisions": "S1, batch 64, TF32 and bf16",
    "b96": "S1, batch 96",
    "nasbench201": "NAS-Bench-201, 15 cells",
    "s2": "S2, 20 cells, 36 channels",
}
RETRAINED = {
    "cifar": "20 cells of DARTS_V2, C = 36, batch 96, 32×32, auxiliary head, drop-path",
    "imagenet": "14 cells of DARTS_V2, C = 48, batch 96, 224×224, auxiliary head",
}
HEAD = """# On a GPU

For a reader who has a GPU and wants to know how fast a search or a retraining runs there. The goals
come first, met or missed, then the figures, the method, and what was not run."""
NOTHING = """**Not run on a GPU.** There is no record yet, so nothing is said about speed or memory
there. `python -m benchmarks.card --device cuda --out FILE` makes one."""
WORDS = """What the tables compare:

| word | meaning |
|---|---|
| original | DARTS's structure, in NCHW (`tests/reference_supernet.py`) |
| ours | the networks of this project, with channels last, except where NCHW is named |
| eager | PyTorch launches each operation by itself |
| captured | the whole step is one CUDA graph ([`--capture`](DEVICES.md)) |
| weight step | L_train, its gradient in ω, the clip, and SGD |
| first-order α step | L_val, its gradient in α, and Adam |
| first-order search step | a first-order α step and a weight step |
| amended exact | a step of α by the amended estimate, with exact products |

A ratio is the median over rounds. Its lowest and highest value follow in brackets, and n is the
number of rounds."""
METHOD = """## Method

- `python -m benchmarks.card --device cuda --out FILE` measures, and writes its record as it goes.
  `python -m benchmarks.card.page` writes this page from the record. With `--tiny --device cpu` it
  runs anywhere. The record names the commit, and says whether files were changed since. A record
  that is there already is added to; `--parts missing` measures what it has not.
- All forms run in turns in one process. A time is the median over these rounds, and a ratio is
  taken within each round.
- Times are the GPU's own, from the first kernel to the last. Batches of a search are made before
  the clock starts.
- Peak memory is what a call needs beyond what was there before it. A captured step has its memory
  from the capture on, so it has no peak of its own here.
- Hours count steps only. Evaluation and checkpoints are left out, and for searches the making of
  batches."""
LEFT = {
    "b96": "S1, batch 96, and with it the goal for memory",
    "pipeline": "how fast images are made",
    "nasbench201": "the space of NAS-Bench-201",
    "s2": "S2, 20 cells, 36 channels",
    "products": "products of large networks",
    "compiled": "`torch.compile`",
    "stacks": "norms on stacks beside norms one by one",
    "packing": "several searches at a time",
}
"""Parts of the measurement, in words."""


def page(record: dict[str, Any] | None) -> str:
    """The whole page; without a record it says that there is none."""
    if record is None:
        return f"{HEAD}\n\n{NOTHING}\n"
    made = f"Measured on one {record['device']['name']} with torch {record['torch']}"
    made += " (`records/card_h100.json`)." + other_commits(record)
    goals = list(bars(record))
    parts = [HEAD, made, "## Goals", tally(goals[2:]), "\n".join(goals), WORDS]
    for part, title in PARTS.items():
        if record.get(part, {}).get("seconds"):
            parts += [f"## {title}", *record[part].get("remarks", [])]
            parts += [times(record[part]), *notes(record[part])]
    parts += retrained(record.get("retraining", {}))
    parts += presets(record)
    parts += piped(record.get("pipeline", {}))
    parts += compiled(record.get("compiled", {}))
    parts += products(record.get("products", {}))
    parts += packed(record.get("packing", {}))
    parts += section(record.get("stacks"))
    parts += [METHOD, *tests(record), *not_run(record)]
    return wrapped("\n\n".join(parts)) + "\n"


def other_commits(record: dict[str, Any]) -> str:
    """The parts that a later call of another commit measured."""
    first = record.get("commit")
    made = {part: one["commit"] for part, one in record.get("made", {}).items()}
    said = [f"{part} {commit[:7]}" for part, commit in made.items() if commit != first]
    return f" Parts of other commits: {', '.join(said)}." if said else ""


def tally(goals: list[str]) -> str:
    """How many goals are met, missed and not measured, in a sentence."""
    ends = [goal.rstrip("| ").rpartition("| ")[2] for goal in goals]
    met, missed = ends.count("met"), ends.count("**missed**")
    open_ones = len(ends) - met - missed
    return f"Of {len(ends)} goals, {met} are met, {missed} missed and {open_ones} not measured."


def not_run(record: dict[str, Any]) -> list[str]:
    """What was to be measured and is not in the record."""
    lines = [f"- {words}" for part, words in LEFT.items() if part not in record]
    for part, title in PARTS.items():
        left = by_form(record.get(part, {}).get("left out for time", []))
        lines += [f"- {title}, {form}: {', '.join(steps)}" for form, steps in left.items()]
    for part, title in RETRAINED.items():
        left = by_form(record.get("retraining", {}).get(part, {}).get("left out for time", []))
        lines += [f"- retraining, {title.partition(',')[0]}: {'; '.join(left)}"] if left else []
    if not lines:
        return []
    said = "These were left out for time, and nothing is said about them:"
    return ["## Not run", said, "\n".join(lines)]


def by_form(names: list[str]) -> dict[str, list[str]]:
    """Steps by the form that took them: the record's names are "form: step", or the form alone."""
    found: dict[str, list[str]] = {}
    for name in names:
        form, _, step = readable(name).partition(": ")
        found.setdefault(form, []).extend([step] if step else [])
    return found


def readable(name: str) -> str:
    """A name of the record in the words of the page."""
    return name.replace(f", {FLOAT32}", "").replace(REFERENCE, "original")


def tests(record: dict[str, Any]) -> list[str]:
    found = record.get("a", {})
    if "summary" not in found:
        return []
    outcome = "all passed" if found["passed"] else "not all passed"
    said = f"Of the tests marked `card` {outcome}: {found['summary'].strip('= ')}."
    failed = ["\n".join(f"- `{name}`" for name in found["failed"])] if found.get("failed") else []
    return ["## Correctness", said, *failed, *found.get("remarks", [])]


def bars(record: dict[str, Any]) -> Iterator[str]:
    """Each goal, what was found, and whether it is met."""
    yield "| figure | goal | found | |"
    yield "|---|---|---|---|"
    first = named(REFERENCE, EAGER, FLOAT32, SEARCH), named(PRODUCT, CAPTURED, FLOAT32, SEARCH)
    ratio = ratio_of(record, "b64", *first)
    yield line(
        "first-order search step, S1, batch 64, captured, against the original in eager mode",
        "≥ 4×",
        spelt(ratio, "×", digits=3),  # a miss by less than the second digit is seen
        ratio and ratio["median"] >= 4,
    )
    own = named(PRODUCT, CAPTURED, FLOAT32, EXACT), named(PRODUCT, CAPTURED, FLOAT32, WEIGHT)
    ratio = ratio_of(record, "b64", *own)
    yield line(
        "amended, exact, in own weight steps, captured, batch 64",
        "≤ 4.5",
        spelt(ratio),
        ratio and ratio["median"] <= 4.5,
    )
    peaks = record.get("b96", {}).get("peak MiB", {})
    both = [peaks.get(named(who, EAGER, FLOAT32, WEIGHT)) for who in (PRODUCT, REFERENCE)]
    share = both[0] / both[1] if all(both) else None
    yield line(
        "peak memory of the weight step, batch 96, against the original's",
        "≤ 0.5×",
        None if share is None else f"{share:.2f}× ({both[0]:.0f} of {both[1]:.0f} MiB)",
        share is not None and share <= 0.5,
    )
    seconds = record.get("b64", {}).get("seconds", {})
    yield hours("first order, 50 epochs", 1, 50, [seconds.get(first[1])])
    yield hours("amended, 100 epochs", 4, 100, [seconds.get(name) for name in own])
    ratio = ratio_of(record.get("retraining", {}), "cifar", *RETRAINING)
    yield line(
        "retraining step, 20 cells, C = 36, batch 96, captured, against the original",
        "≥ 2×",
        spelt(ratio, "×"),
        ratio and ratio["median"] >= 2,
    )


def hours(what: str, goal: float, epochs: int, steps: list[dict[str, Any] | None]) -> str:
    """A search of all of CIFAR-10 by its steps alone."""
    found = None
    if all(steps):
        found = epochs * (IMAGES // 64) * sum(s["median"] for s in steps if s) / 3600
    return line(
        f"search of S1 on all of CIFAR-10, {what}, batch 64: its captured steps alone",
        f"≤ {goal} h",
        None if found is None else f"{found:.2f} h",
        found is not None and found <= goal,
    )


def line(what: str, goal: str, found: str | None, met: Any) -> str:
    verdict = "not measured" if found is None else "met" if met else "**missed**"
    return f"| {what} | {goal} | {found or '–'} | {verdict} |"


def ratio_of(record: dict[str, Any], part: str, over: str, under: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = record.get(part, {}).get("ratios", {}).get(f"{over} / {under}")
    return found


def spelt(ratio: dict[str, Any] | None, unit: str = "", digits: int = 2) -> str | None:
    if ratio is None:
        return None
    middle, low, high = (f"{ratio[key]:.{digits}f}" for key in ("median", "low", "high"))
    return f"{middle}{unit} [{low}, {high}], n = {ratio['n']}"


def times(part: dict[str, Any]) -> str:
    """Milliseconds by step and form; how much faster than the original, captured; memory."""
    seconds, ratios = part["seconds"], part["ratios"]
    shown = {
        title: column
        for title, column in COLUMNS.items()
        if any(named(*column, step) in seconds for step in STEPS)
    }
    rows = []
    weight = named(OURS, CAPTURED, FLOAT32, WEIGHT)
    for step in STEPS:
        found = [seconds.get(named(*column, step)) for column in shown.values()]
        if not any(found):
            continue
        theirs, own = named(REFERENCE, EAGER, FLOAT32, step), named(OURS, CAPTURED, FLOAT32, step)
        cells = [f"{1e3 * cell['median']:.1f}" if cell else "" for cell in found]
        cells += [spelt(ratios.get(f"{theirs} / {own}")) or ""]
        cells += [spelt(ratios.get(f"{own} / {weight}")) or ""]
        rows.append((step, *cells))
    head = ("ms", *shown, "original / captured", "in own weight steps, captured")
    return table(head, rows)


def notes(part: dict[str, Any]) -> list[str]:
    found = []
    peaks = {name: value for name, value in part.get("peak MiB", {}).items() if value}
    if peaks:
        shown = "; ".join(f"{readable(name)} {peaks[name]:.0f}" for name in peaks)
        found.append(f"Peak memory, MiB: {shown}.")
    for name, kinds in part.get("kernels", {}).items():
        if kinds:
            found += ["\n".join(profiled(name, *kinds))]
    for name, why in part.get("failed", {}).items():
        found.append(f"Failed: {name}: `{why.strip().splitlines()[-1][:200]}`")
    return found


def profiled(name: str, whole: dict[str, Any], *kinds: dict[str, Any]) -> Iterator[str]:
    """Where the time of a step goes on the GPU."""
    yield f"Where the time of *{readable(name)}* goes: {whole['count']:,} kernels, copies and"
    yield "fills. These take most:"
    yield ""
    rows = (
        (
            f"`{kind['name'][:70]}`",
            f"{kind['ms']:.1f}",
            f"{100 * kind['ms'] / whole['ms']:.0f} %",
            f"{kind['count']:,}",
        )
        for kind in kinds[:4]
    )
    yield table(("kernel", "ms", "share", "calls"), rows)


def compiled(part: dict[str, Any]) -> list[str]:
    if not part:
        return []
    found = ["## Compiled", "The weight step of S1, batch 64, every cell under `torch.compile`."]
    for name, ratio in part.get("ratios", {}).items():
        found.append(f"{name}: {spelt(ratio, '×')}.")
    if part.get("trouble"):
        found.append(f"It did not end: `{part['trouble'].strip().splitlines()[-1][:200]}`")
    for name, why in part.get("failed", {}).items():
        found.append(f"Failed: {name}: `{why.strip().splitlines()[-1][:200]}`")
    return found


def retrained(part: dict[str, Any]) -> list[str]:
    """Steps of retraining, with the making of batches, in images a second."""
    found = []
    for title, what in RETRAINED.items():
        seconds = part.get(title, {}).get("seconds")
        if not seconds:
            continue
        rows = []
        batch, theirs = part[title]["batch"], RETRAINING[0]
        for name, value in seconds.items():
            ratio = spelt(part[title]["ratios"].get(f"{theirs} / {name}")) or ""
            peak = part[title].get("peak MiB", {}).get(name)
            speed = f"{1e3 * value['median']:.1f}", f"{batch / value['median']:,.0f}"
            shown = "" if peak is None or CAPTURED in name else f"{peak:.0f}"
            rows.append((name, *speed, ratio, shown))
        head = ("", "ms", "images a second", "original / this", "peak MiB")
        found += [f"## Retraining, {what}", table(head, rows)]
    if not found:
        return []
    return [*found, "These steps include the making of their batches.", *part.get("remarks", [])]


def products(part: dict[str, Any]) -> list[str]:
    """Products of large networks, in units of their gradient."""
    networks = {name: found for name, found in part.items() if isinstance(found, dict)}
    if not networks:
        return []
    rows = []
    for name, found in networks.items():
        peaks = found["peak MiB"]
        for pair, ratio in found["ratios"].items():
            over, _, under = pair.partition(" / ")
            both = peaks.get(over), peaks.get(under)
            share = f"{both[0] / both[1]:.1f}×" if all(both) else "–"
            rows.append((name, f"{found['parameters']:.2g}", over, spelt(ratio), share))
    before = "product, with what it needs before"
    head = ("network", "parameters", before, "in gradients", "memory")
    return ["## Products of large networks", table(head, rows)]


def read(path: Path = RECORD) -> dict[str, Any] | None:
    """The record, if there is one."""
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text())
    return found


if __name__ == "__main__":
    PAGE.write_text(page(read()))
    print(PAGE)
