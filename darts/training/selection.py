"""The selection after a search as a stage of its run: records, checkpoints, and a genotype."""

from typing import Any

from bilevel.state import State
from darts.parallel.launch import Devices
from darts.records.run_folder import Record, RunFolder
from darts.spaces import Genotype
from darts.training.loop import drive
from darts.training.searching import Searching
from darts.training.selecting import Selecting

STAGE = "selection"
DECISIONS = f"{STAGE}/decisions"
"""The stream of decisions: what was evaluated without each candidate, and what stayed."""


def select(
    searching: Searching, run: RunFolder, devices: Devices, origin: Any
) -> tuple[Genotype, Record]:
    """Choose, or go on choosing, on a searched supernet; the genotype, and what it took.

    A resumed selection has the same bits as one that was never interrupted, on the CPU: ω, its
    momentum and the decisions are in checkpoints of the stage.

    Args:
        searching: a search after its last step, whose config has a selection.
        run: the folder to write.
        devices: where it computes; one process.
        origin: the config as JSON.

    Raises:
        NonFiniteLossError: a loss or a gradient is not finite; the last checkpoint is kept.
        ValueError: a checkpoint in `run` is from another config.
    """
    stage = SelectionStage(searching, run)
    drive(stage, run, devices, origin, searching.config.checkpoint_share)
    stage.begin()  # where one round decides everything
    decided = [d for d in stage.selecting.decisions if "operation" in d]
    other = sum(d["operation"] != d["largest_weight"] for d in decided)
    run.note(
        f"Selected by removal: on {other} of {len(decided)} edges another operation than that of "
        "the largest mixing weight."
    )
    took = {
        "edges": len(decided),
        "unlike_weights": other,
        "evaluations": stage.selecting.evaluations,
        "wall_seconds": stage.wall_seconds,
    }
    return stage.selecting.genotype(), took


class SelectionStage:
    """A selection as the loop drives it: epochs of ω, and a round of decisions between some."""

    name = STAGE
    work = "selection"
    remedy = "Lower the learning rate of ω or the rate of the selection in a new run."

    def __init__(self, searching: Searching, run: RunFolder) -> None:
        removal = searching.config.selection
        assert removal is not None
        self.run, self.removal = run, removal
        self.selecting = Selecting(searching, removal)
        self.epochs, self.steps = self.selecting.epochs, self.selecting.steps
        self.wall_seconds = 0.0

    def begin(self) -> None:
        """Make the first round's decisions unless they are made."""
        if not self.selecting.decisions:
            self._decide(0)

    def enter(self, epoch: int, *, resumed: bool) -> None:
        self.begin()

    def step(self, epoch: int, step: int) -> None:
        self.selecting.step(epoch, step)

    def leave(self, epoch: int) -> None:
        number, rest = divmod(epoch + 1, self.removal.epochs)
        if rest == 0:
            self._decide(number)

    def ended(self) -> bool:
        return False

    def state(self) -> State:
        return {**self.selecting.state(), "wall_seconds": self.wall_seconds}

    def restore(self, state: State) -> None:
        self.selecting.restore(state)
        self.wall_seconds = state["wall_seconds"]

    def _decide(self, number: int) -> None:
        for decision in self.selecting.decide(number):
            self.run.append(DECISIONS, decision)
