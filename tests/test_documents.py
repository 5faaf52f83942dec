"""Every Python block of every page runs, every name that pages import or call is there, and links
lead somewhere."""

from __future__ import annotations

import ast
import builtins
import importlib
import importlib.util
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import bilevel
from bilevel import checkpoints, constraints, diagnostics, estimators, problems
from bilevel.derivatives import Derivatives
from darts.spaces import notation
from tests import documents
from tests.documents import PAGES

WITH_BLOCKS = [page for page in PAGES if documents.blocks(page)]
RUN_ELSEWHERE = {  # what needs more than the page itself, or is asked for more
    "docs/INTEROP.md": "tests/darts/training/test_export.py",
    "docs/OWN_DATA.md": "tests/darts/test_own_data_examples.py",
    "docs/OWN_SPACE.md": "tests/darts/spaces/test_space.py",
    "docs/guides/data-weights.md": "tests/test_guides.py",
    "docs/guides/learning-rates-and-maml.md": "tests/test_guides.py",
    "docs/guides/minibatches-and-dropout.md": "tests/bilevel/test_minibatches.py",
    "docs/guides/several-processes.md": "tests/test_guides.py",
}


@pytest.mark.parametrize("page", [page for page in WITH_BLOCKS if page not in RUN_ELSEWHERE])
def test_the_blocks_of_the_page_run_and_print_what_it_shows(page: str) -> None:
    assert documents.run(page)


def test_blocks_are_taken_from_pages_in_one_way() -> None:
    for page, place in RUN_ELSEWHERE.items():
        assert page in WITH_BLOCKS
        assert f'"{page}"' in (documents.ROOT / place).read_text(encoding="utf-8")
    for path in (documents.ROOT / "tests").rglob("*.py"):
        own = path.name in ("documents.py", "test_documents.py")
        assert own or "```python" not in path.read_text(encoding="utf-8"), path


