"""``slmbench show``: a suite, or the numbers of a results folder."""

from __future__ import annotations

import argparse
import importlib

from slmbench.errors import UsageError
from slmbench.spec.load import suite_names

SUITE = "suite"
"""The reserved word: ``show suite NAME``."""


def execute(arguments: argparse.Namespace) -> int:
    """Look at what the first word asks for; each branch imports only what it needs."""
    names = arguments.names
    if names[:1] == [SUITE]:
        if len(names) != 2 or arguments.ids:
            raise UsageError(
                "show suite takes one name and no --ids",
                hint=f"slmbench show suite NAME, of: {', '.join(suite_names())}",
            )
    elif len(names) > 1:
        raise UsageError(
            f"show takes one run, digest or variant, not {len(names)} words",
            hint="slmbench show RUN, or slmbench show suite NAME",
        )
    branch = "show_suite" if names[:1] == [SUITE] else "show_run"
    code: int = importlib.import_module(f"slmbench.cli.{branch}").execute(arguments)
    return code
