"""A grid of runs: settings by seeds, each a folder that is known before any work."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bilevel.estimators import Amended, Estimator, FirstOrder
from darts.config.as_json import differences, to_json
from darts.config.full import FullConfig
from darts.config.search import AMENDED
from darts.records.lock import is_empty
from darts.records.run_folder import RunFolder

FILE = "sweep.json"


@dataclass(frozen=True)
class Trial:
    """One run of a sweep: its setting's name, its seed, its config."""

    setting: str
    seed: int
    config: FullConfig

    @property
    def name(self) -> str:
        """Its folder below that of the sweep."""
        return f"{self.setting}/seed-{self.seed}"


@dataclass(frozen=True)
class Plan:
    """Every setting with every seed.

    Args:
        settings: a config by the name of its folder; the seeds in them do not matter.
        seeds: seeds of the runs.

    Raises:
        ValueError: there is no setting or no seed, or one seed occurs twice.
    """

    settings: Mapping[str, FullConfig]
    seeds: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.settings or not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ValueError(
                f"A sweep of {len(self.settings)} settings with the seeds {list(self.seeds)}: it "
                "needs one setting and one seed at least, and each seed once."
            )

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Seed by seed, so that a sweep that is cut short has every setting equally often."""
        return tuple(
            Trial(name, seed, config.with_seed(seed))
            for seed in self.seeds
            for name, config in self.settings.items()
        )

    @property
    def digest(self) -> str:
        """Eight digits that name the plan: equal for equal commands."""
        return hashlib.sha256(json.dumps(self.to_json()).encode()).hexdigest()[:8]

    def to_json(self) -> dict[str, Any]:
        first = self.seeds[0]
        return {
            "settings": {n: to_json(c.with_seed(first)) for n, c in self.settings.items()},
            "seeds": list(self.seeds),
        }

    def write(self, folder: Path) -> None:
        """Write it as sweep.json, or check that the folder was made for this very plan.

        Raises:
            ValueError: the folder is another sweep's, or has something else in it.
        """
        self.refuse_others(folder)
        place = RunFolder(folder)
        if not place.has(FILE):
            place.write(FILE, self.to_json())

    def refuse_others(self, folder: Path) -> None:
        """Raise ValueError if the folder is another sweep's, or has something else in it."""
        place = RunFolder(folder)
        if place.has(FILE):
            unequal = self._differences(place.read(FILE))
            if unequal:
                raise ValueError(
                    f"{folder} holds another sweep ({'; '.join(unequal[:3])}"
                    f"{'; ...' if len(unequal) > 3 else ''}). Repeat its own command to go on "
                    "with it, or give --run-dir a new name."
                )
        elif folder.exists() and not (folder.is_dir() and is_empty(folder)):
            raise ValueError(f"{folder} is not empty, and no sweep. Give --run-dir a new name.")

    def _differences(self, other: dict[str, Any]) -> list[str]:
        here = self.to_json()
        if not isinstance(other.get("settings"), dict):
            return ["its sweep.json is damaged"]
        there = other["settings"]
        lists = [
            f"{what}: {old} ≠ {new}"
            for what, old, new in (
                ("settings", sorted(there), sorted(here["settings"])),
                ("seeds", other.get("seeds"), here["seeds"]),
            )
            if old != new
        ]
        common = there.keys() & here["settings"].keys()
        return lists + [
            f"{name}: {line}"
            for name in sorted(common)
            for line in differences(there[name], here["settings"][name])
        ]


def amending_coefficients(config: FullConfig, text: str) -> dict[str, FullConfig]:
    """A setting for each η of a list such as "0,0.001,0.1"; η = 0 is the first-order estimate.

    How derivatives are taken is the config's, where it has the amended estimator.

    Raises:
        ValueError: an entry is no number, negative, or there twice; or there is no search.
    """
    if config.search is None:
        raise ValueError("A sweep over η needs a search stage.")
    usual = config.search.estimator
    base = usual if isinstance(usual, Amended) else AMENDED
    settings: dict[str, FullConfig] = {}
    for part in text.split(","):
        try:
            eta = float(part)
        except ValueError:
            raise ValueError(
                f"--eta {text!r}: {part!r} is no number. Give some, separated by commas: 0,0.1."
            ) from None
        estimator: Estimator = replace(base, eta=eta) if eta else FirstOrder()
        name = f"eta-{eta:g}"
        if name in settings:
            raise ValueError(f"--eta {text}: {eta:g} is there twice.")
        settings[name] = replace(config, search=replace(config.search, estimator=estimator))
    return settings
