"""What a run tells those who watch it (progress bars, logs, tests)."""

from __future__ import annotations

from typing import Protocol

from slmbench.records import Status
from slmbench.spec import RunSpec


class Listener(Protocol):
    """Told of progress. Called only when something happened, never on a timer."""

    def stage(self, text: str) -> None:
        """Something other than a cell began: deriving a variant, preparing items."""

    def cell_started(self, spec: RunSpec, steps: int) -> None:
        """A cell begins, or the next process of a timed one.

        ``steps`` calls of :meth:`step` will follow if all goes well.
        """

    def step(self) -> None:
        """One item or repetition is done."""

    def process_finished(self, spec: RunSpec, finished: int, planned: int) -> None:
        """A process of a timed cell ended ok and is kept; ``planned``: how many it needs at least.

        Above ``planned`` the cell goes on because its numbers are not precise enough yet.
        """

    def cell_finished(self, spec: RunSpec, status: Status, reason: str, seconds: float) -> None:
        """A cell is sealed; ``reason`` says why it did not end ok, or why it stopped early."""


class Silent:
    """A listener that says nothing."""

    def stage(self, text: str) -> None:
        """Ignored."""

    def cell_started(self, spec: RunSpec, steps: int) -> None:
        """Ignored."""

    def step(self) -> None:
        """Ignored."""

    def process_finished(self, spec: RunSpec, finished: int, planned: int) -> None:
        """Ignored."""

    def cell_finished(self, spec: RunSpec, status: Status, reason: str, seconds: float) -> None:
        """Ignored."""
