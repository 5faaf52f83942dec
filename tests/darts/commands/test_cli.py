"""The command line: names become objects, and whatever cannot be met is one clear message."""

import inspect
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest
import torch

from bilevel import Autograd, CentralDifference, estimators
from bilevel.derivatives import ReverseOverForward
from bilevel.estimators import (
    Amended,
    DartsSecondOrder,
    Estimator,
    Exact,
    FirstOrder,
    Identity,
    Minres,
    Unrolled,
)
from darts import cli, names
from darts.commands import requests, typed
from darts.commands.command import Invocation
from darts.commands.errors import UsageError
from darts.commands.processes import as_begun
from darts.commands.search import Search
from darts.methods import GumbelSoftmax, PartialChannels, Progressive, SkipLimit
from darts.records import environment
from darts.records.environment import changes_since
from darts.records.run_folder import RunFolder
from darts.spaces.notation import genotype_to_text
from darts.spaces.published import PUBLISHED

FORWARDS = ReverseOverForward()
TINY = [
    *("--preset", "digits-check", "--train-size", "60", "--space", "s1-fixed"),
    *("--search.batch-size", "10", "--search.epochs", "1", "--search.cells", "1"),
    *("--search.channels", "1", "--estimator", "first-order"),
]
TINY_FULL = [
    *TINY,
    *("--retrain.batch-size", "20", "--retrain.epochs", "1", "--retrain.channels", "2"),
    *("--retrain.cells", "1"),
]


def test_every_estimator_has_a_name():
    """All that bilevel exports and that can be built of numbers."""
    every = {
        kind
        for kind in vars(estimators).values()
        if isinstance(kind, type) and issubclass(kind, Estimator) and not inspect.isabstract(kind)
    }
    assert set(names.ESTIMATORS.kinds.values()) == every


@pytest.mark.parametrize(
    ("table", "text", "value"),
    [
        (names.MIXINGS, "gumbel-softmax:start=2,end=0.5", GumbelSoftmax(2.0, 0.5)),
        (
            names.PARTIAL_CHANNELS,
            "partial:share=2,edge_normalisation=false",
            PartialChannels(2, False),
        ),
        (names.PARTIAL_CHANNELS, "none", None),
        (names.STOPS, "skip-limit:skips=3", SkipLimit(3)),
        (
            names.PROGRESSIVE,
            "p-darts:cells=3/4,operations=8/5,skip_dropout=0/0.5",
            Progressive((3, 4), (8, 5), (0.0, 0.5)),
        ),
    ],
)
def test_methods_are_named_with_their_parameters_and_back(table, text, value):
    assert table.read(text) == value
    assert table.read(table.write(value)) == value


@pytest.mark.parametrize("table", names.NAMES.values(), ids=lambda table: table.what)
def test_every_name_reads_back_what_it_writes(table):
    for name in table.known:
        needed = {"identity": "eta=1", "nystrom": "rank=2,damping=1", "unrolled": "steps=2,lr=0.1",
                  "penalty": "strength=1,steps=2,lr=0.1", "limit": "most=2",
                  "weight": "weight=0.1"}.get(name, "")  # fmt: skip
        value = table.read(f"{name}:{needed}" if needed else name)
        assert table.read(table.write(value)) == value


