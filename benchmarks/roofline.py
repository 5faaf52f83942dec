"""Where a step's time goes, against what the machine can do: `python -m benchmarks.roofline`.

First the machine: multiply-adds a second of a matrix product and bytes a second of a copy that no
cache holds. Then each step of the S1 supernet, one thread, by kernel: CPU seconds, multiply-adds
and the bytes that must move (every input read once, every output written once). Their bound is the
larger of the two times at the machine's rates; share = bound / seconds. What no kernel does (pools,
stem, joining channels, the optimiser's vectors, Python) is the row "elsewhere". Last, by operator,
what a weight step in PyTorch alone does.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from benchmarks.records import merge, spread
from benchmarks.steps import EXACT, FIRST, PLAIN, UNIT, Setting, ours
from darts.kernels import functions, native
from darts.kernels.native import Given

ELSEWHERE = "elsewhere"


def machine(repetitions: int = 5) -> dict[str, float]:
    """Gigamacs a second by the faster of two libraries, gigabytes a second by the fastest copy."""
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    x, y = a.numpy(), b.numpy()
    large, other = torch.ones(1 << 26), torch.ones(1 << 26)  # 256 MiB each
    products: tuple[Callable[[], Any], ...] = (lambda: a @ b, lambda: x @ y)
    moves: tuple[tuple[int, Callable[[], Any]], ...] = (
        (2, lambda: large.copy_(other)),
        (3, lambda: torch.add(large, other, out=large)),
        (1, lambda: other.sum()),
    )
    macs = max(1024**3 / _seconds(call, repetitions) for call in products)
    moved = max(n * 4 * len(large) / _seconds(call, repetitions) for n, call in moves)
    return {"GMAC/s": macs / 1e9, "GB/s": moved / 1e9}


def _seconds(call: Callable[[], Any], repetitions: int) -> float:
    """The least CPU seconds of several calls after one."""
    found = []
    for _ in range(repetitions + 1):
        began = time.process_time()
        call()
        found.append(time.process_time() - began)
    return min(found[1:])


@dataclass
class Work:
    """What a kind of call took and did."""

    calls: int = 0
    seconds: float = 0.0
    macs: float = 0.0
    bytes: float = 0.0

    def add(self, seconds: float, macs: float, moved: float) -> None:
        self.calls += 1
        self.seconds += seconds
        self.macs += macs
        self.bytes += moved


@dataclass
class Trace:
    """The kernels' calls while it is on."""

    kinds: dict[str, Work] = field(default_factory=dict)

    def note(self, kind: str, seconds: float, macs: float, moved: float) -> None:
        self.kinds.setdefault(kind, Work()).add(seconds, macs, moved)

    @contextmanager
    def on(self) -> Iterator[None]:
        """Every kernel that a node calls is timed and counted."""
        timed: dict[Any, Callable[..., tuple[str, float, float]]] = {
            (native, "forward"): forward_work,
            (functions, "Gradients"): backward_work,
        }
        with ExitStack() as stack:
            for (module, name), count in timed.items():
                wrapped = self._timed(getattr(module, name), count)
                stack.enter_context(mock.patch.object(module, name, wrapped))
            yield

    def _timed(
        self, call: Callable[..., Any], count: Callable[..., tuple[str, float, float]]
    ) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.process_time()
            result = call(*args, **kwargs)
            seconds = time.process_time() - began
            kind, macs, moved = count(*args, **kwargs)
            self.note(kind, seconds, macs, moved)
            return result

        return timed


@dataclass(frozen=True)
class Convolved:
    """What one unit of a node does in a pass: multiply-adds, and elements of its two maps."""

    depthwise: float
    pointwise: float
    read: int
    written: int


