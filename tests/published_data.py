"""Published data sets beside a checkout, for tests that need the real thing.

``SLMBENCH_DATA`` names their folder. Tests do not see that variable (``conftest`` removes it);
it is read here before, and a set that is not there is a skip with its reason.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

FOLDER = Path(os.environ["SLMBENCH_DATA"]) if os.environ.get("SLMBENCH_DATA") else None


def published(name: str) -> Path:
    """The folder of one set, or a skip."""
    if FOLDER is None:
        pytest.skip("SLMBENCH_DATA is not set: no published files to try")
    if not (FOLDER / name).is_dir():
        pytest.skip(f"{FOLDER / name} is not there")
    return FOLDER / name
