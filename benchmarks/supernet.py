"""Steps of supernets beside the plain reference: CPU seconds, memory, how cost grows.

`python -m benchmarks.supernet [--parts steps,products,spaces,trade,slopes] [--repetitions 3]`
measures in one process, one thread, cases in turns, process CPU time, and adds each part to the
record as it is done. Memory is the growth of a fresh process's peak resident size over one call.
"""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks.records import merge, spread
from benchmarks.steps import (
    CERTIFIED,
    DIFFERENCES,
    EXACT,
    FIRST,
    PLAIN,
    REFERENCE,
    REFERENCE_FIRST,
    UNIT,
    Case,
    Setting,
    ours,
    reference,
    timed,
    with_operations,
)
from darts.spaces import NASBENCH201, S2
from darts.training.measuring import process_bytes

RECORD = Path("docs/records/supernet.json")
MANY_PRODUCTS = ("amended, Autograd", "CG-5", CERTIFIED)
COMMON = (UNIT, FIRST, EXACT, REFERENCE, REFERENCE_FIRST)
SETTINGS = {
    "S1, batch 16": Setting(16),
    "S1, batch 64": Setting(64),
    "S2, 20 cells, 36 channels, batch 8": Setting(8, S2, 36, 20),
    "NAS-Bench-201, 15 cells, 16 channels, batch 16": Setting(16, NASBENCH201, 16, 15),
}
MANY = {"many products": "S1, batch 16", "many products, batch 64": "S1, batch 64"}
MEASURED_MEMORY = (UNIT, EXACT, DIFFERENCES, PLAIN, REFERENCE)


