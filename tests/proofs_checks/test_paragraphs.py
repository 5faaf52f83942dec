"""Written pages in short lines: the same words, and nothing else begins."""

from proofs_checks.paragraphs import WIDTH, wrapped

LONG = " ".join(["word"] * 30)


def test_words_and_their_order_stay_and_lines_are_short():
    page = f"# {LONG}\n\n{LONG}\n\n- {LONG}\n1. {LONG}\n\nshort"
    found = wrapped(page)
    assert found.split() == page.split()
    assert max(map(len, found.splitlines()[1:])) <= WIDTH
    assert found.splitlines()[0] == f"# {LONG}"
    assert wrapped(found) == found


def test_an_item_goes_on_below_its_words():
    first, second, *_ = wrapped(f"- {LONG}").splitlines()
    assert (first[:6], second[:6]) == ("- word", "  word")
    assert wrapped(f"1. {LONG}").splitlines()[1].startswith("   word")


def test_tables_quotations_blocks_and_code_stay_whole():
    for line in (f"| {LONG} |", f"> {LONG}", f"```\n{LONG}\n```", f"`{LONG}`", f"![{LONG}](a)"):
        assert wrapped(line) == line
    assert f"`{LONG}`" in wrapped(f"{LONG} `{LONG}`, {LONG}").replace(",", "")


def test_a_formula_stays_in_one_line():
    for words in range(15, 25):
        page = " ".join(["word"] * words) + f" κ = L/μ + 1, {LONG}"
        assert "κ = L/μ + 1," in wrapped(page)


def test_no_line_begins_as_something_else():
    """A minus that begins a line would begin a list."""
    for sign in ("-", "+", "*", "#", ">", "|", "2.", "3)"):
        for words in range(15, 25):
            page = " ".join(["word"] * words) + f" {sign} " + LONG
            assert not any(line.startswith(f"{sign} ") for line in wrapped(page).splitlines())
