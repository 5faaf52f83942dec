"""One stage of a run, killed with SIGKILL at random moments until it is done.

    python -m tests.darts.runs.killing STAGE FOLDER LIVES SEED

writes FOLDER/0/whole, never interrupted, and FOLDER/0/killed, and prints where each life ended;
then FOLDER/1 with fewer checkpoints. A life is a process of its own, forked after all has been
imported, and lasts a random part of the time of the whole run; half of LIVES end so in each
folder, and one more goes on to the end.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from darts.data import RetrainData, SearchData
from darts.runs.records import RunFolder
from darts.runs.retrain import retrain
from darts.runs.search import search
from darts.spaces import CellGenotype, Genotype
from tests.darts.runs.tiny import images, new_run, retrain_config, search_config

EPOCHS = 3
GENOTYPE = Genotype(
    tuple(
        CellGenotype(kind, (("sep_conv_3x3", 0), ("skip_connect", 1)), (2,))
        for kind in ("normal", "reduce")
    )
)
SHARES = (1.0, 0.3)
"""A checkpoint after every step, and after some."""


def stage(name: str, share: float, folder: Path) -> None:
    """Begin the stage, or go on with it."""
    run = RunFolder.open(folder) if (folder / "config.json").is_file() else new_run(folder)
    if name == "search":
        config = search_config(epochs=EPOCHS, checkpoint_share=share)
        search(config, SearchData.of(images(), config.train_share, config.seed), run)
    else:
        settings = retrain_config(epochs=EPOCHS, test_every=1, checkpoint_share=share)
        retrain(settings, GENOTYPE, RetrainData.of(images()), run)


def life(name: str, share: float, folder: Path, seconds: float | None) -> tuple[int, float]:
    """Fork, and kill the child after `seconds`; its wait status and how long it lived."""
    began = time.perf_counter()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            torch.manual_seed(os.getpid())  # the global random state must not matter
            stage(name, share, folder)
            status = 0
        finally:
            os._exit(status)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return status, time.perf_counter() - began


def main(name: str, folder: Path, lives: int, seed: int) -> int:
    """0 if the whole run ended well and the killed one did after its lives."""
    torch.set_num_threads(1)
    rng = random.Random(seed)
    stage(name, 0.01, folder / "warm")  # what is imported late is imported before the forks
    for number, share in enumerate(SHARES):
        whole, killed = folder / f"{number}" / "whole", folder / f"{number}" / "killed"
        status, seconds = life(name, share, whole, None)
        if status:
            return status
        kills = 0
        while kills < lives // len(SHARES):
            status, _ = life(name, share, killed, rng.uniform(0, 2.5 * seconds / lives))
            finished = not os.WIFSIGNALED(status)
            if finished and status:
                return status
            if finished:  # sooner than all kills were used: once more from the beginning
                _clear(killed)
                continue
            kills += 1
            done = sorted((killed / name / "checkpoints").glob("*.checkpoint"))
            print("killed at", done[-1].stem if done else "the beginning", flush=True)
        status, _ = life(name, share, killed, None)
        if status:
            return status
    return 0


def _clear(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
