"""What a GPU makes of the project: correctness first, then the steps of the supernets.

`python -m benchmarks.card [--budget SECONDS] [--device cuda|cpu] [--out FILE] [--parts a,b64,...]`
writes its record after each figure, most important first, and ends within its budget. A part that
fails leaves its error in the record, and the next one begins. `--tiny` runs everything at a size
for a CPU. A record of the same device that is there already is added to: parts that are measured
anew replace their own figures alone, and each says what commit it is of. `--parts missing` measures
what the record has not.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.card import products, retraining
from benchmarks.card.packing import packing
from benchmarks.card.pipeline import pipeline
from benchmarks.card.supernets import (
    MAIN,
    MANY,
    MEMORY,
    PRECISIONS,
    compiled,
    in_a_process,
    stacks,
    supernet,
)
from benchmarks.card.timing import Clock
from benchmarks.records import circumstances
from benchmarks.steps import Setting
from darts.spaces import NASBENCH201, S1, S2

RECORD = Path("docs/records/card.json")
SECONDS = {
    "a": 120,
    "b64": 100,
    "stacks": 45,
    "b96": 45,
    "precisions": 50,
    "s2": 45,
    "nasbench201": 35,
    "packing": 60,
    "pipeline": 10,
    "products": 35,
    "compiled": 35,
    "retraining": 60,
}
"""Most seconds of each part, in the order in which they run."""
SETTINGS = {
    "b64": Setting(64),
    "b96": Setting(96),
    "precisions": Setting(64),
    "nasbench201": Setting(64, NASBENCH201, 16, 15),
    "s2": Setting(32, S2, 36, 20),
}
SMALL = replace(
    S1,
    name="two-edges",
    operations=("none", "skip_connect", "sep_conv_3x3"),
    nodes=1,
    edges=((0, 2), (1, 2)),
)
TINY = {
    "b64": Setting(4, SMALL, 4, 2, side=8),
    "b96": Setting(6, SMALL, 4, 2, side=8),
    "precisions": Setting(4, SMALL, 4, 2, side=8),
    "nasbench201": Setting(4, NASBENCH201, 4, 3, side=8),
    "s2": Setting(4, SMALL, 4, 3, side=8),
}
TESTS = tuple(
    f"tests/card/test_{what}_on_card.py" for what in ("supernets", "search", "estimators")
)
"""What the project's own kernels change comes first, in case the time is over."""


class Book:
    """The record on disk, whole after every figure."""

    def __init__(self, path: Path, device: str, commit: str = "") -> None:
        self.made = circumstances()
        self.made["commit"] = self.made["commit"] or commit
        self.path = path
        self.content: dict[str, Any] = {"device": described(device), **self.made}
        if path.exists():
            before = json.loads(path.read_text())
            found, here = before.get("device", {}).get("name"), self.content["device"]["name"]
            if found != here:
                raise ValueError(
                    f"{path} has figures of {found}, and this is {here}: give another --out."
                )
            self.content = before
        self.write()

    def keep(self, part: str) -> Callable[[dict[str, Any]], None]:
        def put(content: dict[str, Any]) -> None:
            self.content[part] = {**self.content.get(part, {}), **content}
            self.content.setdefault("made", {})[part] = self.made
            self.write()

        return put

    def begin(self, part: str) -> None:
        """Forget what an earlier call said of a part besides its figures."""
        for name in ("error", "failed", "left out for time", "remarks"):
            self.content.get(part, {}).pop(name, None)

    def missing(self) -> list[str]:
        """Parts that have no figures yet, or failed; tests of the device until all have passed."""
        return [name for name in SECONDS if not measured(name, self.content.get(name, {}))]

    def write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".part")
        with partial.open("w") as file:
            file.write(json.dumps(self.content, indent=1, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.path)


def measured(part: str, found: dict[str, Any]) -> bool:
    """Whether a part of a record has what it is for."""
    if part == "a":
        return bool(found.get("passed"))
    inner = [found, *(value for value in found.values() if isinstance(value, dict))]
    figures = any(one.get("seconds") or one.get("steps a second") for one in inner)
    return figures and "error" not in found


def described(device: str) -> dict[str, Any]:
    if torch.device(device).type != "cuda":
        return {"name": "a CPU"}
    properties = torch.cuda.get_device_properties(device)
    return {
        "name": properties.name,
        "gib": round(properties.total_memory / 2**30),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
    }


def correctness(device: str, clock: Clock) -> dict[str, Any]:
    """The tests marked `card`, in a process of their own."""
    command = [sys.executable, "-m", "pytest", "-m", "card", "-p", "no:cacheprovider", "-rfEs"]
    command += ["--durations=8", "-o", "filterwarnings=default", *TESTS]
    began = time.monotonic()
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=max(clock.left, 1),
            check=False,
            env={**os.environ, "DARTS_TEST_DEVICE": device},
        )
        code, said = done.returncode, done.stdout + done.stderr
    except subprocess.TimeoutExpired as error:
        heard = error.stdout or b""  # bytes, whatever `text` says
        code, said = None, heard.decode(errors="replace") if isinstance(heard, bytes) else heard
    lines = [line for line in said.strip().splitlines() if line.strip()]
    return {
        "passed": code == 0,
        "exit": code,
        "seconds": time.monotonic() - began,
        "summary": lines[-1] if lines else "",
        "tail": said[-6000:],
    }


