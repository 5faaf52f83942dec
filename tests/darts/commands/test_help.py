"""Help fits a screen and its examples can be typed; doctor and completion tell what is there."""

import re
import shlex
import subprocess
from importlib import import_module

import pytest

from darts import cli
from darts.cli import COMMANDS
from darts.commands import doctor
from darts.commands.command import Invocation
from darts.commands.help import options_of
from darts.commands.typed import read
from darts.data import Cifar10, Digits


def kind_of(name):
    module = import_module(f"darts.commands.{name.replace('-', '_')}")
    return getattr(module, COMMANDS[name][0])


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_a_screen_with_examples_and_the_options_that_people_change(name, capsys):
    assert cli.main([name, "--help"]) == 0
    shown = capsys.readouterr().out
    kind = kind_of(name)
    assert len(shown.splitlines()) <= 50
    assert max(map(len, shown.splitlines())) <= 100
    for option in kind.main.split():
        assert f"--{option} " in shown
    needed = [option.name for option in options_of(kind) if option.needed]
    optional = [f"[{o.name}]" for o in options_of(kind) if o.is_argument and not o.needed]
    assert shown.startswith(" ".join(("usage: darts", name, *needed, *optional)))
    assert optional == (["[FOLDERS]"] if name == "report" else [])
    assert "lists 0 more" not in shown
    assert len(kind.examples) == 2


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("full-search", "runs/<preset>-<seed>-<time>"),
        ("sweep", "runs/sweep-<preset>-<digest of the settings>"),
        ("random-search", "runs/random-<space>-<seed>-<time>"),
    ],
)
def test_help_names_the_folder_that_a_command_writes_by_default(name, folder, capsys):
    assert cli.main([name, "--help"]) == 0
    (line,) = re.findall(r"(?m)^  --run-dir .*", capsys.readouterr().out)
    assert line.endswith(f"by default {folder}")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_example_can_be_read(name):
    for example in kind_of(name).examples:
        line = re.search(r"darts ([^>$)]*)", example)[1]
        command, *words = shlex.split(line.replace('"', ""))
        found = read(kind_of(command), Invocation(command, tuple(words)))
        assert isinstance(found, kind_of(command))


def test_every_option_is_listed_once_and_in_full_help(capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["full-search", "--help-all"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    names = [option.name for option in options_of(kind_of("full-search"))]
    assert len(set(names)) == len(names) > 60
    for name in names:
        assert f"{name} " in shown or f"{name}," in shown, name
    assert {"--seed", "--space", "--estimator"} <= set(names)
    assert not {"--search.seed", "--search.space", "--search.estimator"} & set(names)


def test_the_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--version"])
    assert stopped.value.code == 0
    assert re.fullmatch(r"amended-darts \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_doctor_finds_images_and_says_what_a_preset_needs(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = ["doctor", "--preset", "cifar10-s1-check", "--data-root", "d"]
    assert cli.main(asked) == 1
    said = capsys.readouterr().out
    assert "cifar10: not found, no d/cifar-10-batches-py" in said
    assert re.search(r"time: about \d+ s of one core", said)
    (tmp_path / "d" / "cifar-10-batches-py").mkdir(parents=True)
    assert cli.main(asked) == 0
    said = capsys.readouterr().out
    assert "  images: cifar10, found" in said
    line = "darts full-search --preset cifar10-s1-check --data-root d --dry-run"
    assert line in said
    read(kind_of("full-search"), Invocation("full-search", tuple(shlex.split(line)[2:])))
    assert doctor._missing(Digits(), "d") is None
    assert doctor._missing(Cifar10(), "nowhere") is not None


def test_bash_completes_commands_options_and_presets(capsys):
    assert cli.main(["completion", "bash"]) == 0
    script = capsys.readouterr().out

    def completed(*words):
        line = f"COMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}; _darts"
        done = subprocess.run(
            ["bash", "-c", f'{script}\n{line}; echo "${{COMPREPLY[@]}}"'],
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.split()

    assert completed("darts", "sw") == ["sweep"]
    assert completed("darts", "search", "--estim") == ["--estimator"]
    assert completed("darts", "search", "--preset", "digits") == ["digits", "digits-check"]
    assert set(completed("darts", "")) == set(COMMANDS)
