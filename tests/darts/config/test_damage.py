"""A config.json that someone changed: every command says in one line which file and which key."""

import json
import shutil

import pytest

from darts import cli
from darts.config.as_json import to_json
from darts.config.damage import damage
from darts.names import TYPES
from tests.darts.training import tiny

GONE = object()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "run"
    small = ["--search.channels", "1", "--search.cells", "1", "--estimator", "first-order"]
    assert cli.main(["search", "--preset", "digits-check", *small, "--run-dir", str(path)]) == 0
    return path


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("data", None, "data is null, and must be DataSet"),
        ("data", {"root": "x"}, "data.type is missing"),
        ("retrain", "x", 'retrain is "x", and must be RetrainConfig or null'),
        ("retrain", GONE, "retrain is missing"),
        ("search", None, "search and retrain are both null"),
        ("search", {"type": "Noise"}, 'search.type is "Noise", and search must be SearchConfig'),
        ("search.mixing", 3, "search.mixing is 3, and must be Mixing"),
        ("search.space", [], "search.space is [], and must be Space"),
        ("search.space.operations", None, "search.space.operations is null, and must be a list"),
        ("search.epochs", "two", 'search.epochs is "two", and must be a whole number'),
        ("preset", {"type": "Softmax"}, 'preset is {"type": "Softmax"}, and must be text'),
        ("type", None, "type is null"),
    ],
)
def test_each_command_names_the_file_and_the_key(whole, tmp_path, capsys, key, value, words):
    path = tmp_path / "run"
    shutil.copytree(whole, path)
    content = json.loads((path / "config.json").read_text())
    *within, last = key.split(".")
    place = content
    for name in within:
        place = place[name]
    place.pop(last)
    if value is not GONE:
        place[last] = value
    (path / "config.json").write_text(json.dumps(content))
    for command in (["report"], ["compare"], ["evaluate"], ["export"], ["search", "--resume"]):
        assert cli.main([*command, str(path)]) != 0
        said = capsys.readouterr().err
        assert said.startswith(f"darts: {path / 'config.json'}: {words}"), (command, said)
        assert said.count("\n") == 1


def test_a_stage_that_left_records_is_not_null(whole, tmp_path, capsys):
    path = tmp_path / "run"
    shutil.copytree(whole, path)
    content = to_json(tiny.full_config(search=None))
    (path / "config.json").write_text(json.dumps(content))
    assert cli.main(["report", str(path)]) == 1
    said = capsys.readouterr().err
    assert f"{path / 'config.json'}: search is null, and the folder has records" in said


def test_a_whole_config_and_one_with_types_of_its_own_have_no_damage():
    content = to_json(tiny.full_config())
    assert damage(content, TYPES) is None
    content["data"] = {"type": "MyImages", "place": 3}
    assert damage(content, TYPES) is None
