"""The system under test: which engine, on which device, with which settings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from slmbench.spec.base import Frozen, Name

OptionValue = str | int | float | bool


class Target(Frozen):
    """Backend, device and settings that a variant runs with."""

    name: Name
    backend: str
    """Registered backend: ``transformers``, ``llama_cpp``, ``fake`` …"""
    device: str = "cpu"
    """``cpu``, ``cuda``, ``cuda:1`` …"""
    threads: int = Field(default=0, ge=0, le=1024)
    """Compute threads; 0 in a file means all cores that this process may use (resolved)."""
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    """Compute type; ``auto`` is the artefact's own."""
    context: int = Field(default=2048, ge=64)
    """Tokens of KV cache."""
    python: str | None = None
    """Interpreter of the worker, for engines with an environment of their own."""
    memory_limit_bytes: int | None = Field(default=None, ge=1 << 20)
    """Limit on the worker's address space (RLIMIT_AS) [bytes]; beyond it the status is oom."""
    options: dict[str, OptionValue] = Field(default_factory=dict)
    """Engine options, passed by name to the backend, which refuses unknown ones. ``draft`` names
    a variant of the models file whose proposed tokens are checked (speculative decoding)."""

    @property
    def draft(self) -> str | None:
        """Name of the variant that proposes tokens."""
        found = self.options.get("draft")
        return None if found is None else str(found)
