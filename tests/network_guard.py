"""The error of a test that reaches for the network."""

from __future__ import annotations


class BlockedNetworkError(RuntimeError):
    """A test tried to reach another machine; not an OSError, so that nothing falls back on it."""
