"""Checkpoints of a stage: two are kept, each is checked, none from another config is used."""

import hashlib
import time
from pathlib import Path

import pytest
import torch

from bilevel.checkpoint_files import MAGIC
from bilevel.state import pack
from darts.config.as_json import to_json
from darts.records.run_folder import RunFolder
from darts.training.checkpoint import StageCheckpoints
from darts.training.evaluation import NonFiniteLossError
from tests.darts.training.tiny import Follower, assert_same_bits, search_config

CONFIG = to_json(search_config())
POSITIONS = ((0, 1), (0, 2), (1, 0))


def state(epoch: int, step: int) -> dict:
    return {"weights": torch.arange(5.0) + 10 * epoch + step, "text": "ω", "betas": (0.5, 0.9)}


@pytest.fixture
def saved(tmp_path):
    """Three states were written, a record before each; two are kept."""
    run = RunFolder(tmp_path, (Follower(),))
    checkpoints = StageCheckpoints(run, "search", CONFIG, share=1.0)
    for position in POSITIONS:
        run.append("search/steps", {"epoch": position[0], "step": position[1]})
        checkpoints.save(position, state(*position))
    return checkpoints


def last(checkpoints: StageCheckpoints) -> Path:
    return sorted(checkpoints.folder.iterdir())[-1]


def notes(checkpoints: StageCheckpoints) -> list[str]:
    return checkpoints.run.listeners[0].notes


def test_a_state_comes_back_bit_for_bit(saved):
    found = saved.latest()
    assert found.position == (1, 0)
    assert_same_bits(found.state, state(1, 0))
    assert notes(saved) == []


def test_only_the_last_two_are_kept(saved):
    assert sorted(path.name for path in saved.folder.iterdir()) == [
        "epoch-000000-step-000002.checkpoint",
        "epoch-000001-step-000000.checkpoint",
    ]


def test_without_checkpoints_there_is_no_state_and_records_begin_anew(tmp_path):
    run = RunFolder(tmp_path)
    run.append("search/steps", {"epoch": 0})
    assert StageCheckpoints(run, "search", CONFIG).resume() is None
    assert run.records("search/steps") == []


def flipped(content: bytes, position: int) -> bytes:
    return content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]


