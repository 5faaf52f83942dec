"""What goes wrong outside the program: one clear line, status 1, and the last good state kept."""

import errno
import importlib
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from darts import cli
from darts.networks import Supernet
from darts.records.run_folder import RunFolder
from darts.reports.events import TensorBoardEvents
from tests.darts.training.test_killed import final_state
from tests.darts.training.tiny import assert_same_bits, timeless

SEARCH = [
    *("search", "--preset", "digits-check", "--train-size", "60", "--space", "s1-fixed"),
    *("--search.batch-size", "10", "--search.epochs", "2", "--search.cells", "1"),
    *("--search.channels", "1", "--estimator", "first-order", "--search.checkpoint-share", "1"),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "run"
    assert cli.main([*SEARCH, "--run-dir", str(path)]) == 0
    return path


def assert_one_line(error: str, *words: str) -> None:
    assert error.startswith("darts: ")
    assert error.count("\n") == 1
    assert "Traceback" not in error
    for word in words:
        assert word in error


@pytest.mark.parametrize(
    ("write", "code"), [(3, errno.ENOSPC), (9, errno.EDQUOT), (10, errno.EIO), (20, errno.ENOSPC)]
)
def test_a_disk_that_fills_up_stops_the_run_and_what_was_there_goes_on_to_the_same_bits(
    whole, tmp_path, monkeypatch, capsys, write, code
):
    """The k-th flush to disk fails, whatever file it is of."""
    flushed, count = os.fsync, iter(range(10**6))

    def full(handle: int) -> None:
        if next(count) == write:
            raise OSError(code, os.strerror(code))
        flushed(handle)

    path = tmp_path / "run"
    monkeypatch.setattr(os, "fsync", full)
    assert cli.main([*SEARCH, "--run-dir", str(path)]) == 1
    assert_one_line(capsys.readouterr().err, "could not be written", os.strerror(code), "--resume")
    monkeypatch.setattr(os, "fsync", flushed)
    assert not list(path.rglob("*.part"))
    assert cli.main(["search", "--resume", str(path)]) == 0
    assert_same_bits(final_state(path / "search"), final_state(whole / "search"))
    for stream in ("search/steps", "search/epochs"):
        records = [timeless(RunFolder.open(run).records(stream)) for run in (path, whole)]
        assert records[0] == records[1]


def test_a_limit_on_file_sizes_is_named_and_a_process_under_it_exits_with_1(tmp_path):
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    command = [sys.executable, "-m", "darts.cli", *SEARCH, "--run-dir", str(tmp_path / "run")]
    root = str(Path(cli.__file__).parents[1])
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        preexec_fn=limit,
        env={**os.environ, "PYTHONPATH": root},
        timeout=300,
    )
    assert done.returncode == 1
    assert_one_line(done.stderr, ".checkpoint could not be written: File too large", "ulimit -f")


def test_a_folder_that_cannot_be_written_is_refused_before_any_work(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert cli.main([*SEARCH, "--run-dir", str(tmp_path / "file" / "run")]) == 1
    said = capsys.readouterr().err
    assert_one_line(said, "could not be written: Not a directory", "Nothing was begun")
    assert "--resume" not in said


@pytest.mark.parametrize(
    ("command", "name"),
    [(("draw", "DARTS_V2"), "x.svg"), (("measure",), "x.json"), (("export", "DARTS_V2"), "x")],
)
def test_a_file_that_cannot_be_written_has_no_run_to_go_on_with(command, name, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    sizes = () if command[0] == "draw" else ("--cells=3", "--channels=2")
    formats = ("--formats",) if command[0] == "export" else ()
    to = tmp_path / "file" / name
    assert cli.main([*command, *sizes, "--to", str(to), *formats]) == 1
    said = capsys.readouterr().err
    assert_one_line(said, "could not be written", "give it another place")
    assert "--resume" not in said


def test_measure_looks_whether_it_can_write_before_it_measures(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("darts.commands.measure.measure_latency", pytest.fail)
    assert cli.main(["measure", "--to", str(tmp_path / "file/x.json")]) == 1
    assert "could not be written" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/sys").is_dir(), reason="no /sys, the read-only folder of the test")
def test_a_read_only_folder_is_refused_before_any_work(capsys):
    assert cli.main([*SEARCH, "--run-dir", "/sys/darts-run"]) == 1
    assert_one_line(
        capsys.readouterr().err, "/sys/darts-run could not be written", "Nothing was begun"
    )


def test_a_run_folder_that_became_read_only_keeps_its_state(whole, tmp_path, monkeypatch, capsys):
    path = tmp_path / "run"
    assert cli.main([*SEARCH, "--run-dir", str(path)]) == 0
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    opened = Path.open

    def refused(self: Path, mode: str = "r", *args: object, **kwargs: object) -> object:
        if path in self.parents and set(mode) & set("wax+"):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))
        return opened(self, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refused)
    assert cli.main(["search", "--resume", str(path)]) == 1
    assert_one_line(capsys.readouterr().err, "Read-only file system. Mount the disk for writing")
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate "
            "memory: you tried to allocate 4 bytes. Error code 12 (Cannot allocate memory)"
        ),
        MemoryError(),
    ],
    ids=["GPU", "CPU", "Python"],
)
def test_memory_that_runs_out_is_one_line_that_says_what_to_make_smaller(
    tmp_path, monkeypatch, capsys, error
):
    steps = []
    forward = Supernet.forward

    def exhausted(self, *args, **kwargs):
        steps.append(None)
        if len(steps) > 9:
            raise error
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(Supernet, "forward", exhausted)
    assert cli.main([*SEARCH, "--run-dir", str(tmp_path / "run")]) == 1
    assert_one_line(capsys.readouterr().err, "Out of memory: ", "--search.batch-size", "--resume")
    assert list((tmp_path / "run" / "search" / "checkpoints").iterdir())


