"""Scores that were computed before, in one SQLite file per model, engine and setting."""

from __future__ import annotations

import hashlib
import sqlite3
from array import array
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from slmbench.backends.protocol import BackendError
from slmbench.backends.units import TokenScore
from slmbench.prefix_tree import Pair
from slmbench.records import Status

VERSION = 1
"""Of the file's format; a file of another version is refused, never read wrongly."""
_CHUNK = 500
"""Keys of one query."""


class ScoreCache:
    """log p(continuation | context) by token ids; finite scores only."""

    def __init__(self, file: Path) -> None:
        """Open or make the file; BackendError (invalid) if it is no cache of this version."""
        self._file = file
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._base = sqlite3.connect(file)
            self._check()
        except sqlite3.DatabaseError as error:
            raise self._refused(str(error)) from error

    def known(self, pairs: Iterable[Pair]) -> Mapping[Pair, TokenScore]:
        """Those of the pairs that are in the file."""
        keys = {_key(pair): pair for pair in pairs}
        names = list(keys)
        found: dict[Pair, TokenScore] = {}
        for start in range(0, len(names), _CHUNK):
            some = names[start : start + _CHUNK]
            marks = ",".join("?" * len(some))
            rows = self._base.execute(
                f"SELECT key, logprob, greedy FROM scores WHERE key IN ({marks})",  # noqa: S608
                some,
            )
            found |= {keys[key]: TokenScore(value, bool(best)) for key, value, best in rows}
        return found

    def keep(self, pairs: Sequence[Pair], scores: Sequence[TokenScore]) -> None:
        """Add scores; those that are not finite are asked again next time."""
        rows = [
            (_key(pair), score.logprob, score.greedy)
            for pair, score in zip(pairs, scores, strict=True)
            if score.logprob is not None
        ]
        with self._base:
            self._base.executemany("INSERT OR REPLACE INTO scores VALUES (?, ?, ?)", rows)

    def close(self) -> None:
        """Close the file; may be called again."""
        self._base.close()

    def _check(self) -> None:
        (version,) = self._base.execute("PRAGMA user_version").fetchone()
        (tables,) = self._base.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if version == 0 and tables == 0:
            with self._base:
                self._base.execute(
                    "CREATE TABLE scores (key BLOB PRIMARY KEY, logprob REAL, greedy INTEGER) "
                    "WITHOUT ROWID"
                )
                self._base.execute(f"PRAGMA user_version = {VERSION}")
        elif version != VERSION:
            raise self._refused(f"format version {version}, this slmbench reads {VERSION}")

    def _refused(self, why: str) -> BackendError:
        return BackendError(
            Status.INVALID,
            f"the response cache {self._file.name} cannot be used: {why}",
            f"delete {self._file}, or set scoring.cache: false",
        )


def _key(pair: Pair) -> bytes:
    """16 bytes for the token ids on both sides of the boundary."""
    ids = array("q", (len(pair.context), *pair.context, *pair.continuation))
    return hashlib.blake2b(ids.tobytes(), digest_size=16).digest()