DAMAGE = {
    "cut short by a byte": lambda c: c[:-1],
    "cut in half": lambda c: c[: len(c) // 2],
    "cut within the first line": lambda c: c[:20],
    "emptied": lambda c: b"",
    "a byte appended": lambda c: c + b"\0",
    "a bit of the file's kind": lambda c: flipped(c, 3),
    "a bit of the checksum": lambda c: flipped(c, len(MAGIC) + 5),
    "a bit of the config": lambda c: flipped(c, c.index(b"two-edges")),
    "a bit of the position": lambda c: flipped(c, c.index(b'"position": [') + 13),
    "a bit of the safetensors header": lambda c: flipped(c, c.index(b'"tree') + 9),
    "a bit of the last tensor": lambda c: flipped(c, len(c) - 2),
    "zeros, as after a power cut": lambda c: b"\0" * len(c),
    "another file": lambda c: b"PK\x03\x04" + bytes(range(256)) * 20,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before_and_someone_is_told(saved, damage):
    path = last(saved)
    content = damage(path.read_bytes())
    assert content != path.read_bytes()
    path.write_bytes(content)
    found = saved.resume()
    assert found.position == (0, 2)
    assert_same_bits(found.state, state(0, 2))
    assert len(notes(saved)) == 1
    assert f"{path} is damaged: the SHA-256" in notes(saved)[0]
    assert "Going on from the checkpoint before it" in notes(saved)[0]
    # the records go back to where they were then: no step will have two, none is without one
    assert [r["step"] for r in saved.run.records("search/steps")] == [1, 2]


def test_every_single_bit_counts(saved):
    path = last(saved)
    content = path.read_bytes()
    for position in range(0, len(content), 7):
        path.write_bytes(flipped(content, position))
        assert saved.latest().position == (0, 2), position
    path.write_bytes(content)
    assert saved.latest().position == (1, 0)


def test_a_checkpoint_of_the_format_before_is_refused_by_its_number(saved):
    last(saved).write_bytes(b"darts checkpoint, SHA-256 of what follows: 00\n{}\n")
    with pytest.raises(ValueError, match="has format 1, of an earlier version"):
        saved.latest()


def test_a_missing_checkpoint_means_the_one_before(saved):
    last(saved).unlink()
    assert saved.latest().position == (0, 2)


def test_two_checkpoints_that_changed_places_are_both_refused(saved):
    first, second = sorted(saved.folder.iterdir())
    contents = first.read_bytes(), second.read_bytes()
    first.write_bytes(contents[1])
    second.write_bytes(contents[0])
    with pytest.raises(ValueError, match=r"state of epoch 0, step 2: it was moved"):
        saved.latest()


def test_a_half_written_file_does_not_count_and_is_swept_away(saved):
    part = saved.folder / "epoch-000001-step-000001.checkpoint.part"
    part.write_bytes(b"half")
    assert saved.latest().position == (1, 0)
    saved.save((1, 1), state(1, 1))
    assert not part.exists()


def test_if_all_are_damaged_the_run_stops_instead_of_starting_over(saved):
    for path in saved.folder.iterdir():
        path.write_bytes(b"x")
    with pytest.raises(ValueError, match=r"None of the 2 checkpoints .* can be used.*Delete"):
        saved.resume()
    assert len(saved.run.records("search/steps")) == 3


def test_a_checkpoint_whose_records_are_lost_is_passed_over(saved):
    stream = saved.run.path / "search" / "steps.jsonl"
    stream.write_bytes(stream.read_bytes()[:-4])
    assert saved.resume().position == (0, 2)
    assert "does not fit the records" in notes(saved)[0]
    assert [r["step"] for r in saved.run.records("search/steps")] == [1, 2]


def test_a_checkpoint_of_another_config_is_refused_by_the_names_of_the_settings(saved):
    other = to_json(search_config(epochs=9, channels=4))
    with pytest.raises(ValueError, match=r"channels: 2 ≠ 4; epochs: 3 ≠ 9"):
        StageCheckpoints(saved.run, "search", other).latest()


@pytest.mark.parametrize("stolen", [pack({"x": torch.ones(1)})[:-1], b"cos\nsystem\n(S'true'\ntR."])
def test_nothing_is_unpickled_though_the_checksum_is_right(saved, stolen):
    path = last(saved)
    label = path.read_bytes().split(b"\n")[1]
    rest = label + b"\n" + stolen
    path.write_bytes(MAGIC + hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest)
    assert saved.latest().position == (0, 2)
    assert "is damaged: not a packed state" in notes(saved)[0]


def test_a_state_that_is_not_finite_is_not_written(saved):
    bad = {"weights": torch.tensor([1.0, float("inf")])}
    with pytest.raises(NonFiniteLossError, match=r"/weights is not finite. The last good state"):
        saved.save((1, 1), bad)
    assert saved.latest().position == (1, 0)


def test_at_a_share_of_1_every_step_is_due_and_at_a_small_one_only_after_a_while(saved):
    assert saved.due
    seldom = StageCheckpoints(saved.run, "search", CONFIG, share=1e-6)
    assert seldom.due  # nothing is known yet of how long a write takes
    seldom.save((1, 1), state(1, 1))
    assert not seldom.due


def test_writing_keeps_to_its_share_of_the_time(tmp_path):
    """Steps of 1 ms: at a share of 20 %, writes take at most that, up to the one just begun."""
    checkpoints = StageCheckpoints(RunFolder(tmp_path), "search", CONFIG, share=0.2)
    began, writing, writes = time.perf_counter(), [], 0
    for step in range(400):
        time.sleep(0.001)
        if checkpoints.due:
            before = time.perf_counter()
            checkpoints.save((0, step), state(0, step))
            writing.append(time.perf_counter() - before)
            writes += 1
    assert writes > 3
    assert sum(writing) - writing[-1] <= 0.2 * (time.perf_counter() - began) * 1.05