def imported(code: str) -> list[tuple[str, str | None]]:
    """(module, name) of every import of the project in a block, also those inside functions."""
    found: list[tuple[str, str | None]] = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom):
            found += [(node.module or "", alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [(alias.name, None) for alias in node.names]
    return [pair for pair in found if pair[0].split(".")[0] in OWN]


OWN = ("bilevel", "darts", "toy", "proofs_checks", "benchmarks", "docs")


@pytest.mark.parametrize("page", WITH_BLOCKS)
def test_every_name_that_a_page_imports_is_there(page: str) -> None:
    for code, _ in documents.blocks(page):
        for module, name in imported(code):
            home = importlib.import_module(module)
            assert name is None or hasattr(home, name), f"{page}: from {module} import {name}"


def called(page: str) -> set[str]:
    """Names of classes that a page writes as code outside of its blocks: `Certified(...)`."""
    spans = re.findall(r"`([^`\n]+)`", documents.prose(page))
    return {name for span in spans for name in re.findall(r"(?<![\w.])([A-Z][a-z]\w+)\(", span)}


ABOUT_BILEVEL = [
    "README.md",
    "docs/CHECK.md",
    "docs/WHICH_ESTIMATOR.md",
    "docs/TRIED.md",
    *(page for page in PAGES if page.startswith("docs/guides/")),
]


@pytest.mark.parametrize("page", ABOUT_BILEVEL)
def test_every_class_that_a_page_calls_is_where_users_look(page: str) -> None:
    homes = (bilevel, estimators, constraints, checkpoints, problems, nn, torch, builtins)
    nowhere = {name for name in called(page) if not any(hasattr(home, name) for home in homes)}
    assert not nowhere


@pytest.mark.parametrize("page", ABOUT_BILEVEL)
def test_every_dotted_name_of_a_page_is_there(page: str) -> None:
    for dotted in set(re.findall(r"\b(bilevel(?:\.\w+)+)", documents.text_of(page))):
        found: Any = bilevel
        *modules, name = dotted.split(".")
        try:
            found = importlib.import_module(".".join(modules))
        except ModuleNotFoundError:  # a method of a class
            *modules, kind = modules
            found = getattr(importlib.import_module(".".join(modules)), kind)
        package = hasattr(found, "__path__")  # a module of it may not have been imported yet
        there = hasattr(found, name) or (package and importlib.util.find_spec(dotted) is not None)
        assert there, f"{page}: {dotted}"


def kinds(parent: type, *folders: str) -> set[str]:
    """The concrete classes of the package below `parent`, by name."""
    found: set[str] = set()
    left = [parent]
    while left:
        kind = left.pop()
        left += kind.__subclasses__()
        if kind.__module__.startswith(folders) and not inspect.isabstract(kind):
            found.add(kind.__name__)
    return found - {parent.__name__}


MADE_INSIDE = {"Checked", "UnrolledStep"}  # by a check, and by `DartsSecondOrder`


@pytest.mark.parametrize(
    ("parent", "home", "folders", "some"),
    [
        (estimators.Estimator, estimators, ("bilevel.estimators",), "Unrolled"),
        (Derivatives, bilevel, ("bilevel.derivatives",), "ReverseOverForward"),
        (Warning, estimators, ("bilevel.",), "NotStationary"),
    ],
)
def test_estimators_derivatives_and_warnings_are_where_the_list_says(
    parent: type, home: Any, folders: tuple[str, ...], some: str
) -> None:
    """`docs/WHICH_ESTIMATOR.md` lists them all, and nothing else, by the place of import."""
    names = kinds(parent, *folders) - MADE_INSIDE
    assert some in names
    assert names <= set(vars(home)), names - set(vars(home))
    listed = re.search(
        rf"^\| `{home.__name__}` \|.*`{some}`.*$",
        documents.text_of("docs/WHICH_ESTIMATOR.md"),
        re.MULTILINE,
    )
    assert listed
    assert set(re.findall(r"`(\w+)`", listed[0])) - {home.__name__} == names


@pytest.mark.parametrize(
    "home", [bilevel, estimators, problems, constraints, diagnostics, checkpoints, notation]
)
def test_every_public_name_is_in_the_reference(home: Any) -> None:
    """By the place of its definition, in docs/api; a package's public names are its imports."""
    listed = {
        name
        for page in PAGES
        if page.startswith("docs/api/")
        for name in re.findall(r"(?m)^::: (\S+)$", documents.text_of(page))
    }
    for name, thing in vars(home).items():
        if name.startswith("_") or (not inspect.isfunction(thing) and not inspect.isclass(thing)):
            continue
        place = f"{thing.__module__}.{thing.__qualname__}"
        if home.__file__.endswith("__init__.py") or thing.__module__ == home.__name__:
            assert {place, thing.__module__} & listed, place


@pytest.mark.parametrize("page", PAGES)
def test_links_of_the_page_lead_to_files_and_headings_that_exist(page: str) -> None:
    assert not documents.broken_links(page)


WIDEST = 140


def too_long(page: str) -> list[str]:
    """Lines of prose of more than 140 characters; tables, formulas and long code may be wide."""
    lines = re.sub(r"`[^`\n]{60,}`", "", documents.prose(page)).splitlines()
    return [line for line in lines if len(line) > WIDEST and not line.startswith(("|", ">", "!["))]


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md", "CHANGELOG.md"])
def test_prose_stands_in_lines_that_can_be_read(page: str) -> None:
    """Else break them; pages that a program writes go through `proofs_checks.paragraphs`."""
    assert not too_long(page)


def not_in_the_navigation(pages: list[str], site: str) -> list[str]:
    """Pages that mkdocs.yml does not list: the site would not be built (`strict`)."""
    listed = {line.strip().removeprefix("- ") for line in site.split("\nnav:\n")[1].splitlines()}
    return [page for page in pages if page.removeprefix("docs/") not in listed]


def test_every_page_has_its_place_in_the_site() -> None:
    pages = [page for page in PAGES if page.startswith("docs/")]
    pages += [
        f"docs/notebooks/{path.name}"
        for path in (documents.ROOT / "docs/notebooks").glob("*.ipynb")
    ]
    site = (documents.ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert not_in_the_navigation(pages, site) == []
    without = site.replace("          - experiments/beyond.md\n", "")
    assert not_in_the_navigation(pages, without) == ["docs/experiments/beyond.md"]


def test_what_is_wrong_on_a_page_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "ROOT", tmp_path)
    page = "```python\nprint(1)\nfrom bilevel import Nothing\n```\n\n```text\n2\n```\nor `Gone(3)`."
    (tmp_path / "page.md").write_text(page.replace("from bilevel import Nothing\n", ""))
    with pytest.raises(AssertionError, match=r"page\.md, block 1: '1\\n'"):
        documents.run("page.md")
    links = "\n# A heading\n[a](nowhere.md) [b](page.md#nothing) [c](#a-heading) [d](page.md)"
    (tmp_path / "page.md").write_text(page + links)
    assert documents.broken_links("page.md") == ["nowhere.md", "page.md#nothing"]
    with pytest.raises(AssertionError, match="from bilevel import Nothing"):
        test_every_name_that_a_page_imports_is_there("page.md")
    with pytest.raises(AssertionError, match="Gone"):
        test_every_class_that_a_page_calls_is_where_users_look("page.md")
    wide = " ".join(["word"] * 30)
    (tmp_path / "page.md").write_text(f"| {wide} |\n\n> {wide}\n\n`{wide}`\n\n- {wide}\n")
    assert too_long("page.md") == [f"- {wide}"]
