"""Commands end with what they wrote and what may come next, and in silence if nobody reads on."""

import itertools
import os
import shlex
import shutil
import sys
from pathlib import Path

import pytest
import torch

from darts import cli
from darts.cli import COMMANDS
from darts.commands import report
from darts.commands.command import Invocation
from darts.commands.typed import read
from darts.commands.unread import UNREAD
from darts.spaces.published import DARTS_V2
from darts.training import latency
from tests.darts.commands.test_help import kind_of
from tests.darts.networks.test_original import theirs

WRITTEN_AND_NEXT = {
    "report": ("run",),
    "compare": ("run", "run"),
    "evaluate": ("run",),
    "draw": ("run",),
    "measure": ("--cells", "1", "--channels", "2", "--image-size", "8", "--repeats", "1"),
    "import-original": ("weights.pt", "--genotype", "DARTS_V2"),
    "export": ("run", "--formats"),
}
NEXT = {"presets": (), "doctor": (), "count": ("run",)}
READ_BY_PROGRAMS = {"convert": ("run",), "completion": ("bash",)}
LONG = {"full-search", "search", "retrain", "random-search", "sweep"}
"""Their endings are looked at in test_cli.py and test_sweep.py."""


def test_every_command_ends_with_its_files_and_commands_that_can_be_typed(
    run, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(run.path, "run")
    monkeypatch.setattr(report, "report_on", lambda path: "")  # its charts take seconds
    times = itertools.count(1)  # a busy machine's own make no sense, and are refused
    monkeypatch.setattr(latency, "_milliseconds", lambda *arguments: float(next(times)))
    torch.save(theirs(DARTS_V2, layers=3).state_dict(), "weights.pt")
    assert {*WRITTEN_AND_NEXT, *NEXT, *READ_BY_PROGRAMS, *LONG} == set(COMMANDS)
    for name, words in (WRITTEN_AND_NEXT | NEXT).items():
        assert cli.main([name, *words]) == 0, name
        *shown, following = capsys.readouterr().out.rpartition("next:\n")
        require_typed(name, following.splitlines())
        for line in following.splitlines():  # "exported" may be another network's
            assert "darts export run" not in line or "--to" in line, (name, line)
        if name in WRITTEN_AND_NEXT:
            files = shown[0].rpartition("files:\n")[2].splitlines()
            assert files, name
            assert all(Path(line.strip()).is_file() for line in files), (name, files)
    for name, words in READ_BY_PROGRAMS.items():
        assert cli.main([name, *words]) == 0
        piped = capsys.readouterr()
        assert piped.err == ""
        with monkeypatch.context() as patch:
            patch.setattr(sys.stdout, "isatty", lambda: True)
            assert cli.main([name, *words]) == 0
        seen = capsys.readouterr()
        assert seen.out == piped.out  # so that a file or a shell gets no more than what it needs
        assert "darts " in seen.err


def require_typed(name, lines):
    """Each line is a command that the program's own parser takes."""
    assert lines, name
    for line in lines:
        prompt, command, *words = shlex.split(line)
        assert prompt == "darts", (name, line)
        words = ["digits" if word == "NAME" else word for word in words]
        read(kind_of(command), Invocation(command, tuple(words)))


def test_several_reports_end_with_their_comparison_and_an_unfinished_one_goes_on(
    run, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(report, "report_on", lambda path: "")
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in run.path.iterdir():
        if path.name != "result.json":
            (copy / path.name).symlink_to(path)
    assert cli.main(["report", str(run.path), str(copy)]) == 0
    assert f"next:\n  darts compare {run.path} {copy}\n" in capsys.readouterr().out
    assert cli.main(["report", str(copy)]) == 0
    assert f"next:\n  darts full-search --resume {copy}\n" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["presets"], ["convert", "DARTS_V2"]])
def test_a_command_that_nobody_reads_ends_in_silence(words, monkeypatch, capfd):
    """Its reader has gone before it prints; with `| head` it goes after some lines."""
    reader, writer = os.pipe()
    os.close(reader)
    with monkeypatch.context() as patch, os.fdopen(writer, "w") as unread:
        patch.setattr(sys, "stdout", unread)
        status = cli.main(words)
    assert capfd.readouterr() == ("", "")
    assert status == UNREAD


def test_a_pipe_that_is_not_the_output_is_an_error(monkeypatch, capfd):
    def broken(argv):
        raise BrokenPipeError

    monkeypatch.setattr(cli, "_status", broken)
    with pytest.raises(BrokenPipeError):
        cli.main([])
