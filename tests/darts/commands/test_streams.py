"""What is printed reaches any stream that a shell may give."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from darts import cli

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_of_another_encoding_gets_all_it_has_characters_for(encoding):
    done = subprocess.run(
        [sys.executable, "-m", "darts.cli", "presets"],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    shown = done.stdout.decode(encoding)
    assert "? 2 min" in shown or "? 3 min" in shown  # of the preset digits, about
    assert "next:" in shown


def test_a_name_that_is_no_text_is_refused_before_any_work(tmp_path, capsys):
    place = tmp_path / os.fsdecode(b"caf\xe9")
    for words in (["search", "--run-dir"], ["report"], ["compare", "x"]):
        assert cli.main([*words, str(place)]) == 2
        told = capsys.readouterr().err
        assert "caf\\udce9' is a name with bytes that are no UTF-8" in told
        assert told.count("\n") == 1
    assert not place.exists()


@pytest.mark.parametrize("words", ["presets", "count DARTS_V2", "no-such-command"])
def test_with_closed_streams_a_command_has_the_status_that_it_has_else(words):
    line = f"{sys.executable} -m darts.cli {words}"
    shut, usual = (
        subprocess.run(["sh", "-c", f"{line} {end}"], cwd=ROOT, capture_output=True)
        for end in (">&- 2>&-", "")
    )
    assert shut.returncode == usual.returncode
    assert (shut.stdout, shut.stderr) == (b"", b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize(
    ("words", "end", "status", "told"),
    [
        ("--help", ">/dev/full", 1, "give the command again"),
        ("count DARTS_V2", ">/dev/full", 1, "give the command again"),
        ("search --preset digits-check --run-dir {run}", ">/dev/full", 1, "--resume"),
        ("no-such-command", ">/dev/full 2>&1", 2, ""),
        ("no-such-command", "2>/dev/full", 2, ""),
    ],
)
@pytest.mark.parametrize("buffered", [True, False])
def test_where_there_is_no_room_for_the_output_one_line_says_so(
    words, end, status, told, buffered, tmp_path
):
    if words == "--help" and not buffered:
        pytest.skip("argparse goes on where it cannot print")
    words = words.format(run=tmp_path / "run")
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m darts.cli {words} {end}"],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "" if buffered else "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == status
    assert told in done.stderr
    assert done.stderr.count("\n") == bool(told)
    if told:
        full = "standard output could not be written: No space left on device. Free space"
        assert done.stderr.startswith(f"darts: {full}")


def test_an_error_of_the_system_that_is_not_of_the_output_keeps_its_words(monkeypatch, capsys):
    def failing(self, given):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("darts.commands.count.Count.run", failing)
    assert cli.main(["count", "DARTS_V2"]) == 1
    assert capsys.readouterr().err == "darts: [Errno 24] Too many open files\n"
