"""§4.1.3: how many architectures each space holds, as exact integers."""

from __future__ import annotations

from fractions import Fraction
from math import comb

from darts.spaces import S1, S1_FIXED
from proofs_checks.definitions import Formulas
from proofs_checks.evidence import ExactExample, ExactIdentity, Exhibit
from proofs_checks.ledger import Claim, Verdict


def rounds_to(count: int, printed: str) -> bool:
    """Whether an integer, rounded to two digits, is the printed "d.d×10^k"."""
    mantissa, exponent = printed.split("×10^")
    unit = Fraction(10) ** (int(exponent) - 1)
    return bool(round(count / unit) * unit == Fraction(mantissa) * 10 ** int(exponent))


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    cells = formulas.cell_choices

    def from_the_definition() -> list[tuple[str, object, object]]:
        pairs = comb(2, 2) * comb(3, 2) * comb(4, 2) * comb(5, 2)
        return [
            ("pairs of inputs in a cell of S1", pairs, 180),
            ("S1", cells(nodes=4, operations=7) ** 2, (180 * 7**8) ** 2),
            ("S1 as the code counts it", S1.size, (180 * 7**8) ** 2),
            ("S1, fixed edges, as the code counts it", S1_FIXED.size, 7**16),
        ]

    def printed() -> Exhibit:
        counts = {"S1": (180 * 7**8) ** 2, "S1, fixed edges": 7**16, "S2": 2**160}
        return Exhibit(
            counts,
            {
                "the code's S1 and fixed S1 have these sizes": list(counts.values())[:2]
                == [S1.size, S1_FIXED.size]
            },
            {
                "S1 ≈ 1.1×10^18": rounds_to(counts["S1"], "1.1×10^18"),
                "fixed edges ≈ 3.3×10^13": rounds_to(counts["S1, fixed edges"], "3.3×10^13"),
                "S2 ≈ 1.5×10^48": rounds_to(counts["S2"], "1.5×10^48"),
            },
        )

    return (
        Claim(
            id="N1",
            where="§4.1.3",
            statement="S1 holds 1.1×10¹⁸ architectures, 3.3×10¹³ with fixed edges; S2 1.5×10⁴⁸.",
            assumptions="two kinds of cell; seven operations, none left out",
            verdict=Verdict.HOLDS,
            because="(180·7⁸)², 7¹⁶ and 2¹⁶⁰ exactly, which round to the printed figures.",
            evidence=(
                ExactIdentity("counted from the definition and by the code", from_the_definition),
                ExactExample("the integers round to what is printed", printed),
            ),
            formula=r"(180\cdot 7^8)^2,\quad 7^{16},\quad 2^{160}",
        ),
    )
