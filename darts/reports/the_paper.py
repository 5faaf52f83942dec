"""A run beside the paper: whether its settings are the paper's, and each beside the paper's."""

from typing import Any

from darts.config.as_json import to_json
from darts.config.imagenet_presets import MOBILE
from darts.config.paper_presets import PAPER_CELLS, PAPER_SEARCHES
from darts.config.retrain import RetrainConfig
from darts.config.search import SearchConfig
from darts.records.run_folder import Record
from darts.reports.settings import settings_rows
from darts.spaces import S1_FIXED, named_by_edges


def papers_settings(config: Record) -> list[tuple[str, list[Any]]]:
    """Stage by stage, every setting of a run beside the paper's."""
    parts: list[tuple[str, list[Any]]] = []
    if config["search"]:
        parts.append(("Search", settings_rows("search", config["search"], _search(config))))
    if config["retrain"]:
        rows = settings_rows("retrain", config["retrain"], _retraining(config))
        parts.append(("Retraining", rows))
    return parts


def _search(config: Record) -> SearchConfig:
    """The paper's search in the same space, or of Table 1's S1 where it has none there."""
    name = str(named_by_edges(config["search"]["space"])["name"])
    return PAPER_SEARCHES.get(name, PAPER_SEARCHES[S1_FIXED.name])


def _retraining(config: Record) -> RetrainConfig:
    """The paper's settings for ImageNet, or for images of CIFAR-10's kind."""
    return MOBILE if config["data"]["type"] == "ImageFolders" else RetrainConfig()


def is_the_papers(config: Record) -> bool:
    """Whether a run has the paper's own settings in its space, whatever its estimator and seed.

    On CIFAR-10 both stages, the second with 8 or 20 cells; on ImageNet, where genotypes are only
    retrained, the second, with as many cells as the genotype has.
    """
    data = config["data"]
    if (
        data["type"] not in ("Cifar10", "ImageFolders")
        or data.get("train_size")
        or data.get("test_size")
    ):
        return False
    search, retrain = config["search"], config["retrain"]
    if retrain is None or not _alike(retrain, _retraining(config), "cells"):
        return False
    if data["type"] == "ImageFolders":
        return search is None and data.get("image_size") == 224
    if search is None or retrain["cells"] not in PAPER_CELLS:
        return False
    return _alike(search, _search(config))


def _alike(stage: Record, paper: Any, *free: str) -> bool:
    """Whether a stage has the paper's settings, but for those that are a run's own."""
    own = {"estimator", "seed", "test_every", "checkpoint_share", *free}
    return all(
        stage.get(name) == value for name, value in to_json(paper).items() if name not in own
    )
