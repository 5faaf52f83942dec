"""The ledger has a row for every claim of the text and no other, each in its place."""

import re
import tomllib
from dataclasses import replace

import pytest

from proofs_checks.catalogue import all_claims
from proofs_checks.ledger import Verdict
from proofs_checks.paper import (
    FILE,
    SECTION_OF,
    Stated,
    digest,
    not_tested,
    of_the_paper,
    stated,
)
from tests.proofs_checks.paper_text import paper_text, runs

LONGEST_QUOTATION = 7
CLAIMS = all_claims()


def test_every_claim_of_the_text_has_a_row_in_the_texts_order():
    assert [claim.id for claim in CLAIMS if of_the_paper(claim)] == list(stated())


def test_the_papers_rows_come_first_and_name_the_place_that_the_list_gives():
    listed = CLAIMS[: len(stated())]
    assert [(claim.id, claim.where) for claim in listed] == [
        (entry.id, entry.place) for entry in stated().values()
    ]


SECTIONS = (
    *("Abstract", "§1", "§2", "§3.1", "§3.2", "§3.3", "§3.4", "§3.5"),
    *("§4.1", "§4.1.1", "§4.1.2", "§4.1.3", "§4.1.4", "§4.2", "§5"),
    *("A.1", "A.2", "A.3", "A.4", "A.5"),
)
"""In the text's order."""


def rank(place: str) -> int:
    """Where a place of the list stands in the text; what follows a comma says more precisely."""
    named = place.partition(",")[0]
    return SECTIONS.index(SECTION_OF.get(named, named))


@pytest.mark.parametrize("entry", stated().values(), ids=lambda entry: entry.id)
def test_the_place_of_a_claim_is_the_one_that_its_id_names(entry):
    assert any(re.match(rf"{re.escape(entry.home)}(,|$)", p) for p in entry.place.split("; "))


def test_claims_stand_in_the_order_of_the_sections_and_so_do_the_places_of_each():
    ranks = [SECTIONS.index(entry.section) for entry in stated().values()]
    assert ranks == sorted(ranks)
    assert set(ranks) == set(range(len(SECTIONS)))
    for entry in stated().values():
        places = [rank(place) for place in entry.place.split("; ")]
        assert places == sorted(places), entry


def test_every_sentence_has_been_read_beside_the_paper():
    """No program can tell a true paraphrase from a negated one: a change must be looked at."""
    kept = tomllib.loads(FILE.read_text("utf-8"))["read_beside_the_paper"]
    now = digest(stated().values())
    assert kept == now, (
        f"an id, a place, a text or their order is not what was read beside the paper ({kept}). "
        f"The digest is there so that nobody changes one by accident: read what you changed beside "
        f"the paper's text once more, then write {now} into {FILE.name}."
    )


def test_the_digest_sees_a_place_a_word_and_the_order():
    one, two = Stated("§1a", "§1", "It is."), Stated("§1b", "§1", "It is not.")
    changed = [
        [two, one],
        [one],
        [one, replace(two, place="§2")],
        [one, replace(two, text="It is")],
        [one, replace(two, id="§1c")],
    ]
    found = {digest(entries) for entries in ([one, two], *changed)}
    assert len(found) == 1 + len(changed)


def test_a_row_that_names_a_place_of_the_text_alone_is_on_the_list():
    """What is this project's own says so: "new", or on what network it was looked at."""
    places = {entry.place for entry in stated().values()}
    own = [claim for claim in CLAIMS if not of_the_paper(claim)]
    assert own
    assert not [claim.id for claim in own if claim.where in places]
    starts = ("new", "bilevel", "Eq. ", "§")
    assert not [claim.id for claim in own if not claim.where.startswith(starts)]


def test_places_are_sections_equations_figures_tables_footnotes_or_appendices():
    one = re.compile(r"(Abstract|§\d|Eq\. \d|Fig\. \d|Table \d|Footnote \d|A\.\d)")
    for entry in stated().values():
        assert all(one.match(place) for place in entry.place.split("; ")), entry


def test_every_section_equation_table_figure_and_appendix_is_there():
    places = "; ".join(entry.place for entry in stated().values())
    wanted = ["Abstract", "§1", "§2", "§3.1", "§3.2", "§3.3", "§3.4", "§3.5", "§4.1", "§4.1.1"]
    wanted += ["§4.1.2", "§4.1.3", "§4.1.4", "§4.2", "§5", "Footnote 2", "A.1", "A.2", "A.3"]
    wanted += ["A.4", "A.5", "Table 1", "Table 2", "Fig. 1", "Fig. 2", "Fig. 3"]
    wanted += [f"Eq. {k}" for k in (2, 3, 5, 6, 7)]
    for place in wanted:
        assert re.search(rf"(^|; ){re.escape(place)}(;|,|$)", places), place


@pytest.mark.parametrize("entry", stated().values(), ids=lambda entry: entry.id)
def test_a_paraphrase_quotes_no_run_of_eight_words(entry):
    shared = runs(entry.text, LONGEST_QUOTATION + 1) & runs(paper_text(), LONGEST_QUOTATION + 1)
    assert not shared


def test_a_quotation_would_be_seen():
    text = paper_text()
    quoted = "one does not hope the search process to achieve convergence as it implies"
    assert runs(quoted, 8) & runs(text, 8)


def test_an_unknown_or_doubled_id_is_refused(tmp_path, monkeypatch):
    with pytest.raises(KeyError):
        not_tested("§9", "")
    doubled = tmp_path / FILE.name
    doubled.write_text('[[claim]]\nid="a"\nplace="§1"\ntext="b"\n' * 2, encoding="utf-8")
    monkeypatch.setattr("proofs_checks.paper.FILE", doubled)
    with pytest.raises(ValueError, match=r"lists \['a'\] twice"):
        stated.__wrapped__()


def test_the_main_claim_and_what_is_open_have_the_verdicts_of_their_evidence():
    verdicts = {claim.id: claim.verdict for claim in CLAIMS}
    assert verdicts["MAIN"] is verdicts["§1f"] is verdicts["FN2"] is Verdict.FAILS
    assert verdicts["§3.4a"] is verdicts["§3.4g"] is Verdict.HOLDS
    assert verdicts["N2"] is Verdict.UNDETERMINED
