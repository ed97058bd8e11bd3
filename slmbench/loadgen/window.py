"""The steady part of a load, over which rates are taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slmbench.loadgen.journal import RequestLog
from slmbench.spec import Load

_NS = 1e-9
_WHOLE = ("single_stream", "offline")
"""Here filling and draining are part of the load."""


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open stretch of time, ``begin_ns < t <= end_ns`` of perf_counter_ns."""

    begin_ns: int
    end_ns: int
    scope: str
    """Which stretch it is, for people."""

    def rate(self, count: float) -> float:
        """``count`` events in it, per second."""
        return count / ((self.end_ns - self.begin_ns) * _NS)

    def holds(self, at_ns: int) -> bool:
        """Whether an event falls into it."""
        return self.begin_ns < at_ns <= self.end_ns

    def holds_end(self, log: RequestLog) -> bool:
        """Whether the answer's last text came in it."""
        return self.holds(log.last_ns)

    def token_rate(self, whole: Sequence[RequestLog]) -> float:
        """Output tokens per second that arrived in it.

        Tokens of an answer whose chunks do not say how many they hold are spread over them.
        """
        tokens = 0.0
        for log in whole:
            each = log.tokens_by_chunk()
            mean = log.count().tokens / len(log.chunks)
            for index, chunk in enumerate(log.chunks):
                if self.holds(chunk.at_ns):
                    tokens += mean if each is None else each[index]
        return self.rate(tokens)


def steady_window(logs: Sequence[RequestLog], load: Load) -> Window | None:
    """From the end of the first answer to the sending of the last request, where that is at
    least half of the load; else, and for single_stream and offline, all of it. None without an
    answer.
    """
    whole = [log for log in logs if log.ok]
    if not whole:
        return None
    begin, end = min(log.sched_ns for log in logs), max(log.last_ns for log in whole)
    first_end, last_send = min(log.last_ns for log in whole), max(log.send_ns for log in logs)
    if load.scenario not in _WHOLE and 2 * (last_send - first_end) >= end - begin:
        return Window(first_end, last_send, "steady window")
    return Window(begin, end, "whole load, filling and draining included")
