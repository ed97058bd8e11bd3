"""Where things live on this machine: suites that ship with slmbench, and the cache."""

from __future__ import annotations

import os
from pathlib import Path


def suites_dir() -> Path:
    """Folder of the shipped suites: inside an installed wheel, else at the checkout's top."""
    package = Path(__file__).resolve().parent
    installed = package / "suites"
    return installed if installed.is_dir() else package.parent / "suites"


def cache_dir(kind: str = "") -> Path:
    """``$SLMBENCH_CACHE``, else ``$XDG_CACHE_HOME/slmbench``, else ``~/.cache/slmbench``.

    ``kind`` is a subfolder: ``wheels``, ``models``, ``data``, ``items``, ``index``.
    Everything below it can be deleted at any time and is made again.
    """
    environ = os.environ
    if own := environ.get("SLMBENCH_CACHE"):
        base = Path(own)
    else:
        base = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slmbench"
    return base / kind if kind else base
