"""What a piece of evidence is, and what one verification of it found."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from proofs_checks.verdict import Verdict

Numbers = dict[str, str]


@dataclass(frozen=True)
class Outcome:
    """What one verification found.

    `numbers` repeat to the digit on every machine and go into docs/LEDGER.md; `measured` may
    differ in the last digits from machine to machine and are only shown.
    """

    passed: bool
    numbers: Numbers = field(default_factory=dict)
    reason: str = ""  # why it did not pass
    measured: Numbers = field(default_factory=dict)
    seconds: float = 0.0
    undecided: bool = False  # neither shown nor refuted: a solver gave up. Counts as not passed
    lacks: bool = False  # an installed package has not all that it needs; `reason` says what


def show(value: Any) -> str:
    """A value as it is printed beside a claim."""
    if isinstance(value, np.floating | float):
        return f"{float(value):.4g}"
    if isinstance(value, tuple) and len(value) == 2:
        return f"[{show(value[0])}, {show(value[1])}]"
    if isinstance(value, list):
        return ", ".join(map(show, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{k}: {show(v)}" for k, v in value.items())
    return str(value)


@dataclass(frozen=True)
class Evidence(ABC):
    """One reason for a verdict.

    Attributes:
        label: what it shows, one sentence.
    """

    label: str
    kind: ClassVar[str]

    @property
    def decides(self) -> Verdict | None:
        """The empirical verdict that this evidence recomputes; None where it is of another kind."""
        return None

    @abstractmethod
    def examine(self) -> Outcome:
        """Do the work; `verify` adds the time and turns an exception into a failure."""

    def verify(self) -> Outcome:
        start = time.perf_counter()
        try:
            outcome = self.examine()
        except Exception as error:  # a check that cannot run has not verified anything
            outcome = Outcome(False, reason=f"{type(error).__name__}: {error}")
        return replace(outcome, seconds=time.perf_counter() - start)