def units(given: Given) -> Iterator[Convolved]:
    """The units of a node, in order."""
    left = iter(given.plan.parameters)
    for term in given.plan.spec.terms:
        images, channels, height, width = given.plan.sources[term.source]
        for unit in term.units:
            for _ in range(unit.parameters):
                out, *_ = next(left)  # the last is the pointwise one's
            read = images * channels * height * width
            height, width = -(-height // unit.stride), -(-width // unit.stride)
            pixels = images * height * width
            macs = pixels * channels * unit.size**2, pixels * channels * out
            yield Convolved(*macs, read, pixels * out)
            channels = out


def forward_work(given: Given) -> tuple[str, float, float]:
    """With a tangent the product rule makes three passes of one."""
    out, terms = math.prod(given.plan.out), len(given.plan.spec.terms)
    macs, moved = 0.0, (terms + 1) * out  # the sum reads what each term gives
    for unit in units(given):
        macs += unit.depthwise + unit.pointwise
        moved += unit.read + unit.written
    if not given.has_tangents:
        return "nodes", macs + terms * out, moved * given.like.element_size()
    return "nodes, tangent", 3 * (macs + terms * out), 2 * moved * given.like.element_size()


def backward_work(
    given: Given,
    kept: tuple[Tensor, Tensor],
    g: Tensor | None,
    p: Tensor | None = None,
    *,
    with_parameters: bool,
    full: bool,
) -> tuple[str, float, float]:
    """Input gradients; with parameters also theirs, and the depthwise output once more."""
    rule, weights = (1, 1) if p is None else (3, 2)
    out, terms = math.prod(given.plan.out), len(given.plan.spec.terms)
    # dots of g with what each term gives
    macs, moved = float(rule * terms * out), float((terms + 1) * out)
    for unit in units(given):
        macs += rule * (unit.depthwise + unit.pointwise)
        if with_parameters:
            macs += (weights + rule) * unit.depthwise + weights * unit.pointwise
        moved += 2 * (unit.read + unit.written)
    moved += sum(3 * out for term in given.plan.spec.terms if not term.units)
    kind = "gradients of nodes" + ("" if with_parameters else " without weights")
    if p is not None:
        kind, moved = kind + ", tangent", 2 * moved
    return kind, macs, moved * given.like.element_size()


def rows(
    case: Callable[[], Any], rates: dict[str, float], repetitions: int
) -> dict[str, dict[str, Any]]:
    """By kind: seconds a call of the case (n = repetitions, after one), work, bound, share."""
    case()
    traces, totals = [], []
    for _ in range(repetitions):
        trace = Trace()
        with trace.on():
            began = time.process_time()
            case()
            totals.append(time.process_time() - began)
        traces.append(trace)
    found: dict[str, dict[str, Any]] = {}
    for kind, work in traces[0].kinds.items():
        seconds = spread([trace.kinds[kind].seconds for trace in traces])
        arithmetic = work.macs / rates["GMAC/s"] / 1e9
        moves = work.bytes / rates["GB/s"] / 1e9
        found[kind] = {
            "seconds": seconds,
            "calls": work.calls,
            "GMAC": work.macs / 1e9,
            "GB": work.bytes / 1e9,
            "seconds of arithmetic": arithmetic,
            "seconds of moves": moves,
            "share of the bound": max(arithmetic, moves) / seconds["median"],
        }
    kernels = [sum(w.seconds for w in trace.kinds.values()) for trace in traces]
    left = [total - inside for total, inside in zip(totals, kernels, strict=True)]
    found[ELSEWHERE] = {"seconds": spread(left)}
    found["all"] = {"seconds": spread(totals)}
    return found


def operators(case: Callable[[], Any], most: int = 12) -> dict[str, float]:
    """The PyTorch operators that take most of one call of a case after one, and their shares."""
    case()
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        case()
    times = {row.key: row.self_cpu_time_total for row in profiled.key_averages()}
    whole = sum(times.values())
    largest = sorted(times, key=lambda name: -times[name])[:most]
    return {name: times[name] / whole for name in largest}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("docs/records/supernet_roofline.json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    rates = machine()
    cases = ours(Setting(options.batch))
    part = {name: rows(cases[name], rates, options.repetitions) for name in (UNIT, FIRST, EXACT)}
    shares = operators(cases[PLAIN])
    name = f"S1, batch {options.batch}"
    merge(options.out, {name: {"machine": rates, "steps": part, "operators": {PLAIN: shares}}})
    for name, kinds in part.items():
        print(f"\n{name}")
        for kind, row in kinds.items():
            numbers = [row["seconds"]["median"], row.get("GMAC", np.nan), row.get("GB", np.nan)]
            shown = "".join(f"{number:9.3f}" for number in numbers)
            print(f"{kind:<42}{shown}  {row.get('share of the bound', np.nan):.0%}")
    print(f"\n{PLAIN}")
    for operator, share in shares.items():
        print(f"{operator:<60}{share:.0%}")


if __name__ == "__main__":
    main()