@pytest.mark.parametrize(
    ("text", "estimator"),
    [
        ("exact", Exact()),
        ("first-order", FirstOrder()),
        ("identity:eta=0.5", Identity(eta=0.5, derivatives=FORWARDS)),
        ("darts-second-order", DartsSecondOrder(derivatives=FORWARDS)),
        (
            "darts-second-order:xi=0.01,momentum=0.9,derivatives=autograd",
            DartsSecondOrder(xi=0.01, momentum=0.9),
        ),
        ("unrolled:steps=2,lr=0.1", Unrolled(2, 0.1, derivatives=FORWARDS)),
        ("minres", Minres()),
        ("amended", Amended(eta=0.1, derivatives=FORWARDS)),
        ("amended:eta=2", Amended(eta=2.0, derivatives=FORWARDS)),
        ("amended:derivatives=autograd", Amended(eta=0.1, derivatives=Autograd())),
        (
            "minres:derivatives=reverse-over-forward",
            Minres(derivatives=FORWARDS),
        ),
        (
            "amended:eta=0.2,derivatives=central-difference",
            Amended(eta=0.2, derivatives=CentralDifference()),
        ),
        (
            "amended:eta=0.2,difference_step=0.01",
            Amended(eta=0.2, derivatives=CentralDifference(step=0.01)),
        ),
    ],
)
def test_an_estimator_is_named_with_its_parameters_and_back(text, estimator):
    assert names.ESTIMATORS.read(text) == estimator
    assert names.ESTIMATORS.read(names.ESTIMATORS.write(estimator)) == estimator


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "neumann-2000",
            r"No estimator 'neumann-2000'. Did you mean 'neumann'\? There are exact, first-order",
        ),
        (
            "amended:zeta=1",
            r"amended: No parameter 'zeta'. Did you mean 'eta'\? There are derivatives, eta",
        ),
        ("identity", r"identity needs eta, for instance identity:eta=0\.1\."),
        ("unrolled", r"unrolled needs steps, lr, for instance unrolled:steps=2,lr=0\.1\."),
        ("unrolled:lr=1", r"unrolled needs steps, for instance unrolled:steps=2,lr=0\.1\."),
        ("amended:eta=big", r"Amended\(eta='big'\): it must be a number"),
        ("amended:derivatives=x", "No derivatives 'x'; there are autograd, reverse-over-forward"),
        ("amended:eta=-1", "eta must be positive"),
        ("neumann:terms=1.5", r"Neumann\(terms=1.5\): it must be a whole number"),
        ("certified:strict=yes", r"Certified\(strict='yes'\): it must be true or false"),
    ],
)
def test_an_estimator_that_cannot_be_is_refused_by_name(text, message):
    with pytest.raises(ValueError, match=message):
        names.ESTIMATORS.read(text)


