"""A search in NAS-Bench-201 is scored by the table, at every epoch and in its result."""

import gzip
import itertools

import pytest

from darts.spaces import NASBENCH201, Genotype
from darts.spaces.nasbench201 import digits, from_string
from darts.training.accuracy_table import COLUMNS, AccuracyTable
from darts.training.full import full_run, require_feasible
from tests.darts.data.real_files import real
from tests.darts.training.tiny import full_config, images, new_run, search_config

NAMES = tuple(COLUMNS.values())


def made_up(code: str) -> list[float]:
    """Three numbers that tell a cell from every other."""
    return [int(code, 5) / 200, sum(map(int, code)), 7.0]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "table.csv.gz"
    codes = ("".join(code) for code in itertools.product("01234", repeat=6))
    lines = [",".join([code, *map(str, made_up(code))]) for code in codes]
    with gzip.open(path, "wt") as file:
        file.write("\n".join([",".join(["ops", *COLUMNS]), *lines]) + "\n")
    return path


def test_every_epoch_and_the_result_hold_the_accuracies_of_their_cell(path, tmp_path):
    config = full_config(
        search=search_config(space=NASBENCH201, cells=3, epochs=2),
        retrain=None,
        accuracy_table=str(path),
    )
    run = new_run(tmp_path / "run", config=config)
    result = full_run(config, images(), run)
    for record in run.records("search/epochs"):
        code = digits(Genotype.from_dict(record["genotype"]))
        assert [record[name] for name in NAMES] == made_up(code)
    code = digits(result.search.genotype)
    assert [run.read("result.json")["search"]["scores"][name] for name in NAMES] == made_up(code)


def test_a_table_for_another_space_is_refused(path):
    with pytest.raises(ValueError, match="scores a search in NAS-Bench-201, and this run has none"):
        full_config(accuracy_table=str(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not gzip", "is no accuracy table"),
        (gzip.compress(b"ops,c10_test_200ep\n000000,1\n"), "KeyError: 'c100_test_200ep'"),
        (
            gzip.compress(f"ops,{','.join(COLUMNS)}\n000000,1,2,x\n".encode()),
            "could not convert string",
        ),
        (gzip.compress(f"ops,{','.join(COLUMNS)}\n000000,1,2,3\n".encode()), "has 1 cells"),
    ],
    ids=["not gzip", "no column", "no number", "few cells"],  # a gzip header holds the time
)
def test_a_file_that_is_no_table_is_refused_before_any_work(content, message, tmp_path):
    path = tmp_path / "table.csv.gz"
    path.write_bytes(content)
    search = search_config(space=NASBENCH201, cells=3)
    config = full_config(search=search, retrain=None, accuracy_table=str(path))
    with pytest.raises(ValueError, match=message):
        require_feasible(config, images())
    path.unlink()
    with pytest.raises(FileNotFoundError, match="Give --accuracy-table"):
        require_feasible(config, images())


def test_the_published_table_has_the_published_extremes():
    """Best 94.37 / 73.51 / 47.31; the all-skip cell that DARTS collapses to has 54.30."""
    table = AccuracyTable.read(real("nas_tables/nasbench201.csv.gz"))
    assert [round(table.best(name), 2) for name in NAMES] == [94.37, 73.51, 47.31]
    skips = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+" + (
        "|skip_connect~0|skip_connect~1|skip_connect~2|"
    )
    assert round(table(from_string(skips))["table_cifar10_percent"], 2) == 54.30
