"""What can become of a claim: by proof, by counting, or by an experiment."""

from __future__ import annotations

from enum import Enum


class Verdict(Enum):
    """One word for a claim; `meaning` says it in a sentence."""

    HOLDS = "holds"
    HOLDS_IF = "holds if"
    FAILS = "fails"
    UNDETERMINED = "undetermined"
    SUPPORTED = "supported"
    NOT_SUPPORTED = "not supported"
    UNDECIDED = "undecided at this scale"
    NOT_TESTED = "not tested"

    @property
    def meaning(self) -> str:
        return MEANINGS[self]

    @property
    def empirical(self) -> bool:
        """Whether it is taken from the record of an experiment."""
        return self in (Verdict.SUPPORTED, Verdict.NOT_SUPPORTED, Verdict.UNDECIDED)


MEANINGS = {
    Verdict.HOLDS: "it is proved, counted or computed, and true as claimed",
    Verdict.HOLDS_IF: "it is true under a condition that the claim does not state",
    Verdict.FAILS: "it is false as claimed, by proof or by a counterexample",
    Verdict.UNDETERMINED: "the text has two readings; it is true in one and false in the other",
    Verdict.SUPPORTED: "an experiment's runs are, by its rule, what the claim says",
    Verdict.NOT_SUPPORTED: "an experiment's runs are, by its rule, not what the claim says",
    Verdict.UNDECIDED: "an experiment was made, and its rule finds neither, or there are too few "
    "runs",
    Verdict.NOT_TESTED: "the experiment that would decide it was not made here, or none could",
}
