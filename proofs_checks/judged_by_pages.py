"""Rows that the pages of docs/experiments judge: the rule is the page's, fixed before its runs.

`ROWS` names for each row the experiment, the claims of its page, and the verdict that the row
states. It starts as "not tested". Once the page has a verdict, write that here: from then on the
evidence judges the records anew each time, and fails where they say otherwise.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from proofs_checks.definitions import Formulas
from proofs_checks.experiment import together
from proofs_checks.ledger import Claim, Verdict
from proofs_checks.outcome import Evidence, Numbers, Outcome
from proofs_checks.paper import not_tested, stated
from proofs_checks.places import RECORDS

NT, OPEN = Verdict.NOT_TESTED, Verdict.UNDECIDED
SUPPORTED, REFUTED = Verdict.SUPPORTED, Verdict.NOT_SUPPORTED
ALL_EDGES = "all-edges-cifar10"
ROWS: tuple[tuple[str, Verdict, str, tuple[str, ...]], ...] = (
    ("§0e", OPEN, "collapse", ("The amended search ends in a better cell than first-order DARTS",)),
    ("§1d", NT, ALL_EDGES, ("First-order DARTS finds a better cell in 50 epochs than in 200",)),
    ("§3.2b", NT, ALL_EDGES, ("After 50 epochs of first-order DARTS none is the strongest",)),
    ("§3.2e", NT, ALL_EDGES, ("Skip-connect ends with 30 to 70 %",)),
    ("§3.2h", NT, ALL_EDGES, ("A network of skip-connects performs worse than random cells",)),
    ("F1b", NT, ALL_EDGES, ("First-order DARTS in 200 epochs ends",)),
    ("§4.1.1k", NT, ALL_EDGES, ("After 100 epochs of the amended search",)),
    (
        "§3.5f",
        SUPPORTED,
        "cures",
        ("P-DARTS's stages without its limit on skip-connects can fail", "PC-DARTS can fail"),
    ),
    ("§4.1.3d", NT, "s2-six-cells", ("First-order DARTS in S2 fills the upper cells",)),
    ("§3.2c", REFUTED, "collapse", ("In first-order DARTS the weight of none grows",)),
    ("§3.2d", OPEN, "collapse", ("First-order DARTS, searched to convergence, ends",)),
    (
        "F1c",
        OPEN,
        "collapse",
        ("First-order DARTS, searched to convergence, ends", "Second-order DARTS does so too"),
    ),
    ("§3.4d", OPEN, "collapse", ("The second-order supernet's validation accuracy is lower",)),
    ("§3.4e", OPEN, "collapse", ("The amended supernet reaches a higher validation accuracy",)),
    ("§4.1.1d", OPEN, "eta", ("With a small η (0.001, 0.01) the search behaves as",)),
    ("§4.1.1e", OPEN, "eta", ("From η = 0.001 to 0.01 the collapse is significantly postponed",)),
    ("§4.1.1g", REFUTED, "eta", ("With η = 1 average pooling is preferred",)),
    (
        "§4.1.3i",
        OPEN,
        "random-search",
        ("The amended search finds a better cell than random search at equal cost",),
    ),
    ("A4d", NT, "collapse", ("The amended search has not collapsed after 200 epochs",)),
)
NARROWER = {
    "§3.5f": "P-DARTS is its stages without its limit on skip-connects, PC-DARTS is without edge "
    "normalisation, and has 200 epochs, not more",
}
"""What the runs of a page leave out of what the row says: a verdict holds without it only."""
WORDS = {
    "supported at this scale": Verdict.SUPPORTED,
    "not supported at this scale": Verdict.NOT_SUPPORTED,
    "undecided at this scale": Verdict.UNDECIDED,
}


@dataclass(frozen=True)
class JudgedByPage(Evidence):
    """A verdict that the rules of an experiment's page give, recomputed from its records.

    Attributes:
        experiment: name of the experiment, and of docs/experiments/NAME.md.
        claims: how the page's claims begin; all of them must be supported.
        verdict: what the row states.
        judged: (experiment, beginning of a claim) -> the page's verdict, and what it rests on.
    """

    experiment: str
    claims: tuple[str, ...]
    verdict: Verdict
    judged: Callable[[str, str], tuple[str, str]]
    kind: ClassVar[str] = "experiment"

    @property
    def decides(self) -> Verdict:
        return self.verdict

    def examine(self) -> Outcome:
        numbers: Numbers = {
            "page": f"docs/experiments/{self.experiment}.md",
            "record": "docs/records/experiments/",
            "again": f"nox -s experiments -- {self.experiment}",
        }
        decided = []
        for claim in self.claims:
            try:
                words, numbers[claim] = self.judged(self.experiment, claim)
            except ModuleNotFoundError as error:
                if (error.name or "").partition(".")[0] != "benchmarks":
                    raise
                needed = "the rules of benchmarks/: run it in a clone of the repository"
                return Outcome(
                    False, numbers, f"not looked at here. It needs {needed}.", lacks=True
                )
            if words not in WORDS:
                return Outcome(False, numbers, f"the page says of {claim!r}: {words}")
            decided.append(WORDS[words])
        found = together(decided)
        if found is self.verdict:
            return Outcome(True, numbers)
        return Outcome(
            False, numbers, f"the row says {self.verdict.value!r}, the records {found.value!r}"
        )


def by_the_page(experiment: str, beginning: str) -> tuple[str, str]:
    """What an experiment's rule says of the records that are there.

    Raises:
        ValueError: there is no such experiment, or not one claim of it begins like this.
        ModuleNotFoundError: benchmarks/ is not importable; run in a clone of the repository.
    """
    catalogue = importlib.import_module("benchmarks.experiments.catalogue")
    record = importlib.import_module("benchmarks.experiments.record")
    judging = catalogue.EXPERIMENTS.get(experiment)
    made = judging.claims if judging else ()
    claims = [claim for claim in made if claim.text.startswith(beginning)]
    if len(claims) != 1:
        raise ValueError(
            f"{len(claims)} claims of experiment {experiment!r} begin with {beginning!r}; want one"
        )
    records = record.read_records(RECORDS / "experiments")
    words, numbers = claims[0].judge(judging.mine(records))
    return str(words), str(numbers)


def row(claim_id: str, verdict: Verdict, experiment: str, claims: tuple[str, ...]) -> Claim:
    page = f"docs/experiments/{experiment}.md"
    if verdict is Verdict.NOT_TESTED:
        return not_tested(claim_id, f"Its runs and the rule that will decide are in {page}.")
    entry = stated()[claim_id]
    return Claim(
        id=claim_id,
        where=entry.place,
        statement=entry.text,
        assumptions="; ".join(
            [
                f"the setting and the rule of {page}",
                *([NARROWER[claim_id]] if claim_id in NARROWER else []),
                "of the paper's size nothing is said",
            ]
        ),
        verdict=verdict,
        because=f"So the page's rule says of its records; {page} has them, and what deviates.",
        evidence=(
            JudgedByPage("judged by the page's rule", experiment, claims, verdict, by_the_page),
        ),
    )


def claims(formulas: Formulas) -> tuple[Claim, ...]:
    return tuple(row(*entry) for entry in ROWS)
