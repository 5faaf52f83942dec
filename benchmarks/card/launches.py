"""Operations that a step starts on a GPU, counted on a CPU along the path that a GPU takes.

`python -m benchmarks.card.launches` counts, and writes docs/records/launches.json.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.optim import SGD
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.card.steps import ALPHA, FLOAT32, Stepping, ours
from benchmarks.records import commit
from benchmarks.steps import Setting, without_kernels
from benchmarks.tables import table
from darts.kernels import stack
from darts.networks import adapter, weighted_sum
from darts.spaces import depthwise
from darts.spaces.average_pool import AveragePool, spelled_out

RECORD = Path("docs/records/launches.json")
SETTING = Setting(batch=2)
"""Of the counts in docs/CARD.md: S1 at its full size. The size of the batch does not matter."""
ONE_BY_ONE, STACKED = "one by one", "on stacks"
"""Every term of a node and every leaf of ω by itself, or together, as on a GPU."""
WEIGHT, FIRST, EXACT = "weight step", "first-order α step", "amended exact"
FREE = {
    *("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "detach"),
    *("_efficientzerotensor", "_has_same_storage_numel", "_new_zeros_with_same_feature_meta"),
    *("_record_function_enter_new", "_record_function_exit", "promote_types", "to", "reshape"),
    *("_local_scalar_dense", "is_same_size", "_unsafe_view", "lift_fresh"),
}
"""Operations that start nothing, beside views."""
CONVOLUTIONS = {"convolution", "convolution_backward"}
NORMS = {"native_batch_norm", "native_batch_norm_backward", "var_mean", "rsqrt"}
COPIES = {
    *("clone", "copy_", "_to_copy", "cat", "stack", "constant_pad_nd", "slice_backward"),
    *("zeros", "zeros_like", "ones", "ones_like", "new_zeros", "full", "fill_", "zero_"),
}
TENSORS_OF_A_CAT = 128
TENSORS_OF_A_LIST = {1: 110, 2: 64, 3: 48}
"""That one kernel takes, in PyTorch's CUDA code; of lists by the number of lists."""


class Count(TorchDispatchMode):
    """Counts what starts a kernel, by its name in ATen; a long list counts as several."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.overloadpacket.__name__
        if name not in FREE and not func.is_view:
            self.found[name] += _kernels(name, args)
        return func(*args, **(kwargs or {}))

    @property
    def groups(self) -> dict[str, int]:
        """The counts of a few groups, and of all."""
        kinds = {"convolutions": CONVOLUTIONS, "norms": NORMS, "copies and fills": COPIES}
        counts = {kind: sum(self.found[name] for name in names) for kind, names in kinds.items()}
        whole = self.found.total()
        return {**counts, "sums, products and others": whole - sum(counts.values()), "all": whole}


def _kernels(name: str, args: Any) -> int:
    """How many kernels an operation starts at least."""
    if name == "convolution_backward":  # one for the map and one for the weight, as asked
        return sum(args[-1])
    if name in ("cat", "stack"):
        return -(-len(args[0]) // TENSORS_OF_A_CAT)
    if name.startswith(("_foreach", "_fused")):
        lists = [x for x in args if isinstance(x, list | tuple) and x and isinstance(x[0], Tensor)]
        made = not name.endswith("_")  # a list of results is written beside those read
        return -(-len(lists[0]) // TENSORS_OF_A_LIST[min(3, len(lists) + made)])
    return 1


@contextmanager
def path_of_a_gpu(*, stacked: bool = True) -> Iterator[None]:
    """Let tensors on the CPU take the path of a GPU, as far as this project chooses it."""
    with ExitStack() as changes:

        def change(where: Any, name: str, by: Any) -> None:
            changes.enter_context(mock.patch.object(where, name, by))

        changes.enter_context(without_kernels())
        change(depthwise, "quicker", lambda x, weight, dilation: False)
        change(depthwise, "phases_are_quicker", lambda x, dilation: dilation > 1)
        change(AveragePool, "forward", lambda self, x: spelled_out(x, *self._window))
        change(weighted_sum, "stackable", stack.plain)
        change(adapter, "joining_pays", lambda omega: True)
        if not stacked:
            changes.enter_context(one_by_one())
        yield


@contextmanager
def one_by_one() -> Iterator[None]:
    """Let every term of a node, and the weight decay of every weight, be taken by itself."""
    with (
        mock.patch.object(weighted_sum, "stackable", return_value=False),
        mock.patch.object(adapter, "joining_pays", return_value=False),
    ):
        yield


def stepping_of(setting: Setting) -> Stepping:
    """The project's supernet as it lies on a GPU, with the optimiser of ω that is used there."""
    made = ours(setting, "cpu")
    made.network.to(memory_format=torch.channels_last)
    made.inner = SGD(made.omega.values(), lr=0.025, momentum=0.9, fused=True)
    return made


def counted(made: Stepping, step: str, *, stacked: bool) -> Count:
    """What one step starts; within `path_of_a_gpu`."""
    with path_of_a_gpu(stacked=stacked):
        run = made.weight_step(FLOAT32) if step == WEIGHT else made.alpha_step(ALPHA[step], FLOAT32)
        with Count() as count:
            run()
    return count


def section(timed: dict[str, Any] | None = None, path: Path = RECORD) -> list[str]:
    """The counts as a part of docs/CARD.md, and what a GPU made of them if it was timed."""
    if not path.exists():
        return []
    record = json.loads(path.read_text())
    groups = ("convolutions", "norms", "copies and fills", "sums, products, others", "all")
    rows = [
        (step, form, *(f"{n:,}" for n in counts.values()))
        for step, forms in record["counts"].items()
        for form, counts in forms.items()
    ]
    return [
        "## Operations a step",
        "These are counts and no times. They were taken on a CPU, along the path that a GPU "
        "takes, by `python -m benchmarks.card.launches`, for S1 with 16 channels and 8 cells. "
        + _said_of(timed or {}),
        "*One by one*, every term of a node is normed, weighted and added by itself, and so is "
        "the weight decay of every weight. *On stacks*, a node does this for all of its terms at "
        "once, in a fixed number of operations.",
        table(("", "form", *groups), rows),
        "Views and allocations are left out. An operation can start more than one kernel: "
        "PyTorch's batch norm takes several. Norms in products count here as the operations that "
        "they are written in, and a GPU with Triton makes fewer kernels of them.",
    ]


def _said_of(timed: dict[str, Any]) -> str:
    """The times of the two forms beside each other, or that there are none."""
    ratios = timed.get("ratios", {})
    if not ratios:
        return (
            "**The form on stacks, which a GPU takes, was not run on a GPU.** No time of it was "
            "measured there: all times on this page belong to the form one by one."
        )
    found = "; ".join(
        f"{name.split(': ')[-1]}, {r['median']:.2f} ({r['low']:.2f} to {r['high']:.2f})"
        for name, r in ratios.items()
    )
    return f"On the GPU, captured and in turns, time one by one over time on stacks: {found}."


def main() -> None:
    counts: dict[str, dict[str, dict[str, int]]] = {}
    for step in (WEIGHT, FIRST, EXACT):
        counts[step] = {}
        for form in (ONE_BY_ONE, STACKED):
            made = stepping_of(SETTING)
            counts[step][form] = counted(made, step, stacked=form == STACKED).groups
            print(step, form, counts[step][form], flush=True)
    record = {"commit": commit(), "torch": torch.__version__, "counts": counts}
    RECORD.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
