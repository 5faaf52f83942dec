"""A run goes on with the images that it began with, or not at all."""

import shutil

import pytest
import torch

from darts import cli
from darts.data import ImageFolders, SearchData
from darts.records.data_record import record_images
from darts.records.run_folder import RunFolder
from tests.darts.commands.test_cli import TINY
from tests.darts.data.image_folder import write_tree
from tests.darts.training.tiny import images, new_run


def test_equal_images_go_on_and_a_changed_pixel_or_label_is_refused(tmp_path):
    run = new_run(tmp_path / "run")
    halves = SearchData.of(images(), 0.5, 0)
    record_images(run, images(), halves)
    written = (run.path / "data.json").read_bytes()
    record_images(RunFolder.open(run.path), images(), SearchData.of(images(), 0.5, 0))
    assert (run.path / "data.json").read_bytes() == written
    pixel, label = images(), images()
    pixel.train.images[3, 0, 2, 2] += 1
    label.test.labels[:2] = label.test.labels[:2].flip(0)
    for changed, part in ((pixel, "train"), (label, "test")):
        if part == "test" and torch.equal(changed.test.labels, images().test.labels):
            raise AssertionError("two equal labels")
        with pytest.raises(ValueError, match=f"not those that .* began with: {part}_digest"):
            record_images(run, changed, halves)
    with pytest.raises(ValueError, match=r"search\.train_counts"):
        record_images(run, images(), SearchData.of(images(), 0.3, 0))
    assert (run.path / "data.json").read_bytes() == written


def test_a_record_without_a_digest_is_held_to_what_it_says(tmp_path):
    run = new_run(tmp_path / "run")
    record_images(run, images())
    known = {k: v for k, v in run.read("data.json").items() if not k.endswith("digest")}
    run.write("data.json", known)
    record_images(run, images())
    run.write("data.json", {**known, "test_images": 7})
    with pytest.raises(ValueError, match="test_images: 7 ≠"):
        record_images(run, images())


CHANGES = {
    "a file more": lambda file: shutil.copy(file, file.with_name("aaa.png")),
    "a file less": lambda file: file.unlink(),
    "another name": lambda file: file.rename(file.with_name(f"zzz{file.suffix}")),
    "another size": lambda file: file.write_bytes(file.read_bytes() + b"\0"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_folder_that_changed_is_refused_by_what_differs(tmp_path, change):
    root = write_tree(tmp_path / "data")
    data = ImageFolders(root=str(root), image_size=32)
    run = new_run(tmp_path / "run")
    record_images(run, data.load())
    record_images(run, data.load())
    change(sorted((root / "train").rglob("*.*"))[0])
    with pytest.raises(ValueError, match="train_digest"):
        record_images(run, data.load())


def test_by_command_a_search_is_not_resumed_on_other_images(tmp_path, capsys):
    path = tmp_path / "run"
    assert cli.main(["search", *TINY, "--run-dir", str(path)]) == 0
    run = RunFolder.open(path)
    run.write("data.json", {**run.read("data.json"), "train_digest": "0"})
    assert cli.main(["search", "--resume", str(path)]) == 1
    assert "The images are not those that" in capsys.readouterr().err


def test_a_file_that_ended_a_run_may_be_replaced_and_no_other(tmp_path, capsys):
    """No step has read it, so that the run is one of the right file throughout."""
    root = write_tree(tmp_path / "data")
    files = sorted((root / "train").rglob("*.*"))
    whole = files[0].read_bytes()
    files[0].write_text("<html>404 not found</html>")
    command = ["search", *TINY[TINY.index("--space") :], "--preset", "digits-check"]
    command += ["--dataset", "imagenet", "--data-root", str(root), "--image-size", "16"]
    command += ["--search.batch-size", "4"]
    path = tmp_path / "run"
    assert cli.main([*command, "--run-dir", str(path)]) == 1
    assert "Put the right file there" in capsys.readouterr().err
    files[0].write_bytes(whole)
    files[1].write_bytes(files[1].read_bytes() + b"\0")
    assert cli.main(["search", "--resume", str(path)]) == 1
    assert "The images are not those that" in capsys.readouterr().err
    files[1].write_bytes(files[1].read_bytes()[:-1])
    assert cli.main(["search", "--resume", str(path)]) == 0
    assert "unreadable.json were replaced" in capsys.readouterr().out
    assert cli.main([*command, "--run-dir", str(tmp_path / "whole")]) == 0
    found = [(run / "genotype.json").read_bytes() for run in (path, tmp_path / "whole")]
    assert found[0] == found[1]
