"""History of the record format, and the functions that lift old records to the newest form.

1. (0.1.0) First format.

A golden file per version lies in ``tests/golden``; each stays readable for good.
"""

from __future__ import annotations

import json
from collections.abc import Callable

CURRENT = 1
_STEPS: dict[int, Callable[[dict[str, object]], dict[str, object]]] = {}
"""From version -> function that returns the next version's form."""


class TooNewError(ValueError):
    """A record written by a newer slmbench."""


def upgraded(text: str) -> str:
    """The JSON text of one file in the newest format (unchanged when it already is)."""
    document = json.loads(text)
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")
    version = document.get("schema_version", CURRENT)
    if not isinstance(version, int):
        raise ValueError(f"schema_version is {version!r}, not a number")
    if version > CURRENT:
        raise TooNewError(f"format version {version}, this slmbench reads up to {CURRENT}")
    if version == CURRENT:
        return text
    while version < CURRENT:
        document = _STEPS[version](document)
        version += 1
    return json.dumps(document)
