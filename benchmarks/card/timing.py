"""Calls timed in turns on one device, with their memory and the kernels that they launch."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch.autograd import DeviceType  # type: ignore[attr-defined]
from torch.profiler import ProfilerActivity, profile

from benchmarks.records import spread

Case = Callable[[], Any]


@dataclass
class Clock:
    """Wall-clock seconds that are left of a budget."""

    budget: float
    began: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        return self.budget - (time.monotonic() - self.began)

    def part(self, seconds: float) -> Clock:
        """A budget of its own, which ends no later than this one."""
        return Clock(min(seconds, self.left))


@dataclass
class Cases:
    """Calls by name; one that fails is taken out, and its error kept.

    Attributes:
        device: where they run.
        calls: what is left of them.
        failed: the last lines of the errors of the others.
    """

    device: str
    calls: dict[str, Case] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def on_gpu(self) -> bool:
        return torch.device(self.device).type == "cuda"

    def attempt(self, name: str, what: Callable[[], Any]) -> Any:
        """`what()`; None, and the call is out, where it fails."""
        try:
            result = what()
            self.wait()
            return result
        except Exception:
            self.failed[name] = traceback.format_exc()[-1500:]
            self.calls.pop(name, None)
            if self.on_gpu:
                torch.cuda.empty_cache()
            return None

    def add(self, name: str, make: Callable[[], Case]) -> None:
        """Make a call, and call it once to warm it up."""
        call = self.attempt(name, make)
        if call is not None:
            self.calls[name] = call
            self.attempt(name, lambda: discard(call()))

    def wait(self) -> None:
        if self.on_gpu:
            torch.cuda.synchronize()

    def rounds(self, clock: Clock, most: int, least: int = 2) -> dict[str, list[float]]:
        """Seconds of each call, all of them in each round, until the rounds or the time are over.

        On a GPU by its own clock, from the first kernel's turn to the last one's end.
        """
        seconds: dict[str, list[float]] = {name: [] for name in self.calls}
        longest = 0.0
        for number in range(most):
            if number >= least and clock.left < longest:
                break
            began = time.monotonic()
            for name, call in list(self.calls.items()):
                taken = self.attempt(name, partial(self.timed, call))
                if taken is not None:
                    seconds[name].append(taken)
            longest = max(longest, time.monotonic() - began)
        whole = max((len(values) for values in seconds.values()), default=0)
        return {name: values for name, values in seconds.items() if len(values) == whole > 0}

    def timed(self, call: Case) -> float:
        if not self.on_gpu:
            began = time.perf_counter()
            discard(call())
            return time.perf_counter() - began
        torch.cuda.synchronize()
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        result = call()
        last.record()
        torch.cuda.synchronize()
        discard(result)
        return first.elapsed_time(last) / 1000

    def peak_mib(self, name: str) -> float | None:
        """What a call takes at its peak beyond what was there before; None without a GPU."""
        if not self.on_gpu or name not in self.calls:
            return None

        def measure() -> float:
            torch.cuda.synchronize()
            before = torch.cuda.memory_allocated()
            torch.cuda.reset_peak_memory_stats()
            discard(self.calls[name]())
            torch.cuda.synchronize()
            return (torch.cuda.max_memory_allocated() - before) / 2**20

        found: float | None = self.attempt(name, measure)
        return found

    def kernels(self, name: str, most: int = 14) -> list[dict[str, Any]] | None:
        """What a call starts on the GPU, kernels, copies and fills; None without one.

        The first entry is all of it; then come the kinds that take longest, with their
        milliseconds and counts.
        """
        if not self.on_gpu or name not in self.calls:
            return None

        def count() -> list[dict[str, Any]]:
            with profile(activities=[ProfilerActivity.CUDA]) as seen:
                discard(self.calls[name]())
                torch.cuda.synchronize()
            taken: dict[str, list[float]] = {}
            for event in seen.events() or ():
                if event.device_type == DeviceType.CUDA:
                    taken.setdefault(event.name[:110], []).append(event.device_time / 1000)
            kinds: list[dict[str, Any]] = [
                {"name": kind, "ms": round(sum(ms), 3), "count": len(ms)}
                for kind, ms in taken.items()
            ]
            kinds.sort(key=lambda kind: -kind["ms"])
            whole = {
                "name": "all",
                "ms": round(sum(kind["ms"] for kind in kinds), 3),
                "count": sum(kind["count"] for kind in kinds),
            }
            return [whole, *kinds[:most]]

        found: list[dict[str, Any]] | None = self.attempt(name, count)
        return found


def discard(result: Any) -> None:
    """Let go of a result here, and not after the clock has stopped."""
    del result


def spreads(seconds: dict[str, list[float]]) -> dict[str, Any]:
    return {name: {**spread(values), "n": len(values)} for name, values in seconds.items()}


def ratios(
    seconds: dict[str, list[float]], pairs: Iterable[tuple[str, str]]
) -> dict[str, dict[str, float]]:
    """Of pairs of calls, round by round; those that were not both timed are left out."""
    found = {}
    for over, under in pairs:
        if over in seconds and under in seconds:
            values = [a / b for a, b in zip(seconds[over], seconds[under], strict=True)]
            found[f"{over} / {under}"] = {**spread(values), "n": len(values)}
    return found
