"""One finished run with its report, for tests of reports and commands."""

import pytest

from darts.reports import write_report
from darts.training.full import full_run
from tests.darts.training.tiny import (
    full_config,
    images,
    new_run,
    retrain_config,
    search_config,
)

CONFIG = full_config(search=search_config(epochs=2), retrain=retrain_config(epochs=2), baselines=1)


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    made = new_run(tmp_path_factory.mktemp("report") / "run", config=CONFIG)
    full_run(CONFIG, images(), made)
    write_report(made)
    return made
