"""kill -9 at random moments: the resumed run ends at the same bits, with the same records."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bilevel.checkpoint_files import MAGIC
from bilevel.state import unpack
from tests.darts.training.killing import SHARES
from tests.darts.training.tiny import assert_same_bits, timeless

ROOT = Path(__file__).parents[3]


def final_state(folder: Path) -> dict:
    content = sorted(folder.glob("checkpoints/*.checkpoint"))[-1].read_bytes()
    assert content.startswith(MAGIC)
    return unpack(content.split(b"\n", 2)[2])


def lines(path: Path) -> list[dict]:
    """Every line as it is on disk: one that is torn, or there twice, is seen."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def assert_same_stage(whole: Path, killed: Path) -> None:
    assert_same_bits(final_state(killed), final_state(whole))
    streams = sorted(path.name for path in whole.glob("*.jsonl"))
    assert sorted(path.name for path in killed.glob("*.jsonl")) == streams
    for name in streams:
        assert timeless(lines(killed / name)) == timeless(lines(whole / name)), name
    for name in ("network.safetensors", "../genotype.json"):
        assert (killed / name).exists() == (whole / name).exists()
        if (whole / name).exists():
            assert (killed / name).read_bytes() == (whole / name).read_bytes()
    assert not list(killed.rglob("*.part"))


def kill(stage: str, folder: Path, lives: int, seed: int) -> list[str]:
    command = [sys.executable, "-m", "tests.darts.training.killing", stage, folder, lives, seed]
    done = subprocess.run(
        [str(word) for word in command], cwd=ROOT, capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for number in range(len(SHARES)):
        assert_same_stage(
            folder / f"{number}" / "whole" / stage, folder / f"{number}" / "killed" / stage
        )
    return done.stdout.splitlines()


@pytest.mark.parametrize("stage", ["search", "retrain"])
def test_killed_twice_a_stage_ends_at_the_same_bits(stage, tmp_path):
    assert len(kill(stage, tmp_path, lives=2, seed=0)) == 2


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["search", "retrain"])
@pytest.mark.parametrize("seed", [1, 2])
def test_killed_twenty_times_a_stage_ends_at_the_same_bits(stage, seed, tmp_path):
    moments = kill(stage, tmp_path, lives=20, seed=seed)
    kills = [moment for moment in moments if moment.startswith("killed")]
    assert len(kills) == 20
    assert len(set(kills)) >= 10  # spread over the run
