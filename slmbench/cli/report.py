"""``slmbench report``."""

from __future__ import annotations

import argparse
from pathlib import Path

from slmbench import api
from slmbench.errors import UsageError


def execute(arguments: argparse.Namespace) -> int:
    """Write the page; its path is the output."""
    results = Path(arguments.results)
    if not results.is_dir():
        raise UsageError(
            f"no results folder at {results}", hint="`slmbench demo` or `slmbench run` make one"
        )
    print(api.report(results, Path(arguments.out), title=arguments.title))
    return 0
