"""Progress is plain lines without a terminal and a bar with one; events can be read back."""

import io

import pytest
from rich.console import Console

from darts.reports.events import TensorBoardEvents
from darts.reports.progress import LiveProgress

EPOCH = {
    "epoch": 0,
    "train_loss": 1.5,
    "val_loss": 1.25,
    "val_accuracy_percent": 50.0,
    "operations": ["none", "skip_connect", "sep_conv_3x3"],
    "mixing": {"normal": [[0.5, 0.3, 0.2]], "reduce": [[0.2, 0.5, 0.3]]},
    "genotype": {},
}
STEP = {"epoch": 0, "step": 0, "train_loss": 1.5, "val_loss": 1.25}


def follow(listener: object) -> None:
    listener.begin("search", 2, 1, (0, 0))
    listener.record("search/steps", STEP)
    listener.tick("search", 0, 0)
    listener.record("search/epochs", EPOCH)
    listener.begin("retrain", 1, 1, (0, 0))
    listener.record(
        "retrain/epochs",
        {
            "epoch": 0,
            "train_loss": 0.5,
            "train_accuracy_percent": 80.0,
            "test_accuracy_percent": 98.7,
            "test_top5_percent": 99.9,
        },
    )
    listener.note("done")
    listener.close()


def test_without_a_terminal_each_epoch_is_one_plain_line_with_everything_in_it():
    out = io.StringIO()
    follow(LiveProgress(Console(file=out, force_terminal=False, width=500)))
    lines = out.getvalue().splitlines()
    assert lines[0] == "search: 2 epochs of 1 steps"
    for text in (
        "1/2",
        "train loss 1.500",
        "val loss 1.250",
        "val accuracy 50.0 %",
        "skip 40.0 % of weight, strongest on 1/2",
        "none 35.0 % of weight, strongest on 1/2",
        "left 0:0",
    ):
        assert text in lines[1]
    assert "test accuracy 98.70 %  top-5 99.90 %" in lines[3]
    assert lines[-1] == "done"
    assert "\x1b" not in out.getvalue()


def test_a_resumed_run_says_where_it_goes_on_and_has_no_estimate_without_a_step():
    out = io.StringIO()
    progress = LiveProgress(Console(file=out, force_terminal=False, width=500))
    progress.begin("search", 2, 4, (0, 4))
    progress.record("search/epochs", EPOCH)
    lines = out.getvalue().splitlines()
    assert lines[0] == "search: 2 epochs of 4 steps, going on after 0 epochs and 4 steps"
    assert lines[1].endswith("left unknown")


@pytest.mark.parametrize(
    ("weights", "warns"),
    [
        ([0.34, 0.33, 0.33], True),
        ([0.5, 0.3, 0.2], False),
        ([0.0, 0.5, 0.5], True),  # sigmoids, without none
        ([0.0, 0.5, 0.6], False),
    ],
)
def test_a_search_whose_alpha_stood_still_says_so_after_its_last_epoch(weights, warns):
    out = io.StringIO()
    progress = LiveProgress(Console(file=out, force_terminal=False, width=500))
    progress.begin("search", 1, 4, (0, 0))
    progress.record("search/epochs", {**EPOCH, "mixing": {"normal": [weights]}})
    assert ("α stood still: no mixing weight" in out.getvalue()) == warns


def test_a_random_search_says_on_which_images_it_tests():
    out = io.StringIO()
    follow(LiveProgress(Console(file=out, width=500), tested="held-out training"))
    assert "held-out training accuracy 98.70 %" in out.getvalue()
    assert "  test accuracy" not in out.getvalue()


def test_with_a_terminal_there_is_a_bar_with_losses():
    out = io.StringIO()
    follow(LiveProgress(Console(file=out, force_terminal=True, width=200)))
    assert "search 1/2" in out.getvalue()
    assert "train 1.500  val 1.250" in out.getvalue()


def test_tensorboard_reads_back_what_was_recorded(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    follow(TensorBoardEvents(tmp_path))
    events = EventAccumulator(str(tmp_path / "events" / "search"))
    events.Reload()
    assert events.Scalars("search/val_loss")[0].value == 1.25
    skip = events.Scalars("search/skip_connect_weight_percent")[0]
    assert skip.value == pytest.approx(40.0)
    assert skip.step == 0
