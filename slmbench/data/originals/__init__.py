"""Readers of data sets in the files that their authors published.

One module a set. A reader turns a folder of such files into rows with the columns of the hub's
repository, so that a task runs on either; what it adds to them is said in its docstring.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from slmbench.errors import PrerequisiteError


class OriginalsError(Exception):
    """The files are not what their authors published; the text names the file and the cause."""


@dataclass(frozen=True, slots=True)
class Converted:
    """Rows of every split, each a frozen dataclass whose fields are the columns."""

    splits: Mapping[str, Sequence[Any]]
    parts: str = ""
    """What of the published set is there, for people; empty means all of it."""


Reader = Callable[[Path], Converted]
"""From a folder to rows; raises :class:`OriginalsError`."""


def convert(reader: str, source: Path, target: Path) -> str:
    """Read ``source`` by the reader ``module:function`` and save its splits below ``target``.

    Returns what of the published set is there, as :attr:`Converted.parts`. Raises
    :class:`OriginalsError`, and PrerequisiteError where ``datasets`` is not installed.
    """
    if importlib.util.find_spec("datasets") is None:
        raise PrerequisiteError("datasets is not installed (pip install 'slmbench[tasks]')")
    module, _, name = reader.partition(":")
    converted: Converted = getattr(importlib.import_module(module), name)(source)
    save(converted, target)
    return converted.parts


def save(converted: Converted, folder: Path) -> None:
    """Write each split to ``folder/<split>`` with ``datasets.save_to_disk``.

    Raises OriginalsError for a split without rows.
    """
    import datasets

    shown = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        for split, rows in converted.splits.items():
            if not rows:
                raise OriginalsError(f"no rows for the split {split!r}")
            table = datasets.Dataset.from_list([asdict(row) for row in rows])
            table.save_to_disk(str(folder / split))
    finally:
        if not shown:
            datasets.enable_progress_bars()
