"""``slmbench compare``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from slmbench import api
from slmbench.cli.frames import emit_frame


def execute(arguments: argparse.Namespace) -> int:
    """Paired differences against the declared parents, one row per variant and task."""
    comparison = api.compare(Path(arguments.results), vary=arguments.vary)
    emit_frame(comparison.table(), arguments.format)
    for refused in comparison.refused:
        print(f"not compared: {refused}", file=sys.stderr)
    return 0
