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
from darts.kernels import sums
from darts.kernels.native import Sum, Unit

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
        counts: dict[str, Callable[..., tuple[str, float, float]]] = {
            "unit_forward": forward_work,
            "unit_backward": backward_work,
            "combine": combine_work,
            "dots": dots_work,
            "moments": moments_work,
        }
        with ExitStack() as stack:
            for name, count in counts.items():
                wrapped = self._timed(getattr(sums, name), count)
                stack.enter_context(mock.patch.object(sums, name, wrapped))
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


def size(*tensors: Tensor | None) -> int:
    """Bytes of the tensors that are there."""
    return sum(x.numel() * x.element_size() for x in tensors if x is not None)


def _macs(unit: Unit, x: Tensor, channels: int) -> tuple[float, float]:
    """Of one pass of the depthwise and of the pointwise convolution."""
    pixels = x.shape[0] * -(-x.shape[2] // unit.stride) * -(-x.shape[3] // unit.stride)
    return pixels * x.shape[1] * unit.size**2, pixels * x.shape[1] * channels


def forward_work(
    unit: Unit,
    x: Tensor,
    xt: Tensor | None,
    before: Any,
    parameters: Any,
    parameters_t: Any,
) -> tuple[str, float, float]:
    """With a tangent the product rule makes three passes of one."""
    channels = parameters[-1].shape[0]
    depthwise, pointwise = _macs(unit, x, channels)
    out = x.element_size() * int(pointwise // max(x.shape[1], 1))
    if xt is None:
        return "units forward", depthwise + pointwise, size(x) + out
    return "units forward, tangent", 3 * (depthwise + pointwise), 2 * (size(x) + out)


def backward_work(
    unit: Unit,
    x: Tensor,
    xt: Tensor | None,
    before: Any,
    parameters: Any,
    parameters_t: Any,
    adjoints: tuple[Tensor | None, Tensor | None],
    outputs: tuple[Tensor, Tensor | None],
    scales: Any,
    into: tuple[Tensor, Tensor | None],
    add: tuple[bool, bool],
    *,
    with_parameters: bool,
) -> tuple[str, float, float]:
    """Input gradients; with parameters also theirs, and the depthwise output once more."""
    depthwise, pointwise = _macs(unit, x, outputs[0].shape[1])
    with_tangent = adjoints[1] is not None
    rule, weights = (3, 2) if with_tangent else (1, 1)
    macs = rule * (depthwise + pointwise)
    if with_parameters:
        macs += (weights + rule) * depthwise + weights * pointwise
    reads = size(x, xt, *adjoints, *outputs)
    writes = sum(size(t) * (1 + again) for t, again in zip(into, add, strict=True))
    kind = "units backward"
    if not with_parameters:
        kind += " without weights"
    return kind + (", tangent" if with_tangent else ""), macs, reads + writes


def combine_work(terms: Any, whole: Sum, part: Sum | None = None) -> tuple[str, float, float]:
    sums = [whole] if part is None else [whole, part]
    macs = sum((len(one.scales) - 1) * one.out.numel() for one in sums)
    written = sum(size(one.out) * (1 + one.add) for one in sums)
    return "sums of maps", macs, size(*terms) + written


def dots_work(
    g: Tensor, terms: Any, g_part: Tensor | None = None, part: int = 0
) -> tuple[str, float, float]:
    products = len(terms) + (0 if g_part is None else part)
    return "dots of maps", products * g.numel(), size(g, g_part, *terms)


def moments_work(y: Tensor, yt: Tensor | None) -> tuple[str, float, float]:
    return "moments of pools", (1 if yt is None else 2) * y.numel(), size(y, yt)


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
