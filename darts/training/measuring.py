"""What a piece of work costs: seconds, the most memory held at once, and multiply-adds."""

import ctypes
import gc
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, prod
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

TWICE_BELOW_SECONDS = 10.0
"""Shorter work is done twice at least: with a batch of a new size, the first time makes kernels."""
REPEATED_SECONDS = 1.0
REPETITIONS = 5
"""Short work is timed a few times, as long as all of it takes no more than a second."""


class Memory(ABC):
    """The memory of one device, in bytes."""

    @abstractmethod
    def held(self) -> int:
        """By this process now."""

    @abstractmethod
    def forget_peak(self) -> None:
        """Begin to look for the peak anew."""

    @abstractmethod
    def peak(self) -> int:
        """The most held at once since `forget_peak`."""

    @abstractmethod
    def free(self) -> float:
        """What this process may take beside what it holds."""


class HostMemory(Memory):
    """Resident memory of this process, by Linux's /proc.

    What the allocator keeps for later counts as held; `forget_peak` first gives it back to the
    system where the C library can (glibc), so that work measured earlier does not hide in it.

    Raises:
        ValueError: there is no /proc, or the peak cannot be reset.
    """

    def __init__(self) -> None:
        self.forget_peak()

    def held(self) -> int:
        return process_bytes("VmRSS")

    def forget_peak(self) -> None:
        gc.collect()
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
        try:
            Path("/proc/self/clear_refs").write_text("5")
        except OSError as error:
            raise ValueError(
                f"Memory is measured by Linux's /proc/self/clear_refs, which cannot be used here "
                f"({sys.platform}: {error.strerror}). Make the dry run on Linux or on a GPU."
            ) from error

    def peak(self) -> int:
        return process_bytes("VmHWM")

    def free(self) -> float:
        """The machine's available memory, or what is left of a control group's limit if less."""
        lines = Path("/proc/meminfo").read_text().splitlines()
        available = next(line for line in lines if line.startswith("MemAvailable:"))
        return min(1024 * int(available.split()[1]), *(_left(*group) for group in _GROUPS))


class CudaMemory(Memory):
    """Memory that PyTorch has allocated on a GPU; what its cache holds beside is not counted."""

    def __init__(self, device: str) -> None:
        self.device = device

    def held(self) -> int:
        return torch.cuda.memory_allocated(self.device)

    def forget_peak(self) -> None:
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self.device)

    def peak(self) -> int:
        return torch.cuda.max_memory_allocated(self.device)

    def free(self) -> float:
        return torch.cuda.mem_get_info(self.device)[0]


def memory_of(device: str) -> Memory:
    return CudaMemory(device) if torch.device(device).type == "cuda" else HostMemory()


def process_bytes(name: str) -> int:
    """This process's VmRSS (resident now) or VmHWM (at most so far), on Linux.

    Not `ru_maxrss`, which a process inherits from the one that started it.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])


_GROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
"""Limit and use of this process's control group, versions 2 and 1, as a container sees them."""


def _left(limit: str, used: str) -> float:
    try:
        return int(Path(limit).read_text()) - int(Path(used).read_text())
    except (OSError, ValueError):  # no such group, or its limit is "max"
        return inf


@dataclass(frozen=True)
class Cost:
    """What one piece of work took with so many images.

    Attributes:
        images: in its batch.
        wall_seconds: by the clock; the least if it was repeated, for what else runs can only add.
        cpu_seconds: of this process, all threads together: what the clock would show on an
            otherwise idle machine, with one thread on the CPU.
        peak_bytes: the most memory held at once, beyond a base.
    """

    images: int
    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int


def cost_of(work: Callable[[], Any], images: int, memory: Memory, base: int, device: str) -> Cost:
    """Do the work, several times if it is short, and say what it took."""
    memory.forget_peak()
    wall: list[float] = []
    cpu: list[float] = []
    while _again(wall):
        began = time.perf_counter(), time.process_time()
        work()
        if torch.device(device).type == "cuda":
            torch.cuda.synchronize(device)
        wall.append(time.perf_counter() - began[0])
        cpu.append(time.process_time() - began[1])
    return Cost(images, min(wall), min(cpu), memory.peak() - base)


def _again(seconds: list[float]) -> bool:
    """Whether work that took these so far is done once more."""
    if len(seconds) < 2:
        return not seconds or seconds[0] < TWICE_BELOW_SECONDS
    return len(seconds) < REPETITIONS and sum(seconds) + seconds[-1] < REPEATED_SECONDS


def extrapolated(costs: Sequence[Cost], images: int) -> Cost:
    """The cost with so many images: as measured, or on the line through the last two measured.

    Nothing says that cost is a straight line; what is not measured is a guess by two points.
    """
    last = costs[-1]
    if last.images == images or len(costs) == 1:
        return last
    first = costs[-2]
    share = (images - last.images) / (last.images - first.images)

    def on_line(name: str) -> float:
        low, high = getattr(first, name), getattr(last, name)
        return float(high + share * max(0, high - low))

    return Cost(
        images, on_line("wall_seconds"), on_line("cpu_seconds"), round(on_line("peak_bytes"))
    )


def multiply_adds_of(work: Callable[[], Any]) -> int:
    """Do the work and count the multiply-adds of its convolutions and matrix products.

    Gradients and products of second derivatives are counted as PyTorch's own operations take
    them; norms, activations, pools and sums are not counted.
    """
    counter = FlopCounterMode(
        display=False, custom_mapping={torch.ops.aten.convolution_backward: _backward_flops}
    )
    with counter:
        work()
    return int(counter.get_total_flops()) // 2


def _backward_flops(
    slope: Sequence[int],
    images: Sequence[int],
    weight: Sequence[int],
    *arguments: Any,
    **_: Any,
) -> int:
    """As many as the convolution itself for each of the two gradients that are asked for.

    PyTorch's own count takes every channel of a grouped convolution to meet every other.
    """
    transposed, output_mask = arguments[4], arguments[7]
    near = images if transposed else slope
    each = prod(near) * prod(weight[1:])
    return 2 * each * sum(map(bool, output_mask[:2]))
