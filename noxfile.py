"""The project's commands. Every session sets up what it needs: `nox -s tests`."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.sessions = ["tests", "lint", "types"]
nox.options.default_venv_backend = "none"  # all sessions share one environment: torch is large

ROOT = Path(__file__).parent
ENVIRONMENT = ROOT / ".nox" / "environment"


def environment(session: nox.Session) -> str:
    """Python of the shared environment, which is made anew when pyproject.toml has changed."""
    bin_folder = ENVIRONMENT / ("Scripts" if sys.platform == "win32" else "bin")
    python = str(bin_folder / "python")
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    stamp = ENVIRONMENT / "installed.sha256"
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    if sys.version_info < (3, 11):  # noqa: UP036  (nox itself may run on an older Python)
        session.error(f"Python 3.11 or newer is needed; nox runs on {sys.version.split()[0]}.")
    session.log(f"installing the project into {ENVIRONMENT}; torch makes this take minutes")
    subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
    subprocess.run([python, "-m", "pip", "install", "-q", "-e", f"{ROOT}[dev]"], check=True)
    stamp.write_text(wanted)
    return python


@nox.session
def tests(session: nox.Session) -> None:
    """All default tests, on two processes. `-- -m slow` runs the slow ones."""
    session.run(environment(session), "-m", "pytest", "-n", "2", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style and formatting."""
    python = environment(session)
    session.run(python, "-m", "ruff", "check", ".")
    session.run(python, "-m", "ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Static types; strict in bilevel/."""
    session.run(environment(session), "-m", "mypy")


@nox.session
def proofs(session: nox.Session) -> None:
    """Verify all evidence for every claim: `-- --claim E7`, `-- --html verdict.html`."""
    session.run(environment(session), "-m", "proofs_checks", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Run the notebooks, and build docs/ into build/site; a warning is an error."""
    python = environment(session)
    session.run(python, "-m", "docs.notebooks", "--check")
    session.run(python, "-m", "mkdocs", "build", env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel, and use it outside of the clone: pages, claims from records, a search."""
    python = environment(session)
    folder = Path(session.create_tmp()).resolve()
    site = folder / "site"
    shutil.rmtree(site, ignore_errors=True)
    pip = (python, "-m", "pip", "-q", "install", "--no-deps", "--target", str(site))
    session.run(*pip, str(ROOT))
    alone = {"PYTHONPATH": str(site)}
    pages = ("README.md", "docs/FIRST_HYPERGRADIENT.md", "docs/WHICH_ESTIMATOR.md")
    session.chdir(folder)
    session.run(python, "-P", str(ROOT / "tests/documents.py"), str(site), *pages, env=alone)
    claims = (word for claim in ("R1", "T9", "§3.2c") for word in ("--claim", claim))
    session.run(python, "-m", "proofs_checks", *claims, env=alone)
    shutil.rmtree("run", ignore_errors=True)
    search = ("full-search", "--preset", "digits-check", "--run-dir", "run")
    session.run(python, "-m", "darts.cli", *search, env=alone)


@nox.session
def bench(session: nox.Session) -> None:
    """Estimators beside public libraries, then supernets: an hour of one core, 8 GiB.

    `-- supernet roofline` runs only those of estimators, supernet, agreement, roofline,
    overheads, and then draws the charts of all records.
    """
    python = environment(session)
    every = ("estimators", "supernet", "agreement", "roofline", "overheads")
    unknown = set(session.posargs) - set(every)
    if unknown:
        session.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(every)}.")
    for name in session.posargs or every:
        session.run(python, "-m", f"benchmarks.{name}")
    session.run(python, "-m", "benchmarks.plots")


@nox.session
def experiments(session: nox.Session) -> None:
    """Run what is missing of an experiment: `-- collapse --budget 600 --data-root DIR`."""
    session.run(environment(session), "-m", "benchmarks.experiments", *session.posargs)


@nox.session
def full_search(session: nox.Session) -> None:
    """Search, retrain, report: digits by default; `-- --preset cifar10-s1 --data-root DIR`."""
    session.run(environment(session), "-m", "darts.cli", "full-search", *session.posargs)
