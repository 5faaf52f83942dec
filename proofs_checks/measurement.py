"""Evidence in floating point: what is measured now, and what was recorded by a longer run."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from proofs_checks.evidence import Evidence
from proofs_checks.outcome import Numbers, Outcome, show
from proofs_checks.places import RECORDS as RECORDS

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Reading:
    """A measured number and where it is claimed to lie (closed interval).

    Attributes:
        name: what was measured.
        value: the number.
        least: smallest value that supports the claim.
        most: largest such value.
    """

    name: str
    value: float
    least: float = -math.inf
    most: float = math.inf

    @property
    def supports(self) -> bool:
        return self.least <= self.value <= self.most  # false for NaN

    @property
    def claimed(self) -> str:
        if self.least == -math.inf:
            return f"≤ {show(self.most)}"
        if self.most == math.inf:
            return f"≥ {show(self.least)}"
        return f"in {show((self.least, self.most))}"


def judge(readings: Sequence[Reading]) -> str:
    """Why the readings do not support what is claimed; "" if they do."""
    if not readings:
        return "nothing was measured"
    for reading in readings:
        if not reading.supports:
            return f"{reading.name} is {show(reading.value)}, claimed {reading.claimed}"
    return ""


@dataclass(frozen=True)
class Measurement(Evidence):
    """Numbers measured each time the evidence is verified, each with the range that is claimed."""

    readings: Callable[[], Sequence[Reading]]
    kind: ClassVar[str] = "measurement"

    def examine(self) -> Outcome:
        found = list(self.readings())
        reason = judge(found)
        return Outcome(
            not reason,
            {reading.name: reading.claimed for reading in found},
            reason,
            measured={reading.name: show(reading.value) for reading in found},
        )


@dataclass(frozen=True)
class Recorded(Evidence):
    """An experiment too long to repeat at each verification; its rows lie in docs/records/.

    Verified each time: the summary in the file is that of its rows, the summary supports the
    claim, and the cheap part that is repeated gives the recorded numbers again.

    Attributes:
        record: name of the file, without .json.
        summarise: the statistics of the rows, from nothing but the rows.
        findings: what the claim needs of the summary.
        repeat: recomputes a part; its readings' ranges come from the recorded rows.
        digest: of the rows that the texts quote (`digest_of`); "" where none quotes them.
        command: regenerates the whole record.
    """

    record: str
    summarise: Callable[[Sequence[Row]], Mapping[str, float]]
    findings: Callable[[Mapping[str, float]], Sequence[Reading]]
    repeat: Callable[[Mapping[str, Any]], Sequence[Reading]] | None = None
    digest: str = ""
    kind: ClassVar[str] = "recorded experiment"

    @property
    def command(self) -> str:
        return command_for(self.record)

    def examine(self) -> Outcome:
        record = load(self.record)
        found = self.summarise(record["rows"])
        numbers: Numbers = {
            "rows": str(len(record["rows"])),
            "seeds": show(record["config"].get("seeds", "none")),
            "record": f"docs/records/{self.record}.json",
            "again": self.command,
        }
        digest = digest_of(record["rows"])
        if self.digest not in ("", digest):
            return Outcome(
                False,
                numbers,
                f"the rows of {self.record} have the digest {digest}, the texts quote those with "
                f"{self.digest}. If the record was made again, correct every figure that the "
                "claim and the documents quote, then write the new digest into the claim",
            )
        stated = record["summary"]
        if sorted(stated) != sorted(found):
            return Outcome(False, numbers, "the record's summary has other entries than its rows")
        for name, value in found.items():
            if not math.isclose(stated[name], value, rel_tol=1e-9, abs_tol=1e-12):
                return Outcome(
                    False,
                    numbers,
                    f"{name}: the summary says {show(stated[name])}, the rows {show(value)}",
                )
        findings = list(self.findings(found))
        numbers |= {reading.name: show(reading.value) for reading in findings}
        reason = judge(findings)
        measured: Numbers = {}
        if not reason and self.repeat is not None:
            again = list(self.repeat(record))
            measured = {f"again: {reading.name}": show(reading.value) for reading in again}
            reason = judge(again)
        return Outcome(not reason, numbers, reason, measured)


def near(name: str, value: float, recorded: float, relative: float) -> Reading:
    """A repeated number, which must lie within a relative distance of the recorded one."""
    room = relative * abs(recorded)
    return Reading(name, value, recorded - room, recorded + room)


def printed(name: str, value: float, figure: str) -> Reading:
    """A number of which `figure` is printed: the range is whatever rounds to that figure."""
    half = (0.5 + 1e-9) * 10.0 ** -len(figure.partition(".")[2])  # ends included
    return Reading(name, value, float(figure) - half, float(figure) + half)


def digest_of(rows: Sequence[Row]) -> str:
    """Sixteen digits of the SHA-256 of the rows: any change of any number changes them."""
    text = json.dumps(list(rows), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def path_of(name: str) -> Path:
    return RECORDS / f"{name}.json"


def command_for(name: str) -> str:
    """What makes a record: those of docs/records/experiments/ have a queue of their own."""
    folder, _, experiment = name.rpartition("/")
    if folder == "experiments":
        return f"nox -s experiments -- {experiment}"
    return f"python -m proofs_checks.recording {name}"


def load(name: str) -> dict[str, Any]:
    path = path_of(name)
    if not path.is_file():
        raise FileNotFoundError(f"no record {path}. Make it: {command_for(name)}")
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


def save(
    name: str,
    *,
    config: Mapping[str, Any],
    rows: Sequence[Row],
    summary: Mapping[str, float],
) -> Path:
    """Write a record: what was run, every row, and the statistics of the rows."""
    path = path_of(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join("  " + json.dumps(_rounded(row), ensure_ascii=False) for row in rows)
    text = (
        '{"config": '
        + json.dumps(config, indent=1, ensure_ascii=False)
        + ',\n"summary": '
        + json.dumps(summary, indent=1, ensure_ascii=False)
        + f',\n"rows": [\n{lines}\n]}}\n'
    )
    path.write_text(text, encoding="utf-8")
    return path


def rounded(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The rows as `save` writes them: six digits. Summaries are taken of these."""
    return [_rounded(row) for row in rows]


def _rounded(row: Row) -> dict[str, Any]:
    return {k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in row.items()}
