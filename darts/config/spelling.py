"""How the command line spells a setting that has a short name of its own, or none."""

from pathlib import Path

import tyro

from darts.config.declared import Whole

SHORT = tyro.conf.arg(prefix_name=False)
"""Without the stage before it: `--estimator`, and not `--search.estimator`."""
Seed = tyro.conf.Suppress[Whole]
"""No option of the stage: `--seed` of the whole run sets it."""
Folders = tyro.conf.Positional[tuple[Path, ...]]
"""Folders typed without an option's name, which may be left out, as in `darts report`."""
