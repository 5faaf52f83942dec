"""The page that reports are set on: one file, no request to anywhere, light and dark."""

from functools import cache
from typing import Any

import jinja2
from markupsafe import Markup

from darts.reports.drawing import STYLE


def render(template: str, *, package: str = "darts.reports", **values: Any) -> bytes:
    """A whole HTML document from a template in the folder `templates` of a package.

    It may build on those of reports. Text is escaped; `Markup` is taken as it is.
    """
    return _environment(package).get_template(template).render(**values).encode()


@cache
def _environment(package: str) -> jinja2.Environment:
    places = [jinja2.PackageLoader(name) for name in dict.fromkeys((package, "darts.reports"))]
    loader = jinja2.ChoiceLoader(places)
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = (loader.get_source(environment, f)[0] for f in ("style.css", "page.js"))
    environment.globals |= {"style": Markup(style + STYLE), "script": Markup(script)}
    environment.filters["slug"] = lambda words: words.replace(" ", "-")
    return environment


def duration(seconds: float) -> str:
    """ "95 s", "12.3 min", "4.5 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"
