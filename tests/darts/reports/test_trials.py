"""What trials side by side say: where each stands, the sum, and which number of them pays."""

import io

from rich.console import Console

from darts.parallel.tasks import Outcome
from darts.reports.packing import lines, print_side_by_side
from darts.reports.trials import Position, Telling, TrialsProgress
from darts.training.side_by_side import Count, SideBySide, numbers_up_to


class Clock:
    def __init__(self):
        self.time = 0.0

    def __call__(self):
        return self.time


def test_a_trial_tells_where_it_stands_twice_a_second_at_most_and_at_the_end():
    told, clock = [], Clock()
    telling = Telling(told.append, clock)
    telling.begin("search", 2, 10, (0, 5))  # resumed in the middle of the first epoch
    for step in range(5, 20):
        clock.time += 0.2
        telling.tick("search", step // 10, step % 10)
    assert told[0] == Position("search", 2, 0.5, None)
    assert [round(p.done, 6) for p in told] == [0.5, 0.8, 1.1, 1.4, 1.7, 2.0]
    # ten steps an epoch of .2 s each, whatever was done before this process
    assert [round(p.left_seconds, 6) for p in told[1:]] == [2.4, 1.8, 1.2, 0.6, 0.0]


def test_without_a_terminal_one_line_a_minute_says_where_all_stand_and_what_is_left():
    shown, clock = io.StringIO(), Clock()
    progress = TrialsProgress(4, 1, 2, Console(file=shown, width=200, soft_wrap=True), clock)
    for name in ("a", "b"):
        progress.began(name)
    progress.heard("a", Position("search", 50, 3.5, 3600.0))
    clock.time = 61.0
    progress.heard("b", Position("retrain", 9, 1.0, None))
    progress.heard("a", Position("search", 50, 4.5, 3500.0))
    assert shown.getvalue() == ("  a: search 3/50, left 1:00:00; b: retrain 1/9; 1 of 4 done\n")
    clock.time = 100.0
    progress.ended("a", "")
    progress.outcome(Outcome("a", "fine", failed=False))
    # b has gone on for 100 s of 100, one trial is not begun, two go at a time
    assert shown.getvalue().splitlines()[-1] == "a: fine (2 of 4 done, left 0:50)"
    progress.began("c")
    progress.ended("c", "its process was killed by SIGKILL; it is begun again")
    progress.began("c")
    progress.ended("c", "")
    progress.outcome(Outcome("c", "no", failed=True))
    last = shown.getvalue().splitlines()[-2:]
    assert last[0] == "c: its process was killed by SIGKILL; it is begun again"
    assert last[1].startswith("c: FAILED: no (2 of 4 done")


def test_in_a_terminal_each_trial_has_a_bar_until_it_ends():
    shown = io.StringIO()
    progress = TrialsProgress(2, 0, 1, Console(file=shown, width=100, force_terminal=True), Clock())
    progress.began("eta-0/seed-0")
    progress.heard("eta-0/seed-0", Position("search", 50, 3.5, 60.0))
    assert progress._bars is not None
    progress._bars.refresh()
    said = shown.getvalue()
    assert "eta-0/seed-0" in said
    assert "search 3/50, left 1:00" in said
    assert "0 of 2 done" in said
    progress.ended("eta-0/seed-0", "")
    assert [task.description for task in progress._bars.tasks] == ["all"]
    progress.close()


def test_the_fewest_workers_near_the_most_steps_are_recommended():
    assert [numbers_up_to(n) for n in (1, 2, 6, 8)] == [(1,), (1, 2), (1, 2, 4, 6), (1, 2, 4, 8)]
    counts = (Count(1, 10.0), Count(2, 19.2), Count(4, 20.0), Count(8, 0.0, "out of memory"))
    found = SideBySide(counts, steps_per_epoch=100)
    assert found.best == counts[1]  # 19.2 of 20 is within 5 %
    assert SideBySide((*counts[:1], Count(2, 18.9), *counts[2:]), 100).best == counts[2]
    assert found.epochs_per_hour(counts[1]) == 19.2 * 3600 / 100
    shown = io.StringIO()
    print_side_by_side(found, "t", "Memory: m.", "darts sweep", Console(file=shown, width=120))
    rows = [line.split("│")[1:-1] for line in shown.getvalue().splitlines() if line[0] == "│"]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["1", "10", "1.00×", "360.0"],
        ["2", "19.2", "1.92×", "691.2"],
        ["4", "20", "2.00×", "720.0"],
        ["8", "failed", "", ""],
    ]
    said = lines(found, "Memory: m.", "darts sweep --workers 2")
    assert said[1] == "8 workers: out of memory"
    assert said[2].startswith("Recommended: --workers 2, the fewest within 5%")
