"""Imports point one way, heavy libraries stay in their place, and no file is a junk drawer."""

from __future__ import annotations

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from darts.cli import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("bilevel", "darts", "proofs_checks", "toy")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

# what a module under the prefix on the left may import from this project
ALLOWED = {
    "bilevel.vector": (),
    "bilevel.arguments": (),
    "bilevel.linear": ("bilevel.vector",),
    "bilevel.losses": ("bilevel.vector",),
    "bilevel.bound_module": ("bilevel.recomputation", "bilevel.running_statistics"),
    "bilevel.running_statistics": (),
    "bilevel.recomputation": ("bilevel.replacing",),
    "bilevel.replacing": (),
    "bilevel.reentrant": ("bilevel.unsupported",),
    "bilevel.changed_gradients": ("bilevel.reading", "bilevel.unsupported"),
    "bilevel.connection": ("bilevel.unsupported", "bilevel.vector"),
    "bilevel.point": ("bilevel.unsupported", "bilevel.vector"),
    "bilevel.reading": (),
    "bilevel.shown": ("bilevel.vector",),
    "bilevel.randomness": ("bilevel.reading",),
    "bilevel.unsupported": ("bilevel.index_twice",),
    "bilevel.index_twice": (),
    "bilevel.scope": ("bilevel.connection", "bilevel.unsupported", "bilevel.vector"),
    "bilevel.evaluation": (
        "bilevel.changed_gradients",
        "bilevel.losses",
        "bilevel.reentrant",
        "bilevel.scope",
        "bilevel.unsupported",
        "bilevel.vector",
    ),
    "bilevel.problem": (
        "bilevel.evaluation",
        "bilevel.bound_module",
        "bilevel.connection",
        "bilevel.losses",
        "bilevel.randomness",
        "bilevel.reading",
        "bilevel.scope",
        "bilevel.unsupported",
        "bilevel.vector",
    ),
    "bilevel.derivatives": (
        "bilevel.derivatives",
        "bilevel.problem",
        "bilevel.randomness",
        "bilevel.reading",
        "bilevel.replacing",
        "bilevel.unsupported",
        "bilevel.linear",
        "bilevel.vector",
    ),
    "bilevel.lost": ("bilevel.problem",),
    "bilevel.krylov": (
        "bilevel.krylov",
        "bilevel.lost",
        "bilevel.problem",
        "bilevel.linear",
        "bilevel.vector",
    ),
    "bilevel.distributed": ("bilevel.losses", "bilevel.problem", "bilevel.vector"),
    "bilevel.estimators": (
        "bilevel.arguments",
        "bilevel.estimators",
        "bilevel.krylov",
        "bilevel.lost",
        "bilevel.randomness",
        "bilevel.reading",
        "bilevel.scope",
        "bilevel.shown",
        "bilevel.derivatives",
        "bilevel.point",
        "bilevel.problem",
        "bilevel.linear",
        "bilevel.vector",
    ),
    "bilevel.diagnostics": (
        "bilevel.arguments",
        "bilevel.shown",
        "bilevel.diagnostics",
        "bilevel.estimators",
        "bilevel.randomness",
        "bilevel.unsupported",
        "bilevel.krylov",
        "bilevel.derivatives",
        "bilevel.point",
        "bilevel.problem",
        "bilevel.linear",
        "bilevel.losses",
        "bilevel.vector",
    ),
    "bilevel.state": (),
    "bilevel.checkpoint_files": ("bilevel.state",),
    "bilevel.checkpoints": ("bilevel.arguments", "bilevel.checkpoint_files", "bilevel.state"),
    "bilevel.constraints": ("bilevel.vector",),
    "bilevel.callbacks": ("bilevel.alternation", "bilevel.vector"),
    "bilevel.alternation": (
        "bilevel.arguments",
        "bilevel.estimators",
        "bilevel.problem",
        "bilevel.reading",
        "bilevel.vector",
    ),
    "bilevel.problems": (
        "bilevel.problems",
        "bilevel.bound_module",
        "bilevel.derivatives",
        "bilevel.problem",
        "bilevel.vector",
    ),
    "bilevel.solver": (
        "bilevel.arguments",
        "bilevel.scope",
        "bilevel.alternation",
        "bilevel.callbacks",
        "bilevel.checkpoints",
        "bilevel.estimators",
        "bilevel.problem",
        "bilevel.state",
        "bilevel.vector",
    ),
    "bilevel": ("bilevel",),
    "toy.gradient_trap": ("toy", "bilevel", "darts"),
    "toy": ("toy", "bilevel"),
    "darts.kernels": ("darts.kernels",),
    "darts.nearest": (),
    "darts.spaces": ("darts.spaces", "darts.kernels", "darts.nearest"),
    # methods are values: networks read what to mix by, runs when to stop
    "darts.methods": ("darts.methods", "darts.spaces"),
    "darts.networks": (
        "darts.networks",
        "darts.tasks",
        "darts.methods",
        "darts.spaces",
        "darts.kernels",
        "bilevel",
    ),
    # a process draws for the whole batch and keeps its rows, in networks and in batches alike
    "darts.data": ("darts.data", "darts.spaces.joint_draws", "darts.tasks"),
    "darts.tasks": ("darts.tasks",),
    "darts.extras": (),
    "darts.config": (
        "darts.config",
        "darts.nearest",
        "darts.data",
        "darts.networks",
        "darts.methods",
        "darts.spaces",
        "bilevel",
    ),
    "darts.parallel": (
        "darts.parallel",
        "darts.config",
        "darts.networks",
        "darts.spaces",
        "darts.extras",
        "bilevel",
    ),
    "darts.names": (
        "darts.config",
        "darts.data",
        "darts.methods",
        "darts.networks",
        "darts.spaces",
        "bilevel",
    ),
    "darts.records": (
        "darts.records",
        "darts.names",
        "darts.parallel",
        "darts.config",
        "darts.data",
        "darts.kernels",
        "bilevel",
    ),
    "darts.training": (
        "darts.training",
        "darts.tasks",
        "darts.records",
        "darts.parallel",
        "darts.config",
        "darts.data",
        "darts.networks",
        "darts.kernels",
        "darts.methods",
        "darts.spaces",
        "darts.extras",
        "bilevel",
    ),
    "darts.reports": (
        "darts.reports",
        "darts.names",  # settings are shown as the command line spells them
        "darts.parallel.tasks",  # how trials in other processes ended
        "darts.tasks",
        "darts.training",
        "darts.records",
        "darts.config",
        "darts.data",
        "darts.networks",
        "darts.spaces",
        "darts.extras",
    ),
    "darts": ("darts", "bilevel"),
    "proofs_checks": (
        "proofs_checks",
        "bilevel",
        "toy",
        "darts.spaces",
        "darts.networks",
        "darts.reports.page",  # the verdict's page looks as reports do
    ),
}
# libraries that may be imported only in files whose path contains one of these
CONFINED = {
    "torchvision": ("darts/data/", "proofs_checks/images.py", "proofs_checks/tables_1_and_2.py"),
    "matplotlib": ("plots.py", "darts/reports/", "proofs_checks/"),
    "tyro": ("darts/commands/typed.py", "darts/config/spelling.py"),
    "argparse": ("darts/cli.py", "__main__.py"),
    "ray": ("darts/parallel/cluster.py",),
    "lightning_fabric": ("darts/parallel/launch.py", "darts/reports/loggers.py"),
    "lightning": (),  # the same code under another name; one of the two is enough
}