def test_an_allocation_that_really_fails_is_seen_as_such():
    with pytest.raises(RuntimeError) as failed:
        torch.empty(2**60, dtype=torch.uint8)
    from darts.training.evaluation import ran_out_of_memory

    assert ran_out_of_memory(failed.value)
    assert not ran_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_any_other_error_of_the_program_is_not_hidden(tmp_path, monkeypatch):
    def broken(self, *args, **kwargs):
        raise RuntimeError("a defect")

    monkeypatch.setattr(Supernet, "forward", broken)
    with pytest.raises(RuntimeError, match="a defect"):
        cli.main([*SEARCH, "--run-dir", str(tmp_path / "run")])


def test_a_killed_beginning_leaves_no_folder_that_looks_like_a_run(tmp_path, monkeypatch, capsys):
    """The config is the last file written: whatever has one can be resumed."""
    path = tmp_path / "run"
    written = []
    write = RunFolder.write

    def noted(self, name, content):
        written.append(name)
        return write(self, name, content)

    monkeypatch.setattr(RunFolder, "write", noted)
    RunFolder.create(path, {}, {}, genotype={"normal": []})
    assert written == ["environment.json", "genotype.json", "config.json"]
    (path / "config.json").unlink()
    assert cli.main(["search", "--resume", str(path)]) == 1
    assert_one_line(capsys.readouterr().err, "delete the folder and begin again")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # the writer's
def test_events_on_a_full_disk_are_an_error_with_the_folder_and_not_a_thread_that_dies(tmp_path):
    events = TensorBoardEvents(tmp_path)
    events.begin("search", 1, 1, (0, 0))

    def full(content: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    writer = events._writer.file_writer.event_writer._async_writer
    writer._writer.write = full
    with pytest.raises(OSError, match=r"events/search.* could not be written: No space left"):
        events.record("retrain/epochs", {"epoch": 0, "train_loss": 1.0})
    events.close()
    writer._worker.join(10)  # what it raises belongs to this test


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--retrain.auxiliary-weight", "0.4"], "--retrain.auxiliary-weight 0"),
        (["--retrain.channels", "within:millions=0.0001"], "Raise the limit, or take fewer cells"),
    ],
)
def test_what_no_cell_could_be_retrained_with_is_refused_before_the_search(
    tmp_path, capsys, options, said
):
    path = tmp_path / "run"
    command = ["full-search", *SEARCH[1:], "--retrain.batch-size", "10", *options]
    assert cli.main([*command, "--run-dir", str(path)]) == 1
    assert_one_line(capsys.readouterr().err, said)
    assert not path.exists()


def test_a_failed_export_leaves_nothing_so_that_the_same_command_can_be_given_again(
    tmp_path, monkeypatch, capsys
):
    flushed, count = os.fsync, iter(range(10**6))

    def full(handle: int) -> None:
        if next(count) == 1:  # the weights are written, the genotype is not
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flushed(handle)

    monkeypatch.setattr(os, "fsync", full)
    place = tmp_path / "new" / "exported"
    words = ["export", "DARTS_V2", "--cells", "3", "--channels", "2", "--to", str(place)]
    assert cli.main([*words, "--formats"]) == 1
    assert_one_line(capsys.readouterr().err, "No space left", "give the command again")
    assert not place.parent.exists()
    assert cli.main([*words, "--formats"]) == 0


@pytest.mark.parametrize(
    ("words", "said", "unsaid"),
    [
        (["count", "DARTS_V2"], "Ask for fewer channels or cells", ("batch", "--resume")),
        (["draw", "DARTS_V2"], "Free memory and give the command again", ("batch", "--resume")),
        (["evaluate", "x"], "fewer images a batch (--batch-size), or", ("--search", "--resume")),
        (["retrain"], "fewer images a batch (--retrain.batch-size) or", ("--search",)),
        (["random-search"], "(--evaluation.batch-size)", ("--search", "--resume")),
        (["sweep"], "by the same command and --run-dir", ("--resume",)),
    ],
)
def test_what_to_do_after_an_early_end_is_said_in_options_that_the_command_has(
    words, said, unsaid, monkeypatch, capsys
):
    for error, status in ((MemoryError(), 1), (KeyboardInterrupt(), 130)):

        def ended(self, given, error=error):
            raise error

        module = importlib.import_module(f"darts.commands.{words[0].replace('-', '_')}")
        monkeypatch.setattr(getattr(module, cli.COMMANDS[words[0]][0]), "run", ended)
        assert cli.main(words) == status
        told = capsys.readouterr().err
        assert said in told or status == 130
        assert not [word for word in unsaid if word in told]


def test_measure_and_evaluate_try_to_write_before_they_work(whole, tmp_path, monkeypatch, capsys):
    """A read-only disk has the folder already; root may write where rights alone are missing."""
    touch = Path.touch

    def read_only(self, *given, **named):
        if tmp_path in self.parents or whole in self.parents:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        touch(self, *given, **named)

    monkeypatch.setattr(Path, "touch", read_only)
    monkeypatch.setattr("darts.commands.measure.measure_latency", pytest.fail)
    monkeypatch.setattr("darts.commands.evaluate.evaluate_network", pytest.fail)
    for words in (["measure", "--to", str(tmp_path / "x.json")], ["evaluate", str(whole)]):
        assert cli.main(words) == 1
        assert_one_line(capsys.readouterr().err, "could not be written: Read-only file system")
