"""Genotypes as commands take them: by name, as text, in files, of folders, of an epoch."""

import json

import pytest

from darts import cli
from darts.commands.errors import UsageError
from darts.commands.named import genotype_named
from darts.records.run_folder import RunFolder
from darts.spaces.notation import NOTATIONS, genotype_from_text, genotype_in
from darts.spaces.published import DARTS_V1, DARTS_V2
from tests.darts.spaces.test_notation import AS_DARTS_PRINTS_IT

V1 = genotype_in(DARTS_V1, "darts")


@pytest.fixture
def run(tmp_path):
    """A search of two epochs, of which the second found the genotype, and an exported folder."""
    folder = RunFolder(tmp_path / "run")
    for epoch, genotype in enumerate((DARTS_V1, DARTS_V2)):
        folder.append("search/epochs", {"epoch": epoch, "genotype": genotype.to_dict()})
    return folder


def test_a_genotype_is_named_in_many_ways(run, tmp_path):
    log = tmp_path / "log.txt"
    log.write_text(f"11/25 genotype = {V1}\n11/26 genotype = {AS_DARTS_PRINTS_IT}\n")
    source = tmp_path / "odd (name) @1.py"
    source.write_text(f"A = {V1}\nB = {AS_DARTS_PRINTS_IT}\n")
    (tmp_path / "exported").mkdir()
    (tmp_path / "exported" / "network.json").write_text(
        json.dumps({"format": "darts network 1", "genotype": DARTS_V2.to_dict(), "channels": 3})
    )
    run.write("genotype.json", DARTS_V2.to_dict())
    for name in (
        "DARTS_V2",
        AS_DARTS_PRINTS_IT,
        f"11/26 10:12:33 AM genotype = {AS_DARTS_PRINTS_IT}",
        DARTS_V2.to_json(),
        f"{log}@2",
        f"{log}@last",
        f"{source}@B",
        str(run.path),
        f"{run.path}@2",
        f"{run.path}@last",
        f"{run.path}/search/epochs.jsonl@2",
        str(tmp_path / "exported"),
    ):
        assert genotype_named(name) == DARTS_V2, name
    assert genotype_named(f"{run.path}@1") == DARTS_V1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("DARTS_v2", "Did you mean DARTS_V2"),
        ("nowhere.json", "No genotype 'nowhere.json'"),
        ("x" * 5000, "No genotype 'xxx"),
        ("{run}", r"its search is not finished. Go on .*, or take .*run@2"),
        ("{run}@3", "has records of 2 epochs. Give a number from 1 to 2, or last"),
        ("{run}@0", "has records of 2 epochs"),
        ("{run}/search", "neither genotype.json, network.json nor genotype.txt"),
        ("{run}/search@1", "has records of 0 epochs. Name a folder that"),
        ("{run}/search/epochs.jsonl", "holds 2 genotypes, 2 of them different"),
        ("a (strange) word", "no genotype in this text"),
    ],
)
def test_what_is_no_genotype_gets_one_line(run, name, message, capsys):
    name = name.format(run=run.path)
    with pytest.raises(UsageError, match=message):
        genotype_named(name)
    option = ["--genotype", name]
    for words in (
        *(["count", name], ["convert", name], ["draw", name], ["export", name]),
        *(["retrain", *option], ["import-original", "x.pt", *option]),
    ):
        assert cli.main(words) == 2, words
        shown = capsys.readouterr()
        assert shown.out == ""
        assert shown.err.count("\n") == 1


def test_convert_prints_a_notation_that_reads_back(capsys):
    for notation in NOTATIONS:
        status = cli.main(["convert", AS_DARTS_PRINTS_IT, "--to", notation])
        shown = capsys.readouterr()
        assert status == (2 if notation == "nasbench201" else 0)
        if status == 0:
            assert genotype_from_text(shown.out) == DARTS_V2
        else:
            assert "space 'nasbench201' has" in shown.err
    assert cli.main(["convert", "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"]) == 0
    assert '"inputs": 1' in capsys.readouterr().out


def test_commands_take_text(capsys):
    sizes = ["--cells", "3", "--channels", "4"]
    assert cli.main(["count", AS_DARTS_PRINTS_IT, *sizes]) == 0
    by_text = capsys.readouterr().out
    assert cli.main(["count", "DARTS_V2", *sizes]) == 0
    by_name = capsys.readouterr().out
    assert by_text.splitlines()[0] == by_name.splitlines()[0]
    assert "darts draw GENOTYPE\n" in by_text  # too long to be repeated
    assert "darts draw DARTS_V2\n" in by_name


def test_a_file_in_another_encoding_is_named_once(tmp_path, capsys):
    path = tmp_path / "cell.txt"
    path.write_bytes("# Größe".encode("cp1252"))
    assert cli.main(["count", str(path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"darts: {path} is not text in UTF-8")
    assert said.count(str(path)) == 1
