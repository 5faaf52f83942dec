"""Tasks in processes of this machine, some at a time: one that fails or dies stops no other."""

import os
import pickle
import signal
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import Any, Protocol

from darts.parallel.tasks import RESTARTS, Outcome, Task

PATIENCE_SECONDS = 60.0
"""For the step of a worker that was interrupted; it is lost if it takes longer."""


@dataclass(frozen=True)
class Done:
    """The last word of a task that succeeded."""

    line: str


class Follower(Protocol):
    """Receives the messages of tasks."""

    def began(self, name: str) -> None: ...

    def heard(self, name: str, message: object) -> None: ...

    def ended(self, name: str, note: str) -> None:
        """A task has no process any more; `note` says why, if it is to have another."""

    def stopping(self, names: list[str]) -> None:
        """Ctrl-C: those named now finish their steps."""


@dataclass(frozen=True)
class Failure:
    """The error of a process, in a line."""

    line: str


class Worker:
    """A process of its own for one piece of work, and the pipe to it.

    It ends when this process ends, in whatever way. Ctrl-C in a terminal does not reach it;
    `interrupt` does. It imports the main script anew, as all processes that `spawn` starts do.

    Args:
        work: a function of the other end of the pipe, called in the new process.

    Raises:
        ValueError: the work cannot be sent to another process, or the main script would start
            workers in every worker.
    """

    def __init__(self, work: Callable[[Connection], object]) -> None:
        context = get_context("spawn")
        self.connection, other = context.Pipe()
        filters = list(warnings.filters)
        self.process = context.Process(target=_live, args=(work, other, filters))
        try:  # the process begins with Ctrl-C held back, until it is in a group of its own
            with ctrl_c_held_back():
                self.process.start()
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ValueError(
                f"A task cannot be sent to a process of its own ({error}). Define functions and "
                "classes at the top of a module, not inside others."
            ) from error
        except RuntimeError as error:
            if "bootstrapping" not in str(error):
                raise
            raise ValueError(
                "The script that began this starts it again in every worker. Put its last call "
                'below if __name__ == "__main__":'
            ) from error
        finally:
            other.close()

    def hear(self) -> object:
        """The next message of the process; waits for it.

        Raises:
            EOFError: it has ended.
        """
        try:
            return self.connection.recv()
        except ConnectionResetError as error:
            raise EOFError from error

    def answer(self, who: str) -> object:
        """The next message of the process, which errors call `who`.

        Raises:
            ValueError: it failed, where `telling_failures` says so, or died.
        """
        try:
            answer = self.hear()
        except EOFError:
            code = self.end(patience_seconds=1.0)
            raise ValueError(
                f"{who} ended with status {code} and no answer; -9 is often for want of memory."
            ) from None
        if isinstance(answer, Failure):
            raise ValueError(f"{who} failed: {answer.line}")
        return answer

    def interrupt(self) -> None:
        """Ctrl-C, for this process alone."""
        if self.process.pid is not None and self.process.is_alive():
            os.kill(self.process.pid, signal.SIGINT)

    def end(self, patience_seconds: float = 0.0) -> int | None:
        """Wait for its end, kill it after so long, and say its exit code."""
        self.process.join(patience_seconds)
        self.process.kill()
        self.process.join()
        code = self.process.exitcode
        self.connection.close()
        return code


def _live(work: Callable[[Connection], object], connection: Connection, filters: list[Any]) -> None:
    """The life of a worker, which warns of what its parent warns of."""
    warnings.filters[:] = filters  # type: ignore[index]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may ignore it
    os.setpgid(0, 0)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        work(connection)
    except KeyboardInterrupt:  # what was to be saved has been
        raise SystemExit(128 + signal.SIGINT) from None


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


