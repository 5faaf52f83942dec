"""Settings of a run beside the paper's, spelled as the command line spells them."""

from typing import Any

from markupsafe import Markup

from darts.config.as_json import LOCATIONS, differences, from_json, to_json
from darts.config.retrain import RetrainConfig
from darts.config.search import SearchConfig
from darts.names import NAMES, TYPES
from darts.records.run_folder import Record
from darts.spaces import named_by_edges

SHORT = ("estimator", "space", "seed")
"""Options that have no stage before their name."""


def settings_rows(stage: str, asked: Record, usual: SearchConfig | RetrainConfig) -> list[Any]:
    """Option, this run's value, the paper's; values that differ are bold.

    Args:
        stage: "search" or "retrain".
        asked: the run's config as JSON.
        usual: the paper's config as JSON.
    """
    paper = to_json(usual)
    unequal = differences(asked, paper)
    if _exact(asked) and _exact(paper):  # two ways to the same numbers
        unequal = [line for line in unequal if not line.startswith("estimator.derivatives.")]
    changed = {line.partition(":")[0].split(".")[0] for line in unequal}
    rows = []
    for name, value in asked.items():
        if name in ("type", "checkpoint_share") or name in LOCATIONS:
            continue
        mine, theirs = spelled(value), spelled(paper.get(name))
        differs = name in changed and name != "seed"
        rows.append(
            [
                Markup("<code>{}</code>").format(option(stage, name)),
                Markup("<b>{}</b>").format(mine) if differs else mine,
                "" if name == "seed" else theirs,
            ]
        )
    return rows


def option(stage: str, name: str) -> str:
    """alpha_learning_rate → --search.alpha-learning-rate."""
    dashed = name.replace("_", "-")
    return f"--{dashed}" if name in SHORT else f"--{stage}.{dashed}"


def spelled(value: Any) -> str:
    """One setting of a config's JSON, as it is typed; a value without a name of its own in full."""
    if isinstance(value, dict):
        kind = str(value.get("type"))
        if kind == "Space":
            return str(named_by_edges(value)["name"])
        for names in NAMES.values():
            if kind in {known.__name__ for known in names.kinds.values()}:
                try:
                    return names.write(from_json(value, TYPES))
                except ValueError:  # of a version with other fields
                    break
        inside = (f"{key}={spelled(item)}" for key, item in value.items() if key != "type")
        return f"{kind}({', '.join(inside)})"
    if isinstance(value, list | tuple):
        return " ".join(map(spelled, value))
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None else str(value)


def _exact(stage: Record) -> bool:
    """Whether a search takes its products exactly."""
    how = stage.get("estimator", {}).get("derivatives", {}).get("type")
    return how in ("Autograd", "ReverseOverForward")