def run_part(name: str, options: argparse.Namespace, clock: Clock, book: Book) -> None:
    keep = book.keep(name)
    if name == "a":
        keep(correctness(options.device, clock))
        return
    if name == "retraining":
        for title, size in (retraining.TINY if options.tiny else retraining.SIZES).items():
            share = clock.part(clock.left / 2 if title == "cifar" else clock.left)
            found = retraining.retraining(size, options.device, share, 2 if options.tiny else 9)
            keep({title: found})
        return
    if name == "pipeline":
        size = (retraining.TINY if options.tiny else retraining.SIZES)["cifar"]
        keep(pipeline(size, options.device, clock, 2 if options.tiny else 99))
        return
    if name == "packing":
        packing(options.device, clock, keep, tiny=options.tiny)
        return
    if name == "products":
        for network, measured in (products.TINY if options.tiny else products.SIZES).items():
            share = clock.part(clock.left / 2)
            products.products(
                network, measured, options.device, share, keep, 2 if options.tiny else 7
            )
        return
    as_b64 = name in ("compiled", "stacks")
    setting = (TINY if options.tiny else SETTINGS)["b64" if as_b64 else name]
    keep({"setting": described_setting(setting)})
    rounds = 2 if options.tiny else 9
    if name == "stacks":
        keep(stacks(setting, options.device, clock, rounds))
        return
    if name == "compiled":
        if options.alone:
            keep(compiled(setting, options.device, clock, rounds))
            return
        own = options.out.with_name("card_compiled.json")
        arguments = ["--device", options.device, "--parts", "compiled", "--alone"]
        arguments += ["--out", str(own), *(["--tiny"] if options.tiny else [])]
        trouble = in_a_process(arguments, clock.left)
        found = json.loads(own.read_text()).get("compiled", {}) if own.exists() else {}
        own.unlink(missing_ok=True)
        keep(found | ({"trouble": trouble} if trouble else {}))
        return
    kind = {"b64": MANY, "b96": MEMORY, "precisions": PRECISIONS}.get(name, MAIN)
    supernet(setting, options.device, clock, keep, rounds=rounds, kind=kind, profiled=name == "b64")


def described_setting(setting: Setting) -> dict[str, Any]:
    return {
        "space": setting.space.name,
        "batch": setting.batch,
        "channels": setting.channels,
        "cells": setting.cells,
        "side": setting.side,
    }


def table(content: dict[str, Any]) -> str:
    """A short account: whether the tests passed, and the ratios."""
    lines = [f"{content['device']['name']}, torch {content['torch']}"]
    for part, found in content.items():
        if not isinstance(found, dict) or part == "device":
            continue
        lines.append(f"{part}: {found.get('wall_seconds', 0):.0f} s {found.get('summary', '')}")
        lines += [f"  ERROR {found['error'].strip().splitlines()[-1]}"] if "error" in found else []
        for name, why in found.get("failed", {}).items():
            lines.append(f"  FAILED {name}: {why.strip().splitlines()[-1][:150]}")
        for figures in (found, *(part for part in found.values() if isinstance(part, dict))):
            lines += rows(figures)
    return "\n".join(lines)


def rows(figures: dict[str, Any]) -> Iterator[str]:
    """A line for each time and each ratio."""
    seconds, ratios = figures.get("seconds", {}), figures.get("ratios", {})
    if isinstance(seconds, dict):  # those of the tests are one number
        for name, value in seconds.items():
            yield f"  {1e3 * value['median']:9.2f} ms  {name}"
    for name, value in ratios.items():
        yield f"  {value['median']:9.2f} [{value['low']:.2f}, {value['high']:.2f}]  {name}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget", type=float, default=480, help="seconds in all")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, default=RECORD)
    parser.add_argument("--parts", default=",".join(SECONDS))
    parser.add_argument("--commit", default="", help="of the source, where git does not say")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    chosen = options.parts.split(",")
    unknown = set(chosen) - {*SECONDS, "missing"}
    if unknown:
        parser.error(f"--parts {options.parts}: no part {', '.join(unknown)}; of {list(SECONDS)}")
    torch.set_num_threads(1)
    clock = Clock(options.budget)
    try:
        book = Book(options.out, options.device, options.commit)
    except ValueError as error:
        parser.error(str(error))
    if "missing" in chosen:
        chosen += book.missing()
    for name in SECONDS:
        if name not in chosen:
            continue
        if clock.left < 5:
            book.keep(name)({"error": "left out: the budget is spent"})
            continue
        began = time.monotonic()
        try:
            book.begin(name)
            run_part(name, options, clock.part(SECONDS[name]), book)
        except Exception:
            book.keep(name)({"error": traceback.format_exc()[-2500:]})
        if options.device.startswith("cuda"):
            torch.cuda.empty_cache()
        book.keep(name)({"wall_seconds": time.monotonic() - began})
        print(f"{name}: {time.monotonic() - began:.1f} s", flush=True)
    if not options.alone:
        print(table(book.content))


if __name__ == "__main__":
    main()
