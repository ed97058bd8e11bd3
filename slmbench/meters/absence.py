"""How a meter says that it has nothing: by name, with a reason, never by silence."""

from __future__ import annotations

from collections.abc import Iterable

from slmbench.errors import SlmbenchError
from slmbench.records import Measurement, Method, Provenance


def unavailable(
    metrics: Iterable[str], method: Method, reason: str, scope: str = ""
) -> tuple[Measurement, ...]:
    """One unavailable Measurement per metric, all for the same reason."""
    return tuple(
        Measurement(
            metric=name,
            samples=(),
            provenance=Provenance.UNAVAILABLE,
            method=method,
            scope=scope,
            reason=reason,
        )
        for name in metrics
    )


def no_window(meter: str) -> SlmbenchError:
    """The error of a stop without a start."""
    return SlmbenchError(
        f"the {meter} meter was stopped, but no window is open",
        hint="call start() before each stop()",
    )
