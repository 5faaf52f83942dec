"""Planted errors are where the list says, and each is caught by the check that it names."""

import pytest

from proofs_checks.plants import (
    NOT_CAUGHT,
    PAGE,
    ROOT,
    Plant,
    ask,
    copied,
    main,
    page,
    plants,
    require_passing,
    try_out,
)

PLANTS = plants()
KINDS = {
    *("formula", "bound", "threshold", "table cell", "record", "rule", "place", "preset"),
    *("verdict", "statistics", "order", "document"),
}


def names(plant: Plant) -> str:
    return f"{plant.kind}: {plant.error}"


@pytest.mark.parametrize("plant", PLANTS, ids=names)
def test_the_old_text_occurs_once_and_the_check_is_there(plant):
    text = (ROOT / plant.file).read_text(encoding="utf-8")
    assert plant.planted(text) != text
    if not plant.check.startswith("claim "):
        assert (ROOT / plant.check.split()[0].partition("::")[0]).is_file()


def test_there_are_enough_of_every_kind():
    assert {plant.kind for plant in PLANTS} == KINDS
    assert len(PLANTS) >= 56
    assert len({(plant.file, plant.old, plant.new) for plant in PLANTS}) == len(PLANTS)


def test_the_page_has_every_plant_and_none_was_missed():
    """Else: python -m proofs_checks.plants --write-docs."""
    written = PAGE.read_text(encoding="utf-8").splitlines()
    rows = page([(plant, "") for plant in PLANTS]).splitlines()
    assert len(written) == len(rows)
    for ours, wanted in zip(written, rows, strict=True):
        assert ours == wanted or ours.startswith(wanted.removesuffix(" |").rstrip()), wanted
    assert NOT_CAUGHT not in "\n".join(written)


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "line.py").write_text("SLOPE = 2\n")
    test = "from line import SLOPE\n\n\ndef test_slope():\n    assert SLOPE == 2\n"
    (tmp_path / "test_line.py").write_text(test)
    return tmp_path


def plant_of(new: str, old: str = "2") -> Plant:
    return Plant("formula", "line.py", old, new, "another slope", "test_line.py")


def test_an_error_is_caught_what_changes_nothing_is_not_and_the_file_is_as_before(tree):
    answer = try_out(plant_of("3"), tree)
    assert (answer.passed, answer.words) == (False, "test_slope")
    assert try_out(plant_of("2.0"), tree).passed
    assert not try_out(plant_of("1 / 0"), tree).passed
    assert (tree / "line.py").read_text() == "SLOPE = 2\n"


def test_a_text_that_is_not_there_once_is_refused(tree):
    for old in ("7", "S"):
        assert plant_of("x", "SLOPE").planted("SLOPE") == "x"
        with pytest.raises(ValueError, match=r"times, and plants\.toml plants 'another"):
            plant_of("x", old).planted("SLOPES S")


def test_a_check_that_fails_by_itself_is_refused(tree):
    require_passing(["test_line.py"], tree)
    (tree / "line.py").write_text("SLOPE = 3\n")
    with pytest.raises(RuntimeError, match="fails with nothing planted: test_slope"):
        require_passing(["test_line.py"], tree)


@pytest.fixture(scope="module")
def project():
    with copied() as tree:
        yield tree


@pytest.mark.slow
def test_every_check_passes_with_nothing_planted(project):
    require_passing([plant.check for plant in PLANTS], project)


@pytest.mark.slow
@pytest.mark.parametrize("plant", PLANTS, ids=names)
def test_every_planted_error_is_caught(project, plant):
    answer = try_out(plant, project)
    assert not answer.passed
    assert answer.words


@pytest.mark.slow
def test_a_claim_names_the_evidence_that_failed(project):
    plant = next(plant for plant in PLANTS if plant.check == "claim T10a")
    assert ask("claim T10a", project).passed
    assert "amended" in try_out(plant, project).words


def test_words_that_no_plant_has_are_answered(capsys):
    assert main(["no such words"]) == 2
    assert "no plant of plants.toml has all of the words no such words" in capsys.readouterr().out
