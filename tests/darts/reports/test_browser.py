"""Pages as a browser shows them: on a desk, on a phone, in the dark; what their controls do."""

import shutil
from dataclasses import replace
from itertools import combinations

import pytest

from darts.records.run_folder import RunFolder
from darts.reports.comparison import write_comparison
from darts.reports.entries import gathered
from proofs_checks.ledger import Verdict, verify
from proofs_checks.page import write_page
from tests.darts.reports.browser import needs_browser, opened
from tests.proofs_checks.test_ledger import claim

pytestmark = needs_browser
PAGES = ("run", "comparison", "verdict")


@pytest.fixture(scope="module")
def seen(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    other = RunFolder(folder / "other")
    shutil.copytree(run.path, other.path)
    config = other.read("config.json")
    config["search"]["estimator"] = {"type": "FirstOrder"}
    other.write("config.json", config)
    page = write_comparison(
        folder / "comparison.html", "Runs compared", gathered([run.path, other.path])
    )
    # a page with the faults that are looked for: the checks must see them
    planted = folder / "planted.html"
    planted.write_text(
        "<body style='background:#fff'><div style='width:1500px'>wide</div>"
        "<script>console.error('planted'); undefined.planted;</script>"
    )
    verdict = folder / "verdict.html"
    wrong = replace(claim(1, 2, "X2"), verdict=Verdict.FAILS)
    write_page(verdict, [verify(claim()), verify(wrong), verify(claim(name="X3"))])
    pages = {"run": run.path / "report.html", "comparison": page, "verdict": verdict}
    pages |= {"planted": planted}
    return opened(pages, folder)


def test_the_console_is_silent_but_for_what_is_planted(seen):
    _, console = seen
    lines = [line for line in console.splitlines() if "planted" not in line]
    assert not lines
    assert "planted" in console
    assert "TypeError" in console


@pytest.mark.parametrize("frame", ["wide", "phone", "dark"])
@pytest.mark.parametrize("page", PAGES)
def test_nothing_is_wider_than_the_screen(seen, page, frame):
    assert seen[0][f"{page}-{frame}"]["overflow"] <= 0
    assert seen[0]["planted-phone"]["overflow"] > 1000


@pytest.mark.parametrize("page", PAGES)
def test_the_paper_is_dark_in_a_dark_scheme_alone(seen, page):
    papers = {frame: seen[0][f"{page}-{frame}"]["paper"] for frame in ("wide", "phone", "dark")}
    assert papers == {"wide": "rgb(255, 255, 255)", "phone": "rgb(255, 255, 255)"} | {
        "dark": "rgb(20, 23, 28)"
    }
    assert seen[0]["planted-dark"]["paper"] == "rgb(255, 255, 255)"


def test_the_slider_takes_the_focus_and_redraws_every_cell(seen):
    for frame in ("wide", "phone", "dark"):
        found = seen[0][f"run-{frame}"]
        before, first, last = found["cells"]
        assert found["focused"]
        assert len(first) == 2
        assert before == last  # the page opens at the last epoch
        assert all(early != late for early, late in zip(first, last, strict=True))
        assert found["said"] == "epoch 2"


def test_cells_stand_side_by_side_and_on_a_phone_under_each_other(seen):
    wide, phone = (seen[0][f"run-{frame}"]["columns"] for frame in ("wide", "phone"))
    assert len(set(wide)) == 2
    assert len(set(phone)) == 1


def test_what_is_folded_up_is_opened_for_paper(seen):
    before, printed = seen[0]["run-wide"]["folded"]
    assert before > 0
    assert printed == 0


def test_the_filter_leaves_the_claims_with_the_verdict_asked_for(seen):
    for frame in ("wide", "phone", "dark"):
        assert seen[0][f"verdict-{frame}"]["rows"] == [3, 1]


def test_labels_are_not_on_top_of_each_other(seen):
    for frame in ("wide", "phone"):
        boxes = [label for label in seen[0][f"run-{frame}"]["labels"] if label[0]]
        assert len(boxes) > 4
        for (_, left, right, top, bottom), (_, *other) in combinations(boxes, 2):
            apart = right <= other[0] or other[1] <= left or bottom <= other[2] or other[3] <= top
            assert apart
