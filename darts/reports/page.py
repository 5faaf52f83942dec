"""The page that reports are set on: one file, no request to anywhere, light and dark."""

from collections.abc import Callable
from functools import cache
from typing import Any

import jinja2
from markupsafe import Markup

from darts.reports.drawing import STYLE


def render(template: str, **values: Any) -> bytes:
    """A whole HTML document from a template in `darts/reports/templates`.

    Text is escaped; `Markup` is taken as it is.
    """
    return _environment().get_template(template).render(**values).encode()


@cache
def _environment() -> jinja2.Environment:
    loader = jinja2.PackageLoader("darts.reports", "templates")
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    source: Callable[[str], str] = lambda name: loader.get_source(environment, name)[0]  # noqa: E731
    environment.globals |= {
        "style": Markup(source("style.css") + STYLE),
        "script": Markup(source("page.js")),
    }
    environment.filters["duration"] = duration
    return environment


def duration(seconds: float) -> str:
    """ "95 s", "12.3 min", "4.5 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"
