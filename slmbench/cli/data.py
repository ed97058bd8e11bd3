"""``slmbench data``: list, fetch, where."""

from __future__ import annotations

import argparse
import sys

from slmbench.cli.output import Value, emit
from slmbench.data.catalogue import CATALOGUE, expand
from slmbench.data.providers import fetch, locate
from slmbench.errors import MissingDataError


def execute(arguments: argparse.Namespace) -> int:
    """``list`` what exists, ``where`` it lies, ``fetch`` what is missing."""
    entries = [e for name in arguments.names or CATALOGUE for e in expand(name)]
    if arguments.action == "list":
        columns: tuple[str, ...] = (
            "data set",
            "items",
            "licence",
            "hub",
            "wheel",
            "title",
            "own files",
        )
        rows: list[tuple[Value, ...]] = [
            (
                e.name,
                ", ".join(f"{s.name} {s.items}" for s in e.splits),
                e.licence,
                e.hub or None,
                e.wheel or None,
                e.title,
                e.original_files or None,
            )
            for e in entries
        ]
        emit(columns, rows, arguments.format)
        return 0
    if arguments.action == "fetch":
        for wanted in entries:
            print(f"{wanted.name} …", file=sys.stderr)
            fetch(wanted.name)
    found = [(e.name, locate(e.name)) for e in entries]
    rows = [
        (name, at.provider, at.source, str(at.path)) if at else (name, None, None, None)
        for name, at in found
    ]
    emit(("data set", "found by", "source", "path"), rows, arguments.format)
    missing = [name for name, at in found if at is None]
    if missing and arguments.names:
        raise MissingDataError(
            f"not on this machine: {', '.join(missing)}",
            hint=f"slmbench data fetch {' '.join(missing)}",
        )
    return 0
