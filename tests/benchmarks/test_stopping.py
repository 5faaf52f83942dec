"""Runs of experiments that are stopped: after so many epochs, and when nobody waits for them."""

import multiprocessing
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.experiments.record import journal_lines
from benchmarks.experiments.run import carry_out
from benchmarks.experiments.searched import Searched
from tests.benchmarks.test_experiments import IMAGES, timeless, tiny


def test_a_search_stops_after_the_epochs_asked_for_and_goes_on(tmp_path):
    journal = tmp_path / "j.jsonl"
    place = IMAGES.load(), tmp_path / "run", journal
    for epochs, outcome in ((2, "stopped"), (2, "stopped"), (3, "complete")):
        assert carry_out(tiny(), *place, epochs=epochs) == outcome
        assert timeless(journal).keys() == set(range(epochs))


def _for_ever(folder: Path) -> None:
    endless = replace(tiny(), changes={"epochs": 100_000})
    assert isinstance(endless, Searched)
    carry_out(endless, IMAGES.load(), folder / "run", folder / "j.jsonl")
    (folder / "ended").touch()


def _begin_and_be_killed(folder: Path) -> None:
    multiprocessing.get_context("spawn").Process(target=_for_ever, args=(folder,)).start()
    while not (folder / "j.jsonl").is_file() or len(journal_lines([folder / "j.jsonl"])) < 2:
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_whose_parent_was_killed_ends(tmp_path):
    parent = multiprocessing.get_context("spawn").Process(
        target=_begin_and_be_killed, args=(tmp_path,)
    )
    parent.start()
    parent.join()
    assert parent.exitcode == -signal.SIGKILL
    end = time.time() + 60
    while not (tmp_path / "ended").exists():
        assert time.time() < end, "the worker goes on a minute after its parent was killed"
        time.sleep(0.05)
