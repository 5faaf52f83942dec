"""Where documents and records lie: below docs/ in a clone, inside the package once installed."""

from __future__ import annotations

from pathlib import Path

_BESIDE = Path(__file__).resolve().parents[1] / "docs"
_INSTALLED = Path(__file__).with_name("records")  # setup.py puts docs/records there

DOCS = _BESIDE
RECORDS = _INSTALLED if _INSTALLED.is_dir() else _BESIDE / "records"
FIGURES = _INSTALLED / "figures" if _INSTALLED.is_dir() else _BESIDE / "figures"
