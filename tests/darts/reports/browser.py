"""Pages opened in a headless Chromium, all in one start, each in frames of several widths."""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from html import unescape
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here (Debian: chromium)")

_FRAMES = (("wide", 1200, "light"), ("phone", 400, "light"), ("dark", 400, "dark"))

_PROBE = """
const wait = (frame) => new Promise((done) => { frame.onload = done; });
const look = (frame) => {
  const page = frame.contentDocument, view = frame.contentWindow, found = {};
  found.overflow = page.documentElement.scrollWidth - page.documentElement.clientWidth;
  found.paper = view.getComputedStyle(page.body).backgroundColor;
  const cells = () => [...page.querySelectorAll("figure[data-cell] svg")].map((s) => s.outerHTML);
  found.labels = [...page.querySelectorAll("figure[data-cell] svg text")].map((t) => {
    const b = t.getBoundingClientRect();
    return [t.textContent, b.left, b.right, b.top, b.bottom];
  });
  found.columns = [...page.querySelectorAll("figure[data-cell]")].map((f) => f.offsetLeft);
  const slider = page.querySelector("input[data-epochs]");
  if (slider) {
    found.cells = [cells()];
    slider.focus();
    found.focused = page.activeElement === slider;
    for (const value of [slider.min, slider.max]) {
      slider.value = value;
      slider.dispatchEvent(new view.Event("input"));
      found.cells.push(cells());
    }
    found.said = slider.parentElement.querySelector("output").textContent;
  }
  const filter = page.querySelector("input[data-filter]");
  if (filter) {
    const rows = () => [...page.querySelectorAll(filter.dataset.filter)]
      .filter((row) => row.offsetParent !== null || row.getClientRects().length).length;
    found.rows = [rows()];
    filter.value = "verdict:fails";
    filter.dispatchEvent(new view.Event("input"));
    found.rows.push(rows());
  }
  const folded = () => page.querySelectorAll("details:not([open])").length;
  found.folded = [folded()];
  view.dispatchEvent(new view.Event("beforeprint"));
  found.folded.push(folded());
  return found;
};
(async () => {
  const all = {};
  for (const frame of document.querySelectorAll("iframe")) {
    const loaded = wait(frame);
    frame.src = frame.dataset.page;
    await loaded;
    all[frame.id] = look(frame);
  }
  document.getElementById("found").textContent = JSON.stringify(all);
})();
"""


def opened(pages: Mapping[str, Path], folder: Path) -> tuple[dict[str, dict], str]:
    """What each page looks like in each frame, by "page-frame", and all that the console said.

    Frames are 1200 and 400 pixels wide in a light scheme, and 400 in a dark one.
    """
    assert CHROMIUM is not None
    frames = "".join(
        f'<iframe id="{name}-{frame}" data-page="{path.resolve().as_uri()}" width="{width}" '
        f'height="900" style="color-scheme:{scheme}"></iframe>'
        for name, path in pages.items()
        for frame, width, scheme in _FRAMES
    )
    harness = folder / "harness.html"
    harness.write_text(f'<pre id="found"></pre>{frames}<script>{_PROBE}</script>', "utf-8")
    done = subprocess.run(
        [
            *(CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-extensions"),
            *("--allow-file-access-from-files", f"--user-data-dir={folder / 'profile'}"),
            *("--enable-logging=stderr", "--virtual-time-budget=20000", "--timeout=60000"),
            *("--window-size=1300,1000", "--dump-dom", harness.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = re.search(r'<pre id="found">(.+?)</pre>', done.stdout, re.DOTALL)
    console = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    assert found, f"the harness did not end: {console}\n{done.stderr[-2000:]}"
    return json.loads(unescape(found[1])), console
