"""Records of runs with what a test is about, and a head that no rule reads."""

from __future__ import annotations

from typing import Any

from benchmarks.experiments.record import RunRecord


def made_record(setting: str, method: str, seed: int, **content: Any) -> RunRecord:
    """A record on some machine: of a complete run without epochs, unless `content` has others."""
    head = {"setting": setting, "method": method, "seed": seed, "machine": "m"}
    return RunRecord({**head, "complete": True, "cells": [], **content})
