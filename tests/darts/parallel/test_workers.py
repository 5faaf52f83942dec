"""Processes side by side: failures, deaths, Ctrl-C and a killed parent leave none behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from darts import cli
from darts.parallel import workers
from darts.parallel.workers import Worker, run_beside
from tests.darts.parallel import chores

ROOT = Path(cli.__file__).parents[1]
SECONDS = 120
"""Longest wait for a process on a busy machine."""


def test_a_task_that_raises_fails_alone_and_one_that_is_killed_begins_again(tmp_path):
    follower = chores.Printing()
    tasks = {
        "good": partial(chores.done, "fine"),
        "bad": chores.raising,
        "dead": chores.killed_always,
        "killed": partial(chores.killed_once, tmp_path / "mark"),
    }
    outcomes = {o.name: o for o in run_beside(tasks, 2, follower, restarts=1)}
    assert {name: (o.failed, o.line) for name, o in outcomes.items()} == {
        "good": (False, "fine"),
        "bad": (True, "ValueError: a loss that is not finite"),
        "dead": (True, "its process was killed by SIGKILL, 2 times"),
        "killed": (False, "went on"),
    }
    assert "heard good half" in follower.said
    assert "ended killed its process was killed by SIGKILL; it is begun again" in follower.said
    assert [line for line in follower.said if line.startswith("began")].count("began dead") == 2


def test_no_more_than_the_number_run_at_a_time_and_that_many_do(tmp_path):
    both, one = tmp_path / "both", tmp_path / "one"
    both.mkdir()
    one.mkdir()
    tasks = {name: partial(chores.meeting, both) for name in ("a", "b")}
    met = [outcome.line for outcome in run_beside(tasks, 2, chores.Printing())]
    assert met == ["met 1", "met 1"]  # each waited for the other
    follower = chores.Printing()
    for _ in run_beside({n: partial(chores.done, n) for n in "abc"}, 1, follower):
        pass
    assert follower.said == [
        line for name in "abc" for line in (f"began {name}", f"heard {name} half", f"ended {name}")
    ]


def test_a_worker_answers_and_what_it_cannot_be_sent_is_refused():
    worker = Worker(chores.answering)
    worker.connection.send(1)
    assert worker.answer("it") == 2
    assert worker.end(SECONDS) == 0
    with pytest.raises(ValueError, match="Define functions and classes at the top of a module"):
        Worker(lambda connection: None)
    worker = Worker(chores.answering)
    worker.connection.send("x")  # "x" + 1 raises, and the process dies of it
    with pytest.raises(ValueError, match="The process ended with status 1 and no answer"):
        worker.answer("The process")


def behind_a_shell() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.mark.parametrize("ending", ["Ctrl-C", "SIGTERM", "SIGKILL"])
def test_no_worker_outlives_the_process_that_began_it(ending, tmp_path):
    code = f"from tests.darts.parallel import chores; chores.sweep_for_ever({str(tmp_path)!r}, 2)"
    command = [sys.executable, "-c", code]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    pipes["preexec_fn"] = behind_a_shell if ending == "SIGTERM" else None
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True, **pipes) as parent:
        assert parent.stdout is not None
        heard: list[int] = []
        while len(heard) < 2:
            line = parent.stdout.readline()
            assert line, parent.stderr and parent.stderr.read()
            heard += [int(line.split()[2])] if line.startswith("heard") else []
        if ending == "Ctrl-C":
            os.killpg(parent.pid, signal.SIGINT)  # all of a terminal's group, as the terminal does
        else:
            parent.send_signal(signal.Signals[ending])
        said, _ = parent.communicate(timeout=SECONDS)
    statuses = {"Ctrl-C": -signal.SIGINT, "SIGTERM": 1, "SIGKILL": -signal.SIGKILL}
    assert parent.returncode == statuses[ending]
    deadline = time.monotonic() + SECONDS
    while any(alive(pid) for pid in heard):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    saved = {int(path.name.removeprefix("saved-")) for path in tmp_path.glob("saved-*")}
    if ending != "SIGKILL":
        assert "stopping a b" in said
        assert saved == set(heard)  # each heard of it, once, and ended in its own way
    else:
        assert not saved


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_ctrl_c_while_a_worker_begins_ends_that_one_too(monkeypatch):
    called: list[str] = []

    class Beginning:
        """A worker; Ctrl-C comes before anybody has it."""

        process = SimpleNamespace(join=lambda timeout: called.append("join"))

        def __init__(self, work):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.05)

        def interrupt(self):
            called.append("interrupt")

        def end(self):
            called.append("end")

    monkeypatch.setattr(workers, "Worker", Beginning)
    beside = threading.Thread(target=time.sleep, args=(0.2,))  # may get the signal instead
    beside.start()
    with pytest.raises(KeyboardInterrupt):
        next(run_beside({"a": chores.raising}, 1, chores.Printing()))
    beside.join()
    assert called == ["interrupt", "join", "end"]
