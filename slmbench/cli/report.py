"""``slmbench report``."""

from __future__ import annotations

import argparse
from pathlib import Path

from slmbench import api


def execute(arguments: argparse.Namespace) -> int:
    """Write the page; its path is the output."""
    print(api.report(Path(arguments.results), Path(arguments.out), title=arguments.title))
    return 0
