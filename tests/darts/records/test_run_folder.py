"""A run folder survives a crash at any byte, and never holds half a file."""

import json
import os

import pytest

from darts import cli
from darts.data import Digits
from darts.records.data_record import require_images
from darts.records.run_folder import RunFolder
from darts.records.writing import require_writable, write_atomically
from tests.darts.training.tiny import Follower


@pytest.fixture
def run(tmp_path):
    return RunFolder.create(tmp_path / "run", {"seed": 1}, {"python": "3"})


def test_config_and_environment_are_there_before_any_work(run):
    assert run.read("config.json") == {"seed": 1}
    assert run.read("environment.json") == {"python": "3"}


def test_a_folder_with_something_in_it_is_not_overwritten(run):
    with pytest.raises(FileExistsError, match=r"exists and is not empty.*--resume"):
        RunFolder.create(run.path, {}, {})


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"is not a run folder: it has no config\.json"):
        RunFolder.open(tmp_path)


def test_records_come_back_as_they_were_written_and_listeners_hear_them(run):
    follower = Follower()
    run = RunFolder.open(run.path, (follower,))
    written = [{"epoch": 0, "loss": 0.1}, {"epoch": 1, "loss": 1 / 3}]
    for record in written:
        run.append("search/epochs", record)
    assert run.records("search/epochs") == written
    assert follower.streams == [("search/epochs", record) for record in written]
    assert run.records("search/steps") == []


@pytest.mark.parametrize("torn", range(1, 20))
def test_a_line_torn_at_any_byte_is_left_out_and_replaced(run, torn):
    for epoch in range(3):
        run.append("epochs", {"epoch": epoch, "loss": 2.5})
    path = run.path / "epochs.jsonl"
    path.write_bytes(path.read_bytes()[:-torn])
    assert [record["epoch"] for record in run.records("epochs")] == [0, 1]
    run.append("epochs", {"epoch": 2, "loss": 7.0})
    assert [record["loss"] for record in run.records("epochs")] == [2.5, 2.5, 7.0]
    for line in path.read_text().splitlines():
        json.loads(line)


def test_streams_are_cut_back_to_their_lengths_and_those_without_one_emptied(run):
    for name in ("epochs", "steps", "alerts"):
        run.append(f"search/{name}", {"epoch": 0})
    run.append("retrain/epochs", {"epoch": 5})
    lengths = run.lengths("search")
    assert lengths == dict.fromkeys(("alerts.jsonl", "epochs.jsonl", "steps.jsonl"), 13)
    for name in ("epochs", "steps"):
        run.append(f"search/{name}", {"epoch": 1})
    steps = run.path / "search" / "steps.jsonl"
    steps.write_bytes(steps.read_bytes() + b'{"torn')
    del lengths["alerts.jsonl"]
    run.rewind("search", lengths)
    found = {name: run.records(f"search/{name}") for name in ("epochs", "steps", "alerts")}
    assert found == {"epochs": [{"epoch": 0}], "steps": [{"epoch": 0}], "alerts": []}
    assert run.records("retrain/epochs") == [{"epoch": 5}]


def test_a_stream_that_lost_records_is_named(run):
    run.append("search/epochs", {"epoch": 0})
    lengths = run.lengths("search")
    assert run.changed_within("search", lengths) is None
    (run.path / "search" / "epochs.jsonl").write_text("")
    assert "epochs.jsonl has 0 bytes and had 13" in run.changed_within("search", lengths)


@pytest.mark.parametrize(
    "edit",
    [
        lambda lines: b"\xef\xbb\xbf" + lines,  # an editor's mark
        lambda lines: lines.replace(b"\n", b"\r\n"),
        lambda lines: bytes(len(lines)),  # a power cut
    ],
    ids=["mark", "CRLF", "zeros"],
)
def test_a_stream_that_was_edited_is_named_and_not_cut_in_mid_line(run, edit):
    for epoch in range(3):
        run.append("search/epochs", {"epoch": epoch})
    lengths = run.lengths("search")
    path = run.path / "search/epochs.jsonl"
    path.write_bytes(edit(path.read_bytes()))
    assert "was changed: no line ends at byte 39" in run.changed_within("search", lengths)