def rows(seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Median, lowest and highest of the seconds, and of the ratios to the own weight step."""
    found = {}
    for name, values in seconds.items():
        row: dict[str, Any] = {"seconds": spread(values), "n": len(values)}
        for unit in (UNIT, REFERENCE):
            if unit in seconds:
                pairs = zip(values, seconds[unit], strict=True)
                row[f"in units of {unit}"] = spread([a / b for a, b in pairs])
        found[name] = row
    return found


def steps(name: str, repetitions: int) -> dict[str, Any]:
    """Time and memory of a setting's steps, those of many products left out.

    At large batches, where a first call is as long as any, only the weight steps are warmed up.
    """
    setting = SETTINGS[name]
    cases = ours(setting) | reference(setting)
    chosen = tuple(cases) if name.startswith("S1") else COMMON
    cases = {case: cases[case] for case in chosen if case not in MANY_PRODUCTS}
    warm = tuple(cases) if setting.batch <= 16 else (UNIT, REFERENCE)
    part: dict[str, Any] = {"steps": rows(timed(cases, repetitions, warm))}
    del cases
    part["peak MiB"] = {case: peak_mib(case, name) for case in MEASURED_MEMORY}
    return part


def many_products(repetitions: int, name: str) -> dict[str, Any]:
    """Estimators that take more than two products, or keep a graph; once where calls take minutes.

    The large batch would otherwise take an hour.
    """
    repetitions = repetitions if SETTINGS[name].batch <= 16 else 1
    cases = ours(SETTINGS[name])
    chosen = {case: cases[case] for case in (UNIT, *MANY_PRODUCTS)}
    return {"setting": name, "steps": rows(timed(chosen, repetitions, warm=(UNIT,)))}


def peak_mib(case: str, setting: str, recomputed: int = 0) -> float:
    """Growth of a fresh process's peak resident size over one call of a case, MiB."""
    command = [sys.executable, "-m", "benchmarks.supernet", "--memory-of", case]
    command += ["--setting", setting, "--recomputed", str(recomputed)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def own_peak_mib(case: str, setting: Setting) -> float:
    call = (reference(setting) if case.startswith("reference") else ours(setting))[case]
    before = peak_resident_mib()
    call()
    return peak_resident_mib() - before


def peak_resident_mib() -> float:
    """The largest resident size of this process so far."""
    return process_bytes("VmHWM") / 2**20


def trade(repetitions: int, name: str = "S1, batch 16") -> dict[str, Any]:
    """The exact amended step with its first cells recomputed, in weight steps that keep all."""
    setting = SETTINGS[name]
    ways = {f"{count} cells": count for count in (0, 3, 8)}
    cases = {UNIT: ours(setting)[UNIT]}
    for way, count in ways.items():
        cases[way] = ours(Setting(setting.batch, recomputed=count))[EXACT]
    times = rows(timed(cases, repetitions, warm=tuple(cases)))
    whole = peak_mib(UNIT, name)
    memory = {way: peak_mib(EXACT, name, count) for way, count in ways.items()}
    return {
        "setting": name,
        "cells recomputed": {
            way: {
                "time": times[way][f"in units of {UNIT}"],
                "n": repetitions,
                "peak MiB": memory[way],
                "memory": memory[way] / whole,
            }
            for way in ways
        },
    }


@dataclass(frozen=True)
class Growth:
    """Settings of which the last is four times the first in what grows."""

    sizes: tuple[int, ...]
    settings: tuple[Setting, ...] = field(repr=False)

    @staticmethod
    def of(sizes: Iterable[int], make: Callable[[int], Setting]) -> Growth:
        chosen = tuple(sizes)
        return Growth(chosen, tuple(make(size) for size in chosen))


GROWTH = {
    "batch": Growth.of((4, 8, 16), lambda b: Setting(b, cells=3)),
    "channels": Growth.of((16, 32, 64), lambda c: Setting(4, channels=c, cells=3)),
    "cells": Growth.of((3, 6, 12), lambda n: Setting(4, cells=n)),
    "operations": Growth.of((1, 2, 4), lambda n: Setting(4, with_operations(n), cells=3)),
}


def growth(repetitions: int) -> dict[str, Any]:
    """Slopes d log seconds / d log size of three steps, by least squares over three sizes."""
    found: dict[str, Any] = {}
    for what, family in GROWTH.items():
        cases: dict[str, Case] = {}
        for size, setting in zip(family.sizes, family.settings, strict=True):
            both = ours(setting) | reference(setting)
            cases |= {f"{name} {size}": both[name] for name in (UNIT, EXACT, REFERENCE)}
        seconds = timed(cases, repetitions, warm=tuple(cases))
        found[what] = {"sizes": family.sizes, "n": repetitions}
        for name in (UNIT, EXACT, REFERENCE):
            values = [spread(seconds[f"{name} {size}"]) for size in family.sizes]
            medians = [value["median"] for value in values]
            found[what][name] = {"seconds": values, "slope": slope(family.sizes, medians)}
    return found


def slope(sizes: Iterable[float], values: Iterable[float]) -> float:
    """Of a straight line through the logarithms."""
    return statistics.linear_regression([*map(math.log, sizes)], [*map(math.log, values)]).slope


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", default="steps,products,spaces,trade,slopes")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RECORD)
    parser.add_argument("--memory-of")
    parser.add_argument("--setting", choices=SETTINGS)
    parser.add_argument("--recomputed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.memory_of:
        chosen = SETTINGS[options.setting]
        if options.recomputed:
            chosen = Setting(chosen.batch, recomputed=options.recomputed)
        print(own_peak_mib(options.memory_of, chosen))
        return
    n = options.repetitions
    parts = set(options.parts.split(","))
    for name in SETTINGS:
        if ("steps" if name.startswith("S1") else "spaces") in parts:
            merge(options.out, {name: steps(name, n)})
    for key, name in MANY.items() if "products" in parts else ():
        merge(options.out, {key: many_products(n, name)})
    if "trade" in parts:
        merge(options.out, {"trade": trade(n)})
    if "slopes" in parts:
        merge(options.out, {"slopes": growth(n)})
    print(options.out)


if __name__ == "__main__":
    main()
