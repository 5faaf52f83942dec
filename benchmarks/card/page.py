"""docs/CARD.md from the record of a run on a GPU: `python -m benchmarks.card.page`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
    "b64_cudnn": "S1, batch 64, dilated kernels by cuDNN and norms spelled out",
    "b96": "S1, batch 96",
    "nasbench201": "NAS-Bench-201, 15 cells",
    "s2": "S2, 20 cells, 36 channels",
}
RETRAINED = {
    "cifar": "20 cells of DARTS_V2, C = 36, batch 96, 32×32, auxiliary head, drop-path",
    "imagenet": "14 cells of DARTS_V2, C = 48, batch 96, 224×224, auxiliary head",
}
IMAGES = 25_000
"""CIFAR-10's training half."""
HEAD = """# On a GPU

`python -m benchmarks.card --device cuda --out FILE` runs the tests marked `card` on the device and
then times the steps of the supernets there, all forms in turns in one process. The forms are the
original structure (`tests/reference_supernet.py`: NCHW, every operation by itself, outputs stacked)
in PyTorch's eager mode; and ours, eager and as a captured graph (`--capture`, see
[DEVICES.md](DEVICES.md)). With `--tiny --device cpu` it runs anywhere. This page is written from
its record by `python -m benchmarks.card.page`."""
NOTHING = """**Not run on a GPU.** There is no record yet, so nothing is said about speed or memory
there."""
METHOD = """Each figure is the median over interleaved rounds. A ratio is taken within each round;
its lowest and highest value follow in brackets. Times are the GPU's own, from the first kernel to
the last. A *weight step* is L_train, its gradient in ω, the clip and SGD. The *first-order search
step* is α's step (L_val, its gradient in α, Adam) and a weight step. The other rows are steps of α
alone. Batches are made before the clock starts. Ours has channels last where NCHW is not named."""


def page(record: dict[str, Any] | None) -> str:
    """The whole page; without a record it says that there is none."""
    if record is None:
        return f"{HEAD}\n\n{NOTHING}\n"
    device = record["device"]
    made = f"Measured on one {device['name']} with torch {record['torch']}"
    changed = " with changes that followed it" if record.get("changed") else ""
    made += f", commit {record['commit'][:7]}{changed}." if record.get("commit") else "."
    parts = [HEAD, made, METHOD, "## Bars", "\n".join(bars(record)), *tests(record)]
    for part, title in PARTS.items():
        if record.get(part, {}).get("seconds"):
            parts += [f"## {title}", "\n".join(table(record[part]))]
            parts += [*notes(record[part]), *record[part].get("remarks", [])]
    parts += retrained(record.get("retraining", {}))
    parts += piped(record.get("pipeline", {}))
    parts += presets(record)
    parts += compiled(record.get("compiled", {}))
    parts += products(record.get("products", {}))
    return "\n\n".join(parts) + "\n"


def tests(record: dict[str, Any]) -> list[str]:
    found = record.get("a", {})
    if "summary" not in found:
        return []
    outcome = "all passed" if found["passed"] else "NOT all passed"
    said = f"Tests marked `card`: {outcome} ({found['summary'].strip('= ')})."
    failed = [f"- `{name}`" for name in found.get("failed", [])]
    return ["## Correctness", "\n".join([said, "", *failed]), *found.get("remarks", [])]


