"""One stage of a run, killed with SIGKILL at random moments until it is done.

    python -m tests.darts.training.killing STAGE FOLDER LIVES SEED

writes FOLDER/0/whole, never interrupted, and FOLDER/0/killed, and prints where each life ended;
then FOLDER/1 with fewer checkpoints. A life is a process of its own, forked after all has been
imported, and ends at a random moment before or after its steps begin; half of LIVES end so in each
folder, and one more goes on to the end.
"""

import os
import random
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from darts.data import RetrainData
from darts.records.run_folder import RunFolder
from darts.spaces import CellGenotype, Genotype
from darts.training.retrain import retrain
from darts.training.search import search
from tests.darts.training.tiny import Follower, images, new_run, retrain_config, search_config

GENOTYPE = Genotype(
    tuple(
        CellGenotype(kind, (("sep_conv_3x3", 0), ("skip_connect", 1)), (2,))
        for kind in ("normal", "reduce")
    )
)
SHARES = (1.0, 0.3)
"""A checkpoint after every step, and after some."""


class Announcer(Follower):
    """Writes a byte to a pipe as the steps begin."""

    def __init__(self, pipe: int) -> None:
        super().__init__()
        self.pipe = pipe

    def begin(self, *args: object) -> None:
        os.write(self.pipe, b"!")


def stage(name: str, settings: dict, folder: Path, *listeners: Follower) -> None:
    """Begin the stage, or go on with it."""
    if (folder / "config.json").is_file():
        run = RunFolder.open(folder, listeners)
    else:
        run = new_run(folder, *listeners)
    if name == "search":
        config = search_config(**settings)
        search(config, config.halves(images()), run)
    else:
        retrain(retrain_config(test_every=1, **settings), GENOTYPE, RetrainData.of(images()), run)


@dataclass(frozen=True)
class Life:
    """How a process ended, and how long it lived before and after its steps began."""

    status: int
    setup_seconds: float
    steps_seconds: float


def live(name: str, settings: dict, folder: Path, delay: float | None) -> Life:
    """Fork, and kill the child `delay` seconds after its first step, or −delay after the fork."""
    ear, mouth = os.pipe()
    began = time.perf_counter()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            torch.manual_seed(os.getpid())  # the global random state must not matter
            stage(name, settings, folder, Announcer(mouth))
            status = 0
        finally:
            os._exit(status)
    os.close(mouth)
    if delay is not None and delay < 0:  # counted from the fork, before the first step
        time.sleep(-delay)
        os.kill(child, signal.SIGKILL)
    os.read(ear, 1)
    os.close(ear)
    begun = time.perf_counter()
    if delay is not None and delay >= 0:
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return Life(status, begun - began, time.perf_counter() - begun)


def main(name: str, folder: Path, lives: int, seed: int) -> int:
    """0 if the whole run ended well and the killed one did after its lives."""
    torch.set_num_threads(1)
    rng = random.Random(seed)
    kills = lives // len(SHARES)
    settings = {"epochs": 2 + kills, "checkpoint_share": 1.0}
    stage(name, {**settings, "epochs": 1}, folder / "warm")  # late imports come before the forks
    for number, share in enumerate(SHARES):
        settings["checkpoint_share"] = share
        usual = live(name, settings, folder / f"{number}" / "whole", None)
        if usual.status:
            return usual.status
        for _ in range(kills):
            early = rng.random() < 0.2
            longest = -usual.setup_seconds if early else 1.5 * usual.steps_seconds / kills
            delay = rng.uniform(0, longest)
            life = live(name, settings, folder / f"{number}" / "killed", delay)
            if not os.WIFSIGNALED(life.status):
                print("ended before it was killed", flush=True)
                break
            states = folder / f"{number}" / "killed" / name / "checkpoints"
            done = sorted(states.glob("*.checkpoint"))
            print("killed at", done[-1].stem if done else "the beginning", flush=True)
        last = live(name, settings, folder / f"{number}" / "killed", None)
        if last.status:
            return last.status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
