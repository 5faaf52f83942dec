"""The cost of a piece of work: seconds, and the most memory held at once."""

import ctypes
import gc
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from pathlib import Path
from statistics import median

import torch

WARM_UP, TIMED = 2, 5
"""How often short work is done before it is timed, and then timed."""
SHORT_SECONDS, LONG_SECONDS = 1.0, 10.0
"""Work is repeated until so much has passed; twice at least, if it takes no longer than the second:
with a batch of a new size, the first time makes kernels."""


class HostMemory:
    """Resident memory of this process in bytes, by Linux's /proc.

    What the allocator keeps for later counts as held; `forget_peak` first gives it back to the
    system where the C library can (glibc), so that work measured earlier does not hide in it.

    Raises:
        ValueError: there is no /proc, or the peak cannot be reset.
    """

    def __init__(self) -> None:
        self.forget_peak()

    def held(self) -> int:
        """Bytes that this process holds."""
        return process_bytes("VmRSS")

    def forget_peak(self) -> None:
        """Reset the peak."""
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
        """The most held at once since `forget_peak`."""
        return process_bytes("VmHWM")

    def free(self) -> float:
        """The machine's available memory, or what is left of a control group's limit if less."""
        available = _kilobytes("/proc/meminfo", "MemAvailable")
        return min(available, *(_left(*group) for group in _GROUPS))


class CudaMemory:
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


Memory = HostMemory | CudaMemory


def memory_of(device: str) -> Memory:
    return CudaMemory(device) if torch.device(device).type == "cuda" else HostMemory()


def process_bytes(name: str) -> int:
    """This process's VmRSS (resident now) or VmHWM (at most so far), on Linux.

    Not `ru_maxrss`, which a process inherits from the one that started it.
    """
    return _kilobytes("/proc/self/status", name)


def _kilobytes(path: str, name: str) -> int:
    lines = Path(path).read_text().splitlines()
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
    """The measured cost of one piece of work.

    Attributes:
        wall_seconds: time by the clock; the median of the times it was done.
        cpu_seconds: CPU time of this process, all threads together, likewise. With one thread it
            is the time by the clock of an otherwise idle machine.
        peak_bytes: most memory held at once, beyond a base.
        warm_up_seconds: CPU seconds that the first times took beyond that.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int
    warm_up_seconds: float = 0.0


def cost_of(work: Callable[[], object], memory: Memory, base: int, device: str) -> Cost:
    """Do the work a few times, or once if it is long, and return its cost."""
    memory.forget_peak()
    wall: list[float] = []
    cpu: list[float] = []
    while (len(wall) < WARM_UP + TIMED and sum(wall) < SHORT_SECONDS) or (
        len(wall) < 2 and sum(wall) < LONG_SECONDS
    ):
        began = time.perf_counter(), time.process_time()
        work()
        if torch.device(device).type == "cuda":
            torch.cuda.synchronize(device)
        wall.append(time.perf_counter() - began[0])
        cpu.append(time.process_time() - began[1])
    first = min(WARM_UP, len(wall) - 1)
    usual = median(cpu[first:])
    extra = sum(max(0.0, seconds - usual) for seconds in cpu[:first])
    return Cost(median(wall[first:]), usual, memory.peak() - base, extra)
