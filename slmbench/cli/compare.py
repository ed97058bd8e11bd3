"""``slmbench compare``."""

from __future__ import annotations

import argparse
from pathlib import Path

from slmbench import api
from slmbench.cli.frames import emit_frame


def execute(arguments: argparse.Namespace) -> int:
    """Paired differences against the declared parents, one row per variant and task."""
    comparison = api.compare(Path(arguments.results), vary=arguments.vary)
    emit_frame(comparison.frame, arguments.format)
    return 0
