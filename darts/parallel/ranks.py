"""The processes of one run: each has its shard of every batch, and all hold the same numbers."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from bilevel import BilevelProblem
from bilevel.distributed import averaged, gathered
from darts.spaces.joint_draws import Shard, share_draws
from darts.spaces.shared_statistics import share_statistics

Made = TypeVar("Made")


@dataclass(frozen=True)
class Ranks:
    """This process among those of its run; of one alone every method is the identity.

    Every process draws for the whole batch by the same seed and reads its shard, so that the joint
    batch is that of one process. Sums over processes have the same bits on all of them, hence so
    have ω, α and all decisions. Sums over shards round otherwise than the sum of the whole: a run
    on another number of processes has other bits.

    All processes must make the same calls in the same order. A call raises RuntimeError or
    torch's DistBackendError when another process is gone, at once or after the group's timeout.

    Args:
        index: number of this process, from 0.
        count: number of processes. Above 1 there is a process group.
        device: device of the tensors that are sent.
    """

    index: int = 0
    count: int = 1
    device: str = "cpu"

    @property
    def first(self) -> bool:
        """Whether this is the process that reads, writes and speaks."""
        return self.index == 0

    @property
    def shard(self) -> Shard:
        return Shard(self.index, self.count)

    def problem(self, own: BilevelProblem) -> BilevelProblem:
        """The problem of the joint batch, from the one of this process's shard."""
        return own if self.count == 1 else averaged(own)

    def join(self, network: nn.Module) -> None:
        """Let batch norm see the joint batch, and masks be drawn for it. In place."""
        if self.count > 1:
            share_statistics(network, gathered)
            share_draws(network, self.shard)

    @torch.no_grad()
    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace gradients of means over shards by that of the mean over the joint batch."""
        if self.count == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients]) / self.count
        dist.all_reduce(flat)
        parts = torch.split(flat, [gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view(gradient.shape))

    def sums(self, *values: float) -> tuple[float, ...]:
        """Each number summed over the processes, in float64."""
        if self.count == 1:
            return values
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return tuple(total.tolist())

    def largest(self, *values: int) -> int:
        """The largest number that any process passes, and no less than 0; each passes its own."""
        own = max(values, default=0)
        if self.count == 1:
            return own
        found = torch.tensor([own], device=self.device)
        dist.all_reduce(found, op=dist.ReduceOp.MAX)
        return int(found)

    def mean(self, value: Tensor) -> Tensor:
        """A number averaged over the processes, without its graph."""
        if self.count == 1:
            return value.detach()
        total = value.detach() / self.count
        dist.all_reduce(total)
        return total

    def from_first(self, make: Callable[[], Any]) -> Any:
        """The result of `make`, JSON, which is called on the first process only.

        Raises:
            ValueError: on the others, if `make` raised it, or OSError, on the first.
        """
        if self.count == 1:
            return make()
        value, failure = None, None
        if self.first:
            try:
                value = make()
            except (ValueError, OSError) as error:
                failure = error
        answer = {"value": value, "failure": failure and str(failure)}
        answer = json.loads(self.bytes_from_first(json.dumps(answer).encode()))
        if failure is not None:
            raise failure
        if answer["failure"] is not None:
            raise ValueError(answer["failure"])
        return answer["value"]

    def bytes_from_first(self, content: bytes) -> bytes:
        """The first process's `content`; what others pass is not looked at."""
        if self.count == 1:
            return content
        length = torch.tensor([len(content)], device=self.device)
        dist.broadcast(length, src=0)
        if self.first:
            sent = torch.frombuffer(bytearray(content), dtype=torch.uint8).to(self.device)
        else:
            sent = torch.empty(int(length), dtype=torch.uint8, device=self.device)
        dist.broadcast(sent, src=0)
        return sent.cpu().numpy().tobytes()

    def in_turn(self, make: Callable[[], Made]) -> Made:
        """`make()` on the first process, and then on the others, which find what it fetched."""
        made: list[Made] = []
        self.from_first(lambda: made.append(make()))
        return made[0] if made else make()


ALONE = Ranks()