@pytest.mark.parametrize("table", names.NAMES.values(), ids=lambda table: table.what)
def test_the_examples_of_messages_are_values(table):
    for name in table.kinds:
        try:
            replace(table, usual={}).read(name)
        except ValueError as error:
            example = str(error).partition("for instance ")[2].removesuffix(".")
            table.read(example)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["full-search", "--preset", "nope"], 2, "No preset 'nope'; there are digits, cifar10-s1"),
        (["full-search", "--data-root", "x"], 2, "the data set digits has no such"),
        (["full-search", "--seeds", "0"], 2, "--seeds 0: ask for 1 seed or more"),
        (["full-search", "--device", "cuda:99"], 2, "--device cuda:99 cannot be used"),
        (["full-search", "--device", "meta"], 2, "--device meta cannot be used: found none"),
        (["full-search", "--resume", "no/run"], 1, "no/run is not a run folder"),
        (["full-search", "--resume", "x", "--seed", "1"], 2, "so seed cannot be given"),
        (["full-search", "--resume", "x", "--search.epochs", "1"], 2, "so search cannot be given"),
        (["full-search", "--train-size", "5"], 1, "Class 0 is missing from a split of 5"),
        (["search", "--search.batch-size", "5000"], 1, "batch of 5000 images asked, of 674"),
        (["search", "--search.cutout", "9"], 1, "--search.cutout 9 for images of 8×8 pixels"),
        (["full-search", "--retrain.cutout", "1000"], 1, "--retrain.cutout 1000 for images of 8×8"),
        (["full-search", "--dataset", "cifar10", "--data-root", "no"], 1, "or add --download"),
        (["retrain"], 2, "retrain needs --genotype"),
        (["retrain", "--genotype", "nowhere.json"], 2, "No genotype 'nowhere.json'"),
        (["import-original", "none.pt", "--genotype", "DARTS_V2"], 1, "none.pt: No such file"),
        (["report", "no/run"], 1, "no/run is not a run folder"),
    ],
)
def test_what_cannot_be_met_is_one_message_without_a_traceback(
    arguments, status, message, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == status
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("darts: ")
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []  # refused before anything was written


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["full-search", "--search.epochs", "0"], "--search.epochs 0: it must be 1 or more."),
        (["sweep", "--eta", ""], "--eta '': '' is no number. Give some"),
        (
            ["search", "--search.epochs", "3", "--search.frozen-epochs", "3"],
            "--search.frozen-epochs 3 with --search.epochs 3: α would stand still",
        ),
        (
            ["search", "--preset", "cifar10-p-darts", "--search.frozen-epochs", "25"],
            "--search.frozen-epochs 25 with --search.epochs 75 in 3 stages: α would",
        ),
        (["search", "--search.batch-size", "1"], "--search.batch-size 1: it must be 2 or more"),
        (["search", "--search.batch-size", "1", "--dry-run"], "it must be 2 or more"),
        (["full-search", "--retrain.batch-size", "1"], "--retrain.batch-size 1: it must be 2"),
        (["random-search", "--evaluation.clip", "0"], "--evaluation.clip 0.0: it must be positive"),
        (["full-search", "--estimator", "best"], "No estimator 'best'"),
        (["full-search", "--search.estimator", "exact"], "No option --search.estimator. Did you "),
        (["full-search", "--search.seed", "3"], "No option --search.seed"),
        (["search", "--preset", "digits-chek"], "Did you mean 'digits-check'?"),
        (["search", "--search.epoch", "3"], "Did you mean --search.epochs?"),
        (["search", "--search.still-epochs", "3"], "Did you mean --search.frozen-epochs?"),
        (["full-search", "--retrain.frame", "imagenet"], "Did you mean --retrain.stem?"),
        (["search", "--search.epochs", "x"], "--search.epochs x: it must be a whole number."),
        (["search", "--seeds"], "--seeds needs a value."),
        (["search", "--threads", "-2"], "--threads -2: ask for 1 or more"),
        (["search", "--seed", "-1"], "--seed -1: it must be 0 or more."),
        (["search", "--search.clip", "x"], "--search.clip x: it must be a number."),
        (["search", "--search.alpha-betas", "0.5"], "--search.alpha-betas needs 2 values."),
        (["search", "--precision", "31"], "--precision 31: there are '32', 'bf16', 'fp16'."),
        (["search", "--dataset", "cifar"], "Did you mean 'cifar10'?"),
        (["search", "--train-size", "0"], "--train-size 0: ask for 1 or more."),
        (
            ["retrain", "--genotype", "DARTS_V2", "--retrain.warmup-epochs", "99"],
            "--retrain.warmup-epochs 99, --retrain.epochs 16: the rate would never",
        ),
        (["search", "runs/x"], "search takes no 'runs/x'"),
        (["evaluate"], "evaluate needs SOURCE: a run folder"),
        (["serch"], "No command 'serch'. Did you mean 'search'?"),
    ],
)
def test_what_cannot_be_parsed_has_exit_status_2(arguments, message, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.startswith("darts: ")
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_genotype_file_that_is_wrong_is_refused(tmp_path, capsys):
    path = tmp_path / "genotype.json"
    path.write_text('{"normal": [["warp", 0], ["skip_connect", 1]], "normal_concat": [2]}')
    assert cli.main(["retrain", "--genotype", str(path)]) == 2
    assert "unknown operation 'warp'" in capsys.readouterr().err


def test_a_preset_sets_the_defaults_and_options_override_them():
    options = {}

    def catch(jobs, device):
        options["config"] = jobs[0].config

    original, requests.run_jobs = requests.run_jobs, catch
    try:
        paper = ["full-search", "--preset", "cifar10-s1", "--data-root", "D", "--seed", "3"]
        assert cli.main([*paper, "--search.epochs", "7", "--estimator", "amended:eta=0.5"]) == 0
    finally:
        requests.run_jobs = original
    config = options["config"]
    assert (config.preset, config.data.root, config.seed) == ("cifar10-s1", "D", 3)
    assert (config.search.epochs, config.search.channels) == (7, 16)
    assert config.search.estimator == Amended(eta=0.5, derivatives=FORWARDS)
    assert config.retrain.epochs == 600


def test_a_run_by_command_is_complete_resumable_and_not_overwritten(tmp_path, capsys):
    path = tmp_path / "run"
    command = ["full-search", *TINY_FULL, "--run-dir", str(path)]
    assert cli.main(command) == 0
    shown = capsys.readouterr().out
    assert "search: 1 epoch of 3 steps" in shown
    assert f"report: {path / 'report.html'}" in shown
    ending = shown[shown.index("files:\n") :].splitlines()
    assert f"  {path / 'retrain' / 'network.safetensors'}" in ending
    assert ending[ending.index("next:") + 1] == f"  darts evaluate {path}"
    environment = json.loads((path / "environment.json").read_text())
    assert environment["command"].startswith("darts full-search --preset digits-check")
    config = json.loads((path / "config.json").read_text())
    assert config["search"]["estimator"] == {"type": "FirstOrder"}
    assert list(path.glob("events/*/events.out.tfevents*"))

    assert cli.main(command) == 2
    assert "exists and is not empty" in capsys.readouterr().err

    report = (path / "report.html").read_text()
    result = json.loads((path / "result.json").read_text())
    (path / "result.json").unlink()
    assert cli.main(["full-search", "--resume", str(path)]) == 0
    assert json.loads((path / "result.json").read_text()) == result
    (path / "report.html").unlink()
    assert cli.main(["report", str(path)]) == 0
    assert (path / "report.html").read_text() == report


def test_several_seeds_give_a_folder_each_and_a_summary(tmp_path, capsys):
    path = tmp_path / "runs"
    arguments = ["full-search", *TINY_FULL, "--seed", "4", "--seeds", "2", "--run-dir", str(path)]
    assert cli.main(arguments) == 0
    assert "2 runs that only check" in capsys.readouterr().out
    for seed in (4, 5):
        config = RunFolder.open(path / f"seed-{seed}").read("config.json")
        assert (config["search"]["seed"], config["retrain"]["seed"]) == (seed, seed)
    assert json.loads((path / "summary.json").read_text())["seeds"] == [4, 5]
    (path / "seed-5" / "result.json").unlink()
    assert cli.main(["full-search", "--resume", str(path)]) == 0
    assert (path / "seed-5" / "result.json").is_file()


def test_search_alone_and_retrain_alone_make_what_full_search_makes(tmp_path):
    whole, searched, trained = (str(tmp_path / name) for name in ("whole", "search", "retrain"))
    shrink = [*TINY_FULL[len(TINY) :]]
    assert cli.main(["full-search", *TINY_FULL, "--run-dir", whole]) == 0
    assert cli.main(["search", *TINY, "--run-dir", searched]) == 0
    retrain = ["retrain", "--preset", "digits-check", "--train-size", "60", *shrink]
    assert cli.main([*retrain, "--genotype", searched, "--run-dir", trained]) == 0
    for command, run in (("search", searched), ("retrain", trained)):
        (Path(run) / "result.json").unlink()
        assert cli.main([command, "--resume", run]) == 0
        assert (Path(run) / "result.json").is_file()
    weights = [Path(run) / "retrain" / "network.safetensors" for run in (whole, trained)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_ctrl_c_while_a_command_is_loaded_is_one_line(monkeypatch, capsys):
    """PyTorch takes seconds."""

    def loading(name):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "import_module", loading)
    assert cli.main(["search"]) == 130
    assert capsys.readouterr().err == "darts: Interrupted. Give the command again.\n"


def test_a_run_is_gone_on_with_by_the_command_of_its_stages_alone(run, tmp_path, capsys):
    """A result of other stages would replace the one that is there."""
    path = tmp_path / "run"
    shutil.copytree(run.path, path)
    for stage in ("search", "retrain"):
        assert cli.main([stage, "--resume", str(path)]) == 2
        told = capsys.readouterr().err
        assert f"has the stages of full-search. Give darts full-search --resume {path}." in told
    config = json.loads((path / "config.json").read_text())
    for stage, command in (("search", "retrain"), ("retrain", "search")):
        (path / "config.json").write_text(json.dumps(config | {stage: None, "baselines": 0}))
        for word in (command, "full-search"):
            assert cli.main([word, "--resume", str(path)]) == 2
            told = capsys.readouterr().err
            assert f"config.json has no {stage}, but there are records of one in {path}" in told
    assert (path / "result.json").read_bytes() == (run.path / "result.json").read_bytes()


def test_a_run_goes_on_with_the_threads_that_it_began_with_or_says_that_others_round_otherwise(
    tmp_path, capsys
):
    path = str(tmp_path / "run")
    usual = torch.get_num_threads()
    try:
        assert cli.main(["search", *TINY, "--threads", "2", "--run-dir", path]) == 0
        assert "This run began with" not in capsys.readouterr().out
        assert cli.main(["search", "--resume", path]) == 0
        assert torch.get_num_threads() == 2
        assert "This run began with" not in capsys.readouterr().out
        assert cli.main(["search", "--resume", path, "--threads", "1"]) == 0
        assert torch.get_num_threads() == 1
        told = capsys.readouterr().out
        assert "This run began with torch threads 2, now 1: from here on its bits may be" in told
    finally:
        torch.set_num_threads(usual)


def test_a_run_of_the_cpu_goes_on_there_and_another_machine_is_told(monkeypatch, run):
    silent, typed = Search(resume=run.path), Search(resume=run.path, device="cuda", threads=3)
    assert as_begun(silent, Invocation("search", ()), run)[0] == "cpu"
    words = ("--device", "cuda", "--threads=3")
    assert as_begun(typed, Invocation("search", words), run) == ("cuda", 3)
    assert as_begun(Search(), Invocation("search", ()), run) == ("auto", 1)
    begun = run.read("environment.json")
    assert changes_since(begun, "cpu") == []
    monkeypatch.setattr(environment, "_instructions", lambda: "SSE")
    other = begun | {"packages": begun["packages"] | {"torch": "0.3"}}
    assert changes_since(other, "cpu") == [
        f"instructions {begun['instructions']}, now SSE",
        f"torch 0.3, now {begun['packages']['torch']}",
    ]
    assert changes_since({"packages": 3}, "cpu") == []


def test_count_prints_the_published_size_of_darts(capsys):
    assert cli.main(["count", "DARTS_V2"]) == 0
    assert "3.349 M parameters" in capsys.readouterr().out


def test_count_reads_a_file_in_the_notation_of_darts(tmp_path, capsys):
    path = tmp_path / "cells.py"
    path.write_text("DARTS_V2 = " + genotype_to_text(PUBLISHED["DARTS_V2"].genotype))
    assert cli.main(["count", str(path)]) == 0
    assert "3.349 M parameters" in capsys.readouterr().out


def test_a_search_that_diverges_fails_with_a_message_and_status_1(tmp_path, capsys):
    diverging = ["--search.learning-rate", "1e20", "--search.clip", "1e30"]
    assert cli.main(["search", *TINY, *diverging, "--run-dir", str(tmp_path / "run")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("darts: The search stopped in epoch 0, step 1")
    assert "The last good state is in" in error


@pytest.mark.slow
def test_importing_has_no_effect_and_the_module_runs_as_a_command(tmp_path):
    code = "import darts.cli, darts.training, darts.reports, darts.data"
    environment = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env=environment
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []
    failing = [sys.executable, "-m", "darts.cli", "report", "nowhere"]
    done = subprocess.run(failing, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert done.stderr.startswith("darts: nowhere is not a run folder")


def test_an_unknown_space_is_one_line_with_the_known_ones(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["search", "--space", "s9"]) == 2
    assert "No space 's9'; there are s1, s1-fixed, s2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--search.mixing", "sampled-path", "--search.perturbation", "random"], "to perturb"),
        (["--search.partial-channels", "partial", "--search.channels", "8"], "edges are fixed"),
        (["--space", "s2"], "network of 3 cells asked of a space with 20 cells"),
        (["--search.stop", "sometimes"], "No stop 'sometimes'; there are none, skip-limit"),
    ],
)
def test_methods_that_do_not_go_together_are_refused(
    arguments, message, capsys, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["search", "--preset", "digits-check", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_random_search_keeps_its_best_and_goes_on_with_the_same_command(
    capsys, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    command = [
        *("random-search", "--preset", "digits-check", "--train-size", "60", "--run-dir", "run"),
        *("--samples", "2", "--keep", "1", "--evaluation.epochs", "1"),
        *("--evaluation.cells", "1", "--evaluation.channels", "2", "--evaluation.batch-size", "15"),
    ]
    assert cli.main(command) == 0
    said = capsys.readouterr().out
    assert "kept sample" in said
    assert "  darts retrain --preset digits-check --genotype run/genotype-1.json\n" in said
    assert json.loads(Path("run/genotype-1.json").read_text())["normal"]
    assert cli.main(["evaluate", "run/samples/0"]) == 0
    assert "top-1" in capsys.readouterr().out
    assert cli.main(["export", "run/samples/1", "--to", "exported", "--formats", "pt2"]) == 0
    assert (tmp_path / "exported" / "network.safetensors").is_file()
    capsys.readouterr()
    assert cli.main(command) == 0
    assert cli.main([*command, "--keep", "2"]) == 1
    assert "other settings (random_search.random.keep: 1 ≠ 2)" in capsys.readouterr().err


def fails_with(error):
    def read(kind, given):
        return error()

    return read


def test_a_programming_error_keeps_its_traceback_and_a_message_for_users_is_one_line(
    monkeypatch, capsys
):
    with monkeypatch.context() as patch:
        for fault in (lambda: int("x"), lambda: list(zip([1], [], strict=True)), lambda: [][0]):
            patch.setattr(typed, "read", fails_with(fault))
            with pytest.raises((ValueError, IndexError)):
                cli.main(["search"])
        patch.setattr(typed, "read", fails_with(lambda: torch.zeros(2).numpy().reshape(3)))
        with pytest.raises(ValueError, match="cannot reshape"):
            cli.main(["search"])
    assert cli.main(["search", "--preset", "nope"]) == 2
    assert "No preset 'nope'" in capsys.readouterr().err
    assert cli.main(["full-search", "--resume", "no/run"]) == 1
    assert "is not a run folder" in capsys.readouterr().err


def test_debug_shows_the_traceback_of_what_is_else_one_line(tmp_path):
    with pytest.raises(UsageError, match="No preset 'nope'"):
        cli.main(["search", "--preset", "nope", "--debug"])
    with pytest.raises(Exception, match="is not a run folder"):
        cli.main(["--debug", "full-search", "--resume", "no/run"])


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_and_sigterm_print_the_command_that_goes_on(
    tmp_path, capsys, monkeypatch, number, status
):
    class Pressing(requests.LiveProgress):
        def tick(self, stage, epoch, step):
            if (stage, epoch, step) == ("search", 0, 0):
                os.kill(os.getpid(), number)

    monkeypatch.setattr(requests, "LiveProgress", Pressing)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    path = tmp_path / "a run"
    assert cli.main(["search", *TINY, "--run-dir", str(path)]) == status
    said = capsys.readouterr().err
    assert "all steps are saved" in said
    line = said.splitlines()[-1].strip()
    assert line == f"darts search --resume '{path}'"
    signal.signal(signal.SIGINT, before)
    monkeypatch.undo()
    assert cli.main(shlex.split(line)[1:]) == 0
    assert len(RunFolder.open(path).records("search/steps")) > 2


def test_commands_run_from_a_clone_that_is_not_installed(monkeypatch, capsys):
    def unknown(package: str) -> str:
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr(metadata, "version", unknown)
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--version"])
    assert capsys.readouterr().out == "amended-darts not installed\n"
    assert cli.main(["presets"]) == 0
