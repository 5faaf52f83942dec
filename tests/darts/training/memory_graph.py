"""What a CUDA graph does, on the CPU: the recorded operations again, on the very same memory."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class MemoryGraph(TorchDispatchMode):
    """Records every operation; `replay` writes what each gives where it was written before.

    No Python of the function runs again: a number that it read, or a tensor that it made of one, is
    the same in each replay, as on a GPU. Nothing that was recorded is freed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, result))
        return result

    @torch.no_grad()
    def replay(self) -> None:
        for func, args, kwargs, result in self.calls:
            found = func(*args, **kwargs)
            for there, new in zip(tree_leaves(result), tree_leaves(found), strict=True):
                if _written(there) and not _same_memory(there, new):
                    there.copy_(new)


def _written(result: Any) -> bool:
    """Whether a result lies in memory; forward mode's zeros do not."""
    return isinstance(result, Tensor) and not result._is_zerotensor()


def _same_memory(first: Tensor, second: Tensor) -> bool:
    return first.untyped_storage().data_ptr() == second.untyped_storage().data_ptr()


class Recording:
    """Captures by a `MemoryGraph`. The first step is that of the recording itself."""

    def __init__(self) -> None:
        self.captures = self.replays = 0

    def __call__(self, function: Callable[[], Tensor]) -> Callable[[], Tensor]:
        self.captures += 1
        graph = MemoryGraph()
        result: list[Tensor] = []

        def replay() -> Tensor:
            self.replays += 1
            if result:
                graph.replay()
            else:
                with graph:
                    result.append(function())
            return result[0]

        return replay