@pytest.mark.parametrize("content", ["null", "7", "[]"])
def test_a_file_that_holds_no_object_is_refused_with_its_name(run, content, capsys):
    for name in ("data.json", "config.json"):
        (run.path / name).write_text(content)
    with pytest.raises(ValueError, match=r"data\.json holds .* Restore the file"):
        require_images(run, Digits(train_size=40).load())
    for command in ("report", "compare", "evaluate", "export"):
        assert cli.main([command, str(run.path)]) != 0
        told = capsys.readouterr().err
        assert f"config.json holds {content} and no object" in told, command
        assert told.count("\n") == 1


def test_a_file_name_that_is_no_text_is_kept_in_records(run):
    name = os.fsdecode(b"caf\xe9")
    run.write("environment.json", {"command": name})
    assert run.read("environment.json") == {"command": name}
    run.append("search/epochs", {"place": name})
    assert run.records("search/epochs") == [{"place": name}]


def test_a_file_that_an_editor_marked_as_utf_8_is_read(run):
    (run.path / "config.json").write_text('{"ω": 1}', encoding="utf-8-sig")
    assert run.read("config.json") == {"ω": 1}


def test_a_broken_line_that_is_not_the_last_is_an_error_with_its_number(run):
    (run.path / "epochs.jsonl").write_text('{"epoch": 0}\n{"ep\n{"epoch": 2}\n')
    with pytest.raises(ValueError, match=r"epochs.jsonl, line 2 is not JSON"):
        run.records("epochs")


def test_a_number_that_is_not_finite_never_reaches_the_records(run):
    with pytest.raises(ValueError, match="not JSON compliant"):
        run.append("epochs", {"epoch": 0, "loss": float("nan")})
    assert run.records("epochs") == []


def test_a_write_that_fails_leaves_the_old_file(run, monkeypatch):
    def failing(source, target):
        raise OSError("disk full")

    run.write("result.json", {"accuracy": 1})
    monkeypatch.setattr("os.replace", failing)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(run.path / "result.json", b"{}")
    assert run.read("result.json") == {"accuracy": 1}


@pytest.mark.parametrize("failure", [OSError, KeyboardInterrupt])
def test_a_write_that_fails_leaves_nothing_else(run, monkeypatch, failure):
    def failing(source, target):
        raise failure

    before = sorted(run.path.iterdir())
    monkeypatch.setattr("os.replace", failing)
    with pytest.raises(failure):
        write_atomically(run.path / "result.json", b"{}")
    assert sorted(run.path.iterdir()) == before


def test_a_writer_that_ends_within_another_does_not_touch_its_half_of_a_file(run, monkeypatch):
    page, replace, begun = run.path / "report.html", os.replace, []

    def interleaved(source, target):
        if not begun:  # the first is about to move its file, and the second begins and ends
            begun.append(source)
            require_writable(page)
            write_atomically(page, b"second")
            assert page.read_bytes() == b"second"
        replace(source, target)

    monkeypatch.setattr("os.replace", interleaved)
    write_atomically(page, b"first, and longer")
    assert page.read_bytes() == b"first, and longer"
    assert not list(run.path.glob("*.part"))


def test_what_a_killed_writer_left_is_gone_when_the_run_goes_on(run):
    (run.path / "search").mkdir()
    for torn in ("report.html.0a1b.part", "search/network.safetensors.0a1b.part"):
        (run.path / torn).write_bytes(b"half")
    run.rewind("search", {})
    assert not list(run.path.rglob("*.part"))


def test_a_file_that_is_not_there_yet_is_an_error_that_says_so(run):
    with pytest.raises(FileNotFoundError, match=r"no result\.json: the run has not come that far"):
        run.read("result.json")


def test_a_file_that_is_not_json_is_an_error_with_its_name(run):
    (run.path / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config\.json is not JSON"):
        run.read("config.json")


def test_a_key_that_stands_twice_is_refused_with_its_name(run):
    (run.path / "config.json").write_text('{"a": {"seed": 1, "epochs": 2, "seed": 3}}')
    with pytest.raises(ValueError, match=r"config\.json: seed stands 2 times in one object"):
        run.read("config.json")
