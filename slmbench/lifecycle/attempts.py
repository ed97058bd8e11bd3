"""What earlier attempts at a making took, kept beside its checkpoints.

A training that was interrupted and goes on has a record of all of its time, not of its last part.
The maker notes what it has spent whenever it reports, as soon as there is something to go on from.
"""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import ValidationError

from slmbench.spec import Frozen

_FILE = "spent.json"


class Attempts(Frozen):
    """The cost of attempts that ended before the artefact was whole."""

    seconds: float = 0.0
    peak_memory_bytes: int | None = None

    @classmethod
    def before(cls, checkpoints: Path | None) -> Attempts:
        """What is noted there; nothing where nothing was kept, or the note is damaged."""
        if checkpoints is None:
            return cls()
        try:
            return cls.model_validate_json((checkpoints / _FILE).read_bytes())
        except (OSError, ValidationError):
            return cls()

    def and_now(self, seconds: float, peak_memory_bytes: int | None) -> Attempts:
        """With the attempt that is going on: times add up, the higher peak counts."""
        peaks = [p for p in (self.peak_memory_bytes, peak_memory_bytes) if p is not None]
        return Attempts(seconds=self.seconds + seconds, peak_memory_bytes=max(peaks, default=None))

    def note(self, checkpoints: Path | None) -> None:
        """Keep it for the next attempt, if there is something to go on from; whole or not at all.

        A disk that takes no note stops no training.
        """
        if checkpoints is None or not checkpoints.is_dir():
            return
        partial = checkpoints / f".{_FILE}-{os.getpid()}"
        try:
            partial.write_text(self.model_dump_json() + "\n", "utf-8")
            partial.replace(checkpoints / _FILE)
        except OSError:
            partial.unlink(missing_ok=True)
