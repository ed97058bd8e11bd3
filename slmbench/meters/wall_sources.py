"""Where a wall meter's watts come from: a file that grows, or an endpoint that is asked."""

from __future__ import annotations

import json
import math
import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

TAIL_BYTES = 1 << 20
"""Read from the end of a file: ten hours of a sample a second."""
WAIT_S = 5.0
"""Longest wait for the sample after a window; a logger that is slower is of no use here."""
_POLL_S = 0.2
_FEWEST_FOR_PERIOD = 3
PERIOD_S = 1.0
"""How often an endpoint is asked."""
_TIMEOUT_S = 2.0
_JOIN_S = 2 * _TIMEOUT_S
_MOST_ANSWER = 65536
_KEYS = ("watts", "power", "apower")


@dataclass(frozen=True, slots=True)
class Sample:
    """Power at a time."""

    at: float
    """Unix seconds."""
    watts: float


def unix_now() -> float:
    """Now [unix seconds]: the only clock that this process shares with a meter's logger."""
    return time.time()  # noqa: TID251 - time stamps of another program, no duration of ours


class CsvSource:
    """``timestamp,watts`` lines of a file that another program appends to."""

    period_s: float | None = None

    def __init__(self, path: Path) -> None:
        self._path = path

    def probe(self) -> str:
        """Why it cannot be read now; empty when it can."""
        try:
            self._read()
        except (OSError, ValueError) as error:
            return f"the wall meter's file cannot be read: {error}"
        return ""

    def open(self) -> None:
        """Nothing to do: the file grows by itself."""

    def close(self, begin: float, end: float) -> Sequence[Sample]:
        """The file's samples once one lies at or after ``end``, or after a wait of some periods."""
        until = time.monotonic() + WAIT_S
        while True:
            samples = self._read()
            late = samples and samples[-1].at >= end
            if late or time.monotonic() > until or not _alive(samples, begin):
                return samples
            time.sleep(_POLL_S)

    def _read(self) -> list[Sample]:
        with self._path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL_BYTES))
            lines = file.read().decode("utf-8", errors="replace").split("\n")
        if size > TAIL_BYTES:
            lines = lines[1:]  # the first one is cut
        return parse(lines[:-1], str(self._path))  # what stands after the last newline is not done


def _alive(samples: Sequence[Sample], begin: float) -> bool:
    """Whether the logger still wrote around the window: else waiting for it is in vain."""
    gaps = [right.at - left.at for left, right in pairwise(samples[-50:])]
    usual = statistics.median(gaps) if len(gaps) >= _FEWEST_FOR_PERIOD else WAIT_S
    return bool(samples) and samples[-1].at >= begin - 3 * usual


def parse(lines: Sequence[str], name: str) -> list[Sample]:
    """Samples of CSV lines, ordered by time; ValueError names file and line of the first fault.

    >>> parse(["time,watts", "1700000000,41.5", "2023-11-14T22:13:21Z,42"], "log.csv")[1]
    Sample(at=1700000001.0, watts=42.0)
    """
    found = []
    for number, line in enumerate(lines, 1):
        parts = [part.strip() for part in line.replace(";", ",").replace("\t", ",").split(",")]
        if not line.strip() or line.startswith("#"):
            continue
        try:
            found.append(Sample(_unix(parts[0]), _watts(parts[1])))
        except (ValueError, IndexError):
            if number == 1:
                continue  # a head line, or one that was cut
            raise ValueError(
                f"{name}, line {number}: {line.strip()[:60]!r} is not timestamp,watts"
            ) from None
    return sorted(found, key=lambda s: s.at)


def _unix(text: str) -> float:
    """Unix seconds of ISO 8601 (UTC unless it names an offset) or of a number of seconds."""
    try:
        seconds = float(text)
    except ValueError:
        when = datetime.fromisoformat(text)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    if not math.isfinite(seconds):
        raise ValueError(text)
    return seconds


def _watts(value: object) -> float:
    if not isinstance(value, (int, float, str)) or isinstance(value, bool):
        raise ValueError(f"{value!r} is no power")
    watts = float(value)
    if not math.isfinite(watts) or watts < 0:
        raise ValueError(f"{value!r} is no power")
    return watts


class HttpSource:
    """An endpoint that answers with the power of now; one thread asks while a window is open."""

    def __init__(self, address: str, period_s: float = PERIOD_S) -> None:
        self.period_s: float | None = period_s
        self._address, self._period = address, period_s
        self._samples: list[Sample] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def probe(self) -> str:
        """Why it cannot be read now; empty when it can."""
        try:
            self._ask()
        except (OSError, ValueError) as error:
            return f"the wall meter at {self._address} cannot be read: {error}"
        return ""

    def open(self) -> None:
        """Take one sample, then one per period in a thread."""
        self._end_thread()
        self._samples = []
        self._take()
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="wall meter", daemon=True)
        self._thread.start()

    def close(self, begin: float, end: float) -> Sequence[Sample]:
        """End the thread and take a last sample."""
        del begin, end
        self._end_thread()
        self._take()
        return self._samples

    def _end_thread(self) -> None:
        if self._thread is not None:
            self._stop.set()
            self._thread.join(_JOIN_S)
            self._thread = None

    def _run(self) -> None:
        due = time.monotonic() + self._period
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            self._take()
            due += self._period

    def _take(self) -> None:
        """One sample; one that fails is a gap, which the integral sees."""
        try:
            self._samples.append(self._ask())
        except (OSError, ValueError):
            return

    def _ask(self) -> Sample:
        """Power of now, dated in the middle of the exchange."""
        import urllib.request  # a sixteenth of a worker's start, which few need

        request = urllib.request.Request(self._address)  # noqa: S310 - http(s) by source_of
        begin = unix_now()
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
            text = answer.read(_MOST_ANSWER).decode("utf-8", errors="replace")
        return Sample((begin + unix_now()) / 2, _power_in(text))


def _power_in(text: str) -> float:
    """The watts in an answer: a number, or an object with ``watts`` or ``power``.

    >>> _power_in("41.5"), _power_in('{"power": 42}')
    (41.5, 42.0)
    """
    try:
        value = json.loads(text)
    except ValueError:
        raise ValueError(f"the answer {text[:60]!r} is neither a number nor JSON") from None
    if isinstance(value, dict):
        name = next((key for key in _KEYS if key in value), None)
        if name is None:
            raise ValueError(f"the answer has none of {', '.join(_KEYS)}")
        value = value[name]
    return _watts(value)
