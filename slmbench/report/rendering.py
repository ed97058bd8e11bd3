"""From a page's values to HTML: one file that loads nothing and runs no foreign script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from slmbench.report.cells import arrow, arrow_words

TEMPLATES = Path(__file__).parent / "templates"
GENERATOR = "slmbench report"
"""Stands in every page's head: only files that say so are ever removed as stale."""


@dataclass(frozen=True, slots=True)
class Link:
    """One page of a report."""

    label: str
    href: str
    """File name beside the other pages, quoted for a URL."""
    current: bool = False


def render_template(template: str, *, has_figures: bool, values: Mapping[str, object]) -> str:
    """The page as HTML; every text in ``values`` is escaped.

    plotly's own script is in the page only where there is a figure; the content security policy
    holds the hashes of exactly the scripts that are in it.
    """
    # Markup: these three files are ours, or plotly's own, and hold nothing that a run made.
    scripts = [_plotly_js(), (TEMPLATES / "page.js").read_text("utf-8")] if has_figures else []
    style = (TEMPLATES / "style.css").read_text("utf-8")
    return (
        _environment()
        .get_template(template)
        .render(
            scripts=[Markup(s) for s in scripts],  # noqa: S704
            hashes=[_csp_hash(s) for s in scripts],
            style=Markup(style),  # noqa: S704
            generator=GENERATOR,
            arrow=arrow,
            words=arrow_words,
            **values,
        )
    )


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@lru_cache(maxsize=1)
def _plotly_js() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


@lru_cache(maxsize=4)
def _csp_hash(script: str) -> str:
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
