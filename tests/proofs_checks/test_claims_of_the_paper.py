"""The ledger has a row for every claim of the text and no other, each in its place."""

import re

import pytest

from proofs_checks.catalogue import all_claims
from proofs_checks.ledger import Verdict
from proofs_checks.paper import FILE, not_tested, of_the_paper, stated
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


def test_a_row_that_names_a_place_of_the_text_alone_is_on_the_list():
    """What is this project's own says so: "new", or on what network it was looked at."""
    places = {entry.place for entry in stated().values()}
    own = [claim for claim in CLAIMS if not of_the_paper(claim)]
    assert own
    assert not [claim.id for claim in own if claim.where in places]
    starts = ("new", "bilevel", "Eq. ", "§")
    assert not [claim.id for claim in own if not claim.where.startswith(starts)]


def test_places_are_sections_equations_figures_tables_footnotes_or_appendices():
    one = re.compile(r"(Abstract|§\d|Eq\. \d|Fig\. \d|Table \d|Footnote \d|A\.\d|Appendix A\.\d)")
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
