"""A step of training that is captured once, as a graph of the GPU's work, and then replayed.

Hundreds of small kernels make a step, and Python takes longer to start them than a GPU to run
them. A graph starts them all at once.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from bilevel.estimators import Amended, DartsSecondOrder, Estimator, FirstOrder, Identity
from bilevel.reading import left_on_device
from darts.config.compute import Computing
from darts.data import Batch
from darts.networks.layout import LaidOut
from darts.parallel.launch import Devices

Update = Callable[..., Tensor]
"""One step on one batch or several, in place; what was measured, in one tensor."""
Recorder = Callable[[Callable[[], Tensor]], Callable[[], Tensor]]
"""From a function without arguments to one that does the same again, in the same memory."""
NEEDING_NO_NUMBER = (FirstOrder, Identity, Amended, DartsSecondOrder)
"""Estimators that decide nothing by a number they have read; the others search for a q."""
GPU_LAYOUT = torch.channels_last
"""How a network's feature maps lie in a GPU's memory; docs/CARD.md has both layouts."""
WARM_UP = 3
"""Steps before a capture: libraries choose their kernels, optimisers make their buffers."""


def needed_reads(computing: Computing, estimator: Estimator | None = None) -> str | None:
    """Why a step has to read numbers before its end; None if it can leave all on the device.

    Args:
        computing: the way of computing.
        estimator: the estimator of a search step; a step of weights alone has none.
    """
    if estimator is not None and type(estimator) not in NEEDING_NO_NUMBER:
        return f"{type(estimator).__name__} decides by numbers that it reads"
    if computing.processes > 1:
        return "several processes share them"
    if computing.precision == "fp16":
        return "fp16 scales losses by numbers that it reads"
    return None


def cuda_graph(function: Callable[[], Tensor], pool: Any = None) -> Callable[[], Tensor]:
    """The function's work on the GPU as a graph; capturing does not do it yet.

    Args:
        function: the function to capture; each replay overwrites its result.
        pool: memory of other graphs to share, if none of them is to be kept between two replays.

    Raises:
        RuntimeError: it does what a graph cannot hold, or there is no memory for it.
    """
    graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
    try:
        with torch.cuda.graph(graph, pool=pool):
            result = function()
    finally:
        torch.cuda.set_stream(stream)  # a capture that fails leaves its own one

    def replay() -> Tensor:
        graph.replay()
        return result

    return replay


class CapturedStep:
    """An update that is taken as it is for a few steps, and then captured and replayed.

    Everything that the update reads has to stay where it is in memory: ω, α, optimisers' buffers
    and rates. Batches are copied into buffers of its own. What it draws follows the random state
    at each replay, as it would have without a graph.

    Args:
        update: moves ω and α, and reads no number.
        record: the function that captures, `cuda_graph`.
    """

    def __init__(self, update: Update, record: Recorder) -> None:
        self._update = update
        self._record = record
        self._left = WARM_UP
        self._batches: tuple[Batch, ...] = ()
        self._replay: Callable[[], Tensor] | None = None

    def __call__(self, *batches: Batch) -> Tensor:
        """One step; what was measured is overwritten by the next.

        Raises:
            NotCapturedError: the capture failed; the step has not been taken.
        """
        with left_on_device():
            if self._left > 0:
                self._left -= 1
                return self._update(*batches)
            if self._replay is None:
                self._replay = self._captured(*batches)
            for own, given in zip(self._batches, batches, strict=True):
                own.images.copy_(given.images)
                own.labels.copy_(given.labels)
            return self._replay()

    def _captured(self, *batches: Batch) -> Callable[[], Tensor]:
        self._batches = own = tuple(Batch(b.images.clone(), b.labels.clone()) for b in batches)
        try:
            return self._record(lambda: self._update(*own))
        except RuntimeError as error:
            first_error: BaseException = error
            while first_error.__context__ is not None:  # the others follow from it
                first_error = first_error.__context__
            kind = type(first_error).__name__
            line = next(iter(str(first_error).strip().splitlines()), "")
            raise NotCapturedError(f"{kind}: {line}") from error


class NotCapturedError(RuntimeError):
    """A step could not be captured, and why."""


class Capturing:
    """Steps that are captured where they can be, and else taken as they are.

    Args:
        record: the function that captures; None captures nothing.
        note: called once, with a line that says why steps are not captured.
    """

    def __init__(self, record: Recorder | None, note: Callable[[str], None]) -> None:
        self._record = record
        self._note = note
        self._said: set[str] = set()
        self._step: CapturedStep | None = None
        self._same: object = None

    def __call__(
        self, update: Update, *batches: Batch, same: object, reason: str | None = None
    ) -> Tensor:
        """One step that reads no number.

        Args:
            update: the step; it is kept and replayed as long as `same` stays.
            batches: the batches of the step.
            same: all that the step depends on besides tensors that stay in their place.
            reason: the reason why it cannot be captured; None if it can.
        """
        if reason is not None and self._record is not None:
            self._say(reason)
        elif self._record is not None:
            if self._step is None or self._same != same:
                self._step, self._same = CapturedStep(update, self._record), same
            try:
                return self._step(*batches)
            except NotCapturedError as error:
                self.stop(str(error))
        with left_on_device():
            return update(*batches)

    def stop(self, reason: str) -> None:
        """Capture nothing from here on, and say why."""
        self._record = None
        self.forget()
        self._say(reason)

    def forget(self) -> None:
        """Capture anew: the tensors that a captured step reads have moved."""
        self._step = None

    def _say(self, reason: str) -> None:
        if reason not in self._said:
            self._said.add(reason)
            self._note(f"Steps are not captured: {reason}.")


def capturing_on(
    devices: Devices,
    note: Callable[[str], None],
    record: Recorder | None,
    estimator: Estimator | None = None,
) -> tuple[Capturing, bool]:
    """What takes the steps of a stage, and whether these read no number before their end.

    Args:
        devices: the device, and whether steps are to be captured there.
        note: called with a line that says why steps are not captured, where that was asked for.
        record: the function that captures; None decides by `devices`.
        estimator: the estimator of a search's steps.
    """
    computing, on_gpu = devices.computing, _is_gpu(devices.device)
    if record is None and computing.capture and on_gpu:
        record = cuda_graph
    # a step without reads is worth it on a GPU, and is what can be captured
    needed = needed_reads(computing, estimator)
    reads_nothing = needed is None and (on_gpu or record is not None)
    capturing = Capturing(record, note)
    if computing.capture and not reads_nothing:
        capturing.stop(needed or "there is no GPU")
    return capturing, reads_nothing


def lay_out(network: LaidOut, device: str) -> None:
    """Weights as feature maps on a GPU, so that no convolution turns them around. In place."""
    if _is_gpu(device):
        network.layout = GPU_LAYOUT
        network.to(memory_format=GPU_LAYOUT)


def _is_gpu(device: str) -> bool:
    return torch.device(device).type == "cuda"
