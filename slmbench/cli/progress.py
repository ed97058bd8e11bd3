"""Progress on stderr: one bar with an ETA on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self, TextIO

from tqdm import tqdm

from slmbench.records import Status
from slmbench.runner.rounds import planned_processes
from slmbench.spec import RunSpec

_LINE_EVERY_S = 20.0


class Progress:
    """A listener whose bar runs over estimated seconds, so that its ETA weighs cells.

    It draws only when told something: nothing wakes up while a worker measures.
    """

    def __init__(self, seconds: Mapping[str, float], stream: TextIO | None = None) -> None:
        """``seconds``: estimated time per cell digest, for the cells that will run."""
        self._seconds = seconds
        self._stream = stream or sys.stderr
        self._total = sum(seconds.values())
        self._tty = self._stream.isatty()
        self._bar = tqdm(
            total=max(self._total, 1e-9),
            file=self._stream,
            disable=not self._tty,
            bar_format="{percentage:3.0f}% |{bar:24}| {elapsed} elapsed, ~{remaining} left  {desc}",
            mininterval=0.5,
            leave=False,
        )
        self._cells_done = 0
        self._started = False
        self._done: dict[str, float] = {}
        """Estimated seconds that cells which are not sealed have behind them, by digest."""
        self._digest = ""
        self._share = self._sealed = 0.0
        self._steps = 1
        self._begun = time.monotonic()
        self._last_line = self._begun
        self._label = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()

    def stage(self, text: str) -> None:
        """Show what is being prepared."""
        self._say(text)

    def cell_started(self, spec: RunSpec, steps: int) -> None:
        """A new cell becomes the bar's text; the first one starts the clock of the ETA."""
        if not self._started:
            self._started, self._begun = True, time.monotonic()
            self._bar.reset()
        self._digest, self._label = spec.digest, spec.label
        self._share = self._seconds.get(spec.digest, 0.0) / planned_processes(spec) / max(steps, 1)
        self._bar.set_description_str(spec.label, refresh=False)

    def step(self) -> None:
        """Advance by the cell's share."""
        cell, behind = self._seconds.get(self._digest, 0.0), self._done.get(self._digest, 0.0)
        share = max(0.0, min(self._share, cell - behind))
        self._done[self._digest] = behind + share
        self._bar.update(share)
        now = time.monotonic()
        if not self._tty and now - self._last_line > _LINE_EVERY_S:
            self._say(f"… {self._label}: {(behind + share) / max(cell, 1e-9):.0%}")

    def process_finished(self, spec: RunSpec, finished: int, planned: int) -> None:
        """Which process of a timed cell that was, where it needs several."""
        if planned == 1 and finished == 1:
            return
        more = "" if finished <= planned else ", for the precision that was asked for"
        self._bar.set_description_str(f"{finished} of {planned} · {spec.label}", refresh=False)
        if not self._tty and time.monotonic() - self._last_line > _LINE_EVERY_S:
            self._say(f"… {spec.label}: {finished} of {planned} processes{more}")

    def cell_finished(self, spec: RunSpec, status: Status, reason: str, seconds: float) -> None:
        """One line per cell; a failure says why, a cell that stopped early after how many."""
        expected = self._seconds.get(spec.digest, 0.0)
        self._sealed += expected
        self._cells_done += 1
        self._done.pop(spec.digest, None)
        self._bar.update(max(0.0, self._sealed + sum(self._done.values()) - self._bar.n))
        failure = "" if status is Status.OK else f"{status.value.upper()}: "
        ending = f"  {failure}{reason}" if failure or reason else ""
        left = "" if self._tty else f", about {self._left()} left"
        count = f"[{self._cells_done}/{len(self._seconds)}]"
        self._say(f"{count} {spec.label}  {seconds:.1f} s{left}{ending}")

    def _left(self) -> str:
        elapsed = time.monotonic() - self._begun
        done = self._sealed + sum(self._done.values())
        rate = elapsed / done if done else 1.0
        left = int(rate * max(0.0, self._total - done))
        return f"{left // 60}:{left % 60:02d}"

    def _say(self, text: str) -> None:
        self._last_line = time.monotonic()
        if self._tty:
            self._bar.write(text, file=self._stream)
        else:
            print(text, file=self._stream, flush=True)