class Terminated(KeyboardInterrupt):
    """SIGTERM was sent to this process."""

    signal = signal.SIGTERM


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """In this block the first SIGTERM is a KeyboardInterrupt, and a second one ends the process.

    One that the process handles itself is left as it is.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return

    def terminate(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def ctrl_c_held_back() -> Iterator[None]:
    """Ctrl-C has its effect at the end: begin a worker and note it here, so that none is lost.

    So has SIGTERM where it is as Ctrl-C. A new process begins with the one blocked. The block holds
    for this thread alone, and the system may give the signal to another, so that handlers are
    replaced as well.
    """
    noted: list[int] = []
    main = threading.current_thread() is threading.main_thread()
    found = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    replaced = {number: handler for number, handler in found.items() if main and callable(handler)}
    for number in replaced:
        signal.signal(number, lambda number, frame: noted.append(number))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for number, handler in replaced.items():
            signal.signal(number, handler)
        if noted:
            signal.raise_signal(noted[0])


@contextmanager
def telling_failures(connection: Connection) -> Iterator[None]:
    """In a worker: send an error of this block to the parent, in a line."""
    try:
        yield
    except Exception as error:
        connection.send(Failure(f"{type(error).__name__}: {error}"))


def run_beside(
    tasks: Mapping[str, Task], workers: int, follower: Follower, *, restarts: int = RESTARTS
) -> Iterator[Outcome]:
    """Do every task in a new process, `workers` at a time; outcomes as they come.

    A task whose process dies (killed, out of memory) is begun again up to `restarts` times; one
    that raises has failed, and the others go on. At Ctrl-C or SIGTERM all finish what they save,
    within `PATIENCE_SECONDS`; at a second one they are killed. No process is left when this ends.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed; its subclass `Terminated`, SIGTERM was sent.
        ValueError: a task cannot be sent to a process.
    """
    waiting = list(tasks)
    running: dict[str, Worker] = {}
    deaths: Counter[str] = Counter()

    def stopping() -> None:
        follower.stopping(list(running))

    with sigterm_as_ctrl_c(), ended_in_any_case(running.values(), stopping):
        while waiting or running:
            while waiting and len(running) < workers:
                name = waiting.pop(0)
                with ctrl_c_held_back():
                    running[name] = Worker(partial(_do, tasks[name]))
                follower.began(name)
            for name in _ready(running):
                try:
                    said = running[name].hear()
                except EOFError:
                    said = None
                if said is not None and not isinstance(said, Done | Failure):
                    follower.heard(name, said)
                    continue
                code = running[name].end(PATIENCE_SECONDS)
                del running[name]
                if said is not None:
                    follower.ended(name, "")
                    yield Outcome(name, said.line, isinstance(said, Failure))
                    continue
                deaths[name] += 1
                again = deaths[name] <= restarts
                follower.ended(name, f"{_death(code)}; it is begun again" if again else "")
                if again:
                    waiting.insert(0, name)
                else:
                    yield Outcome(name, f"{_death(code)}, {deaths[name]} times", failed=True)


@contextmanager
def ended_in_any_case(
    workers: Collection[Worker], stopping: Callable[[], object] = lambda: None
) -> Iterator[None]:
    """Leave no worker behind, those included that join the collection meanwhile.

    At Ctrl-C `stopping` is called, and the workers are interrupted. A worker that still runs at
    the end is killed.
    """
    try:
        yield
    except KeyboardInterrupt:
        stopping()
        interrupt(workers)
        raise
    finally:
        for worker in workers:
            worker.end()


def interrupt(workers: Collection[Worker]) -> None:
    """Send Ctrl-C to all, and wait for their ends for `PATIENCE_SECONDS` at most."""
    for worker in workers:
        worker.interrupt()
    deadline = time.monotonic() + PATIENCE_SECONDS
    for worker in workers:
        worker.process.join(max(0.0, deadline - time.monotonic()))


def _do(task: Task, connection: Connection) -> None:
    """A task in its process."""
    with telling_failures(connection):
        line = task(connection.send)
        connection.send(Done(line))


def _ready(running: Mapping[str, Worker]) -> list[str]:
    """Those that have said something, or ended; waits for one."""
    ready = wait([worker.connection for worker in running.values()])
    return [name for name, worker in running.items() if worker.connection in ready]


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        return f"its process was killed by {signal.Signals(-code).name}"
    return f"its process ended with status {code}"
