"""Checkpoints: two are kept, each is checked, none from another config is used."""

import hashlib
import json

import pytest
import torch

from darts.runs.checkpoint import Checkpoints
from darts.runs.config import to_json
from tests.darts.runs.tiny import search_config

CONFIG = to_json(search_config())


def states(folder, **changes):
    return Checkpoints(folder, CONFIG, **changes)


def state(epoch: int) -> dict:
    return {"epochs_done": epoch, "weights": torch.arange(5.0) + epoch, "text": "ω"}


@pytest.fixture
def folder(tmp_path):
    saved = states(tmp_path)
    for epoch in (1, 2, 3):
        saved.save(epoch, state(epoch))
    return tmp_path


def test_a_state_comes_back_bit_for_bit(folder):
    found = states(folder).latest()
    assert found["epochs_done"] == 3
    assert torch.equal(found["weights"], state(3)["weights"])


def test_only_the_last_two_are_kept(folder):
    names = sorted(path.name for path in folder.iterdir())
    assert names == [f"epoch-00000{k}.{suffix}" for k in (2, 3) for suffix in ("json", "pt")]


def test_without_checkpoints_there_is_no_state(tmp_path):
    assert states(tmp_path).latest() is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-10],
        lambda content: content[:100] + b"\0" + content[101:],
        lambda content: b"",
    ],
    ids=["cut short", "one byte changed", "emptied"],
)
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before_and_someone_is_told(folder, damage):
    path = folder / "epoch-000003.pt"
    content = damage(path.read_bytes())
    assert content != path.read_bytes()
    path.write_bytes(content)
    notes = []
    assert states(folder, note=notes.append).latest()["epochs_done"] == 2
    assert len(notes) == 1
    assert "epoch-000003.pt is damaged: its SHA-256" in notes[0]


def test_a_missing_payload_and_a_damaged_label_are_passed_over(folder):
    (folder / "epoch-000003.pt").unlink()
    assert states(folder).latest()["epochs_done"] == 2
    (folder / "epoch-000003.json").write_text('{"sha256"')
    assert states(folder).latest()["epochs_done"] == 2


def test_a_payload_whose_label_was_never_written_does_not_count(folder):
    (folder / "epoch-000004.pt").write_bytes(b"half")
    assert states(folder).latest()["epochs_done"] == 3


def test_if_all_are_damaged_the_run_stops_instead_of_starting_over(folder):
    for path in folder.glob("*.pt"):
        path.write_bytes(b"x")
    with pytest.raises(ValueError, match=r"None of the 2 checkpoints .* can be used"):
        states(folder).latest()


def test_a_checkpoint_of_another_config_is_refused_by_the_names_of_the_settings(folder):
    other = to_json(search_config(epochs=9, channels=4))
    with pytest.raises(ValueError, match=r"channels: 2 ≠ 4; epochs: 3 ≠ 9"):
        Checkpoints(folder, other).latest()


def test_nothing_is_unpickled(folder):
    class Payload:
        def __reduce__(self):
            return (open, (str(folder / "executed"), "w"))

    torch.save({"epochs_done": 3, "x": Payload()}, folder / "epoch-000003.pt")
    content = (folder / "epoch-000003.pt").read_bytes()
    label = json.loads((folder / "epoch-000003.json").read_text())
    label["sha256"] = hashlib.sha256(content).hexdigest()
    (folder / "epoch-000003.json").write_text(json.dumps(label))
    notes = []
    assert states(folder, note=notes.append).latest()["epochs_done"] == 2
    assert "more than tensors and plain containers" in notes[0]
    assert not (folder / "executed").exists()
