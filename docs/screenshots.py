"""Pictures of a run, by Chromium: `python -m docs.screenshots RUN` for README and the first search.

It writes `report.png`, the top of the page, `cells.png` and `terminal.png`, what the run's end says
in a terminal; `--all FOLDER` adds the page wide, dark, on a phone and on paper.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from PIL import Image

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@dataclass(frozen=True)
class View:
    """A way to look at a page.

    Attributes:
        name: of the file.
        width, height: of the window in pixels.
        dark: the reader prefers dark colours.
        only: selectors of the parts of the page that are shown; all of it without any.
        paper: as it is printed.
    """

    name: str
    width: int
    height: int
    dark: bool = False
    only: tuple[str, ...] = ()
    paper: bool = False


TOP = View("report", 1000, 830)
CELLS = View("cells", 940, 400, only=(".slider", ".side"))
COLUMNS, ROW, SIDE = 118, 21, 16
"""Characters in a line of the terminal, height of a line and room around all, in pixels."""
VIEWS = (
    View("wide", 1200, 4000),
    View("dark", 1200, 2000, dark=True),
    View("phone", 400, 4000),
    View("paper", 718, 6400, paper=True),
)


def browser() -> str:
    """The path of a Chromium.

    Raises:
        FileNotFoundError: there is none.
    """
    for name in PROGRAMS:
        if found := shutil.which(name):
            return found
    raise FileNotFoundError(f"None of {', '.join(PROGRAMS)} is on the path. Install one.")


def picture(page: Path, view: View, folder: Path) -> Path:
    """The page as a reader sees it, as `folder/<view>.png`.

    Raises:
        FileNotFoundError: there is no such page, or no browser.
    """
    if not page.is_file():
        raise FileNotFoundError(f"There is no {page}. Give the folder of a finished run.")
    text = page.read_text("utf-8")
    if view.only:
        shown = ", ".join(f"main > {part}" for part in view.only)
        hidden = f"main > :not({shown}) {{ display: none; }}"
        text += f"<style>{hidden} main {{ padding: 0 20px; }}</style>"
    if view.paper:
        text = text.replace("@media print", "@media all").replace("<details>", "<details open>")
    return _shot(text, view, folder)


def _shot(text: str, view: View, folder: Path) -> Path:
    """What a page of this text looks like."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{view.name}.png"
    page = folder / f"{view.name}.html"
    page.write_text(text, "utf-8")
    colours = ["--blink-settings=preferredColorScheme=0"] if view.dark else []
    command = [browser(), "--headless=new", "--no-sandbox", "--hide-scrollbars", *colours]
    size = f"--window-size={view.width},{view.height}"
    subprocess.run(
        [*command, size, f"--screenshot={target}", page.resolve().as_uri()],
        check=True,
        capture_output=True,
        timeout=120,
    )
    page.unlink()
    few_colours = Image.open(target).convert("RGB").quantize(64)  # a third of the size
    few_colours.save(target, optimize=True)
    return target


def terminal(run: Path, folder: Path) -> Path:
    """What `darts report` says of a run, as a terminal shows it."""
    command = [sys.executable, "-m", "darts.cli", "report", str(run)]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout
    lines = [f"$ darts report {run}", *said.splitlines()]
    rows = [row for line in lines for row in textwrap.wrap(line, COLUMNS) or [""]]
    style = f"margin:{SIDE}px;font:14px/{ROW}px 'Liberation Mono',monospace;color:#e6e8ec"
    text = f"<body style='margin:0;background:#14171c'><pre style=\"{style}\">"
    height = ROW * len(rows) + 2 * SIDE
    return _shot(text + escape("\n".join(rows)), View("terminal", 1030, height), folder)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m docs.screenshots", description=__doc__)
    parser.add_argument("run", type=Path, help="run folder with a report.html")
    parser.add_argument("--out", type=Path, default=Path("docs/figures"))
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="for the other views")
    options = parser.parse_args(argv)
    page = options.run / "report.html"
    try:
        for view in (TOP, CELLS):
            print(picture(page, view, options.out))
        print(terminal(options.run, options.out))
        if options.all is not None:
            for view in VIEWS:
                print(picture(page, view, options.all))
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