def module_name(path: Path) -> str:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
    return found


def within(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


def allowed_for(name: str) -> tuple[str, ...]:
    return ALLOWED[max((prefix for prefix in ALLOWED if within(name, prefix)), key=len)]


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_point_one_way(path: Path) -> None:
    name = module_name(path)
    own = [i for i in imports(path) if i.split(".")[0] in (*PACKAGES, "tests", "benchmarks")]
    wrong = [i for i in own if not any(within(i, prefix) for prefix in allowed_for(name))]
    assert not wrong, f"{name} may import from {allowed_for(name)}, yet imports {wrong}"


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_heavy_libraries_stay_in_their_place(path: Path) -> None:
    place = path.relative_to(ROOT).as_posix()
    for library, places in CONFINED.items():
        uses = any(within(name, library) for name in imports(path))
        assert not uses or any(p in place for p in places), f"{place} imports {library}"


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_files_are_named_after_their_idea_and_hold_one(path: Path) -> None:
    assert path.stem not in {"utils", "helpers", "misc", "manager", "common"}
    assert len(path.read_text().splitlines()) <= 400
    assert ast.get_docstring(ast.parse(path.read_text())), f"{path} has no docstring"


def test_the_rule_sees_a_wrong_import(tmp_path: Path) -> None:
    planted = tmp_path / "vector.py"
    planted.write_text("from bilevel.estimators.amended import Amended\nimport darts.cli")
    wrong = [
        i for i in imports(planted) if not any(within(i, p) for p in allowed_for("bilevel.vector"))
    ]
    assert sorted(wrong) == ["bilevel.estimators.amended", "darts.cli"]


def imported_files(path: Path, known: set[str]) -> set[str]:
    """The modules among `known` that a file imports, those for a type checker alone left out."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (names & known) or {node.module or ""}
    return found & known


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a circle; none if there is no circle."""
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_two_files_import_each_other_nor_more_in_a_circle(tmp_path: Path) -> None:
    known = {module_name(path): path for path in FILES}
    graph = {name: imported_files(path, {*known} - {name}) for name, path in known.items()}
    assert sum(map(len, graph.values())) > 1000
    assert cycle(graph) == []
    planted = tmp_path / "vector.py"
    planted.write_text("def f():\n    from bilevel.estimators import amended")
    graph["bilevel.vector"] |= imported_files(planted, set(known))
    assert {"bilevel.vector", "bilevel.estimators.amended"} <= set(cycle(graph))


def test_the_pages_about_the_inside_name_what_is_there() -> None:
    """Files of docs/INSIDE.md, tests of docs/FEATURES.md; there every command has a row."""
    text = (ROOT / "docs" / "INSIDE.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_]+/[a-z_/]+\.py)`", text))
    assert len(named) >= 10
    assert not [name for name in named if not (ROOT / name).is_file()]
    features = (ROOT / "docs" / "FEATURES.md").read_text(encoding="utf-8")
    tests = re.findall(r"`(tests/[a-z0-9_/]+\.py)(?:::([a-z0-9_]+))?`", features)
    assert len(tests) > 100
    assert [pair for pair in tests if not named_tests(ROOT / pair[0], pair[1])] == []
    assert named_tests(ROOT / "tests/test_layers.py", "test_of_no_name") == []
    assert [name for name in COMMANDS if f"`darts {name}`" not in features] == []


def named_tests(path: Path, name: str) -> list[str]:
    """The tests in a file: all, or the one of that name."""
    if not path.is_file():
        return []
    found = re.findall(r"^ *def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    return [test for test in found if name in ("", test)]
