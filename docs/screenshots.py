"""Pictures of a run's report, by Chromium: `python -m docs.screenshots RUN` for the README's.

It writes `report.png`, the top of the page; `--all FOLDER` adds the page wide, dark and on a phone.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@dataclass(frozen=True)
class View:
    """A way to look at a page.

    Attributes:
        name: of the file.
        width, height: of the window in pixels.
        dark: the reader prefers dark colours.
    """

    name: str
    width: int
    height: int
    dark: bool = False


TOP = View("report", 1000, 830)
VIEWS = (
    View("wide", 1200, 4000),
    View("dark", 1200, 2000, dark=True),
    View("phone", 400, 4000),
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
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{view.name}.png"
    colours = ["--blink-settings=preferredColorScheme=0"] if view.dark else []
    command = [browser(), "--headless=new", "--no-sandbox", "--hide-scrollbars", *colours]
    size = f"--window-size={view.width},{view.height}"
    subprocess.run(
        [*command, size, f"--screenshot={target}", page.resolve().as_uri()],
        check=True,
        capture_output=True,
        timeout=120,
    )
    return target


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m docs.screenshots", description=__doc__)
    parser.add_argument("run", type=Path, help="run folder with a report.html")
    parser.add_argument("--out", type=Path, default=Path("docs/figures"))
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="for the other views")
    options = parser.parse_args(argv)
    page = options.run / "report.html"
    try:
        print(picture(page, TOP, options.out))
        if options.all is not None:
            for view in VIEWS:
                print(picture(page, view, options.all))
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