def bars(record: dict[str, Any]) -> Iterator[str]:
    """Each goal, what was found, and whether it is met."""
    yield "| figure | goal | found | |"
    yield "|---|---|---|---|"
    first = named(REFERENCE, EAGER, FLOAT32, SEARCH), named(PRODUCT, CAPTURED, FLOAT32, SEARCH)
    ratio = ratio_of(record, "b64", *first)
    yield line(
        "first-order search step, S1, batch 64, captured, against the original in eager mode",
        "≥ 4×",
        spelt(ratio, "×"),
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


def spelt(ratio: dict[str, Any] | None, unit: str = "") -> str | None:
    if ratio is None:
        return None
    return (
        f"{ratio['median']:.2f}{unit} [{ratio['low']:.2f}, {ratio['high']:.2f}], n = {ratio['n']}"
    )


def table(part: dict[str, Any]) -> Iterator[str]:
    """Milliseconds by step and form; how much faster than the original, captured; memory."""
    yield f"| ms | {' | '.join(COLUMNS)} | original / captured | in own weight steps, captured |"
    yield "|---" * (len(COLUMNS) + 3) + "|"
    seconds, ratios = part["seconds"], part["ratios"]
    for step in STEPS:
        cells = [seconds.get(named(*column, step)) for column in COLUMNS.values()]
        if not any(cells):
            continue
        theirs, own = named(REFERENCE, EAGER, FLOAT32, step), named(OURS, CAPTURED, FLOAT32, step)
        weight = named(OURS, CAPTURED, FLOAT32, WEIGHT)
        shown = [f"{1e3 * cell['median']:.1f}" if cell else "" for cell in cells]
        shown += [spelt(ratios.get(f"{theirs} / {own}")) or ""]
        shown += [spelt(ratios.get(f"{own} / {weight}")) or ""]
        yield f"| {step} | {' | '.join(shown)} |"


def notes(part: dict[str, Any]) -> list[str]:
    found = []
    peaks = {name: value for name, value in part.get("peak MiB", {}).items() if value}
    if peaks:
        shown = "; ".join(f"{name.replace(', float32', '')} {peaks[name]:.0f}" for name in peaks)
        found.append(f"Peak memory beyond what was there before the call, MiB: {shown}.")
    for name, kinds in part.get("kernels", {}).items():
        if kinds:
            found += ["\n".join(profiled(name, *kinds))]
    for name, why in part.get("failed", {}).items():
        found.append(f"Failed: {name}: `{why.strip().splitlines()[-1][:200]}`")
    if part.get("left out for time"):
        found.append(f"Left out for time: {'; '.join(part['left out for time'])}.")
    return found


def profiled(name: str, whole: dict[str, Any], *kinds: dict[str, Any]) -> Iterator[str]:
    """Where the time of a step goes on the GPU."""
    yield f"Kernels, copies and fills of *{name.replace(', float32', '')}*: {whole['count']:,}."
    yield ""
    yield "| kernel | ms | share | calls |"
    yield "|---|---|---|---|"
    for kind in kinds[:8]:
        share = f"{100 * kind['ms'] / whole['ms']:.0f} %"
        yield f"| `{kind['name'][:70]}` | {kind['ms']:.1f} | {share} | {kind['count']:,} |"


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
        lines = ["| | ms | images a second | original / this | peak MiB |", "|---|---|---|---|---|"]
        batch, theirs = part[title]["batch"], RETRAINING[0]
        for name, value in seconds.items():
            ratio = spelt(part[title]["ratios"].get(f"{theirs} / {name}")) or ""
            peak = part[title].get("peak MiB", {}).get(name)
            lines.append(
                f"| {name} | {1e3 * value['median']:.1f} | {batch / value['median']:,.0f} | "
                f"{ratio} | {'' if peak is None else f'{peak:.0f}'} |"
            )
        found += [f"## Retraining, {what}", "\n".join(lines)]
    return found + (part.get("remarks", []) if found else [])


def piped(part: dict[str, Any]) -> list[str]:
    if not part.get("seconds"):
        return []
    taken = part["seconds"]["batch"]["median"]
    made = f"A batch of {part['batch']} is made on the device in {1e3 * taken:.2f} ms, "
    return ["## Images", made + f"{part['batch'] / taken:,.0f} images a second."]


def presets(record: dict[str, Any]) -> list[str]:
    """Hours of the paper's trainings by the time that an image takes in the steps above."""
    lines = [
        "| training | epochs × images | hours here, by its steps alone | the paper says |",
        "|---|---|---|---|",
    ]
    found = len(lines)
    for what, epochs, images, batch, names, said in trainings(record):
        if names is None:
            continue
        hours = epochs * images / batch * sum(names) / 3600
        lines.append(f"| {what} | {epochs} × {images:,} | {hours:.1f} | {said} |")
    if len(lines) == found:
        return []
    said = "Searches are counted at batch 64, retraining at batch 96; evaluation is left out."
    return ["## Hours of the paper's trainings on this card", said, "\n".join(lines)]


def trainings(record: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    """(what, epochs, images of an epoch, batch, seconds of each step or None, the paper's cost)."""

    def steps(part: dict[str, Any], *names: str) -> list[float] | None:
        taken = [part.get("seconds", {}).get(name) for name in names]
        return [float(t["median"]) for t in taken if t] if all(taken) else None

    own = record.get("b64", {})
    first, exact, weight = (
        named(PRODUCT, CAPTURED, FLOAT32, step) for step in (SEARCH, EXACT, WEIGHT)
    )
    paper = "0.02 GPU-days an epoch (§3.4)"
    yield "`cifar10-s1`, amended", 100, IMAGES, 64, steps(own, exact, weight), paper
    yield "`cifar10-darts-first-order`", 50, IMAGES, 64, steps(own, first), "–"
    again = record.get("retraining", {})
    cifar, imagenet = again.get("cifar", {}), again.get("imagenet", {})
    yield "retraining on CIFAR-10", 600, 50_000, 96, steps(cifar, RETRAINING[1]), "–"
    days = "24 GPU-days on V100s (§4.2)"
    yield "retraining on ImageNet", 250, 1_281_167, 96, steps(imagenet, RETRAINING[1]), days


def products(part: dict[str, Any]) -> list[str]:
    """Products of large networks, in units of their gradient."""
    networks = {name: found for name, found in part.items() if isinstance(found, dict)}
    if not networks:
        return []
    lines = [
        "| network | parameters | product, with what it needs before | in gradients | memory |"
    ]
    lines.append("|---|---|---|---|---|")
    for name, found in networks.items():
        peaks = found["peak MiB"]
        for pair, ratio in found["ratios"].items():
            over, _, under = pair.partition(" / ")
            both = peaks.get(over), peaks.get(under)
            share = f"{both[0] / both[1]:.1f}×" if all(both) else "–"
            lines.append(
                f"| {name} | {found['parameters']:.2g} | {over} | {spelt(ratio)} | {share} |"
            )
    return ["## Products of large networks", "\n".join(lines)]


def read(path: Path = RECORD) -> dict[str, Any] | None:
    """The record, if there is one."""
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text())
    return found


if __name__ == "__main__":
    PAGE.write_text(page(read()))
    print(PAGE)
