"""Loads on a server: who sends requests when, and what counts as a good answer."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, JsonValue, model_validator

from slmbench.spec.base import Frozen

Scenario = Literal["single_stream", "closed", "poisson", "constant", "offline", "sweep"]
"""How requests arrive.

``single_stream``: the next is sent when one is complete (MLPerf SingleStream). ``closed``: so many
users do that at a time. ``poisson``: at random times of a given mean rate, whatever the server
does (MLPerf Server). ``constant``: at equal intervals. ``offline``: all at once (MLPerf Offline).
``sweep``: poisson at rising rates until the server saturates.
"""


class Load(Frozen):
    """One load: requests of one shape, arriving in one way."""

    scenario: Scenario
    requests: int = Field(ge=1)
    """Requests that are sent and counted (of a sweep: at each rate)."""
    warmup: int = Field(default=2, ge=0)
    """Requests before them, one at a time, not counted."""
    concurrency: int | None = Field(default=None, ge=1)
    """Users of ``closed``."""
    rate: float | None = Field(default=None, gt=0)
    """Mean arrivals of ``poisson`` and ``constant``, first rate of ``sweep`` [requests/s]."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.scenario == "closed" and self.concurrency is None:
            raise ValueError("closed needs concurrency: how many users send requests")
        if self.scenario in ("poisson", "constant", "sweep") and self.rate is None:
            raise ValueError(f"{self.scenario} needs rate [requests/s]")
        return self

    @property
    def label(self) -> str:
        """``closed×4``, ``poisson@2/s`` …"""
        users = f"×{self.concurrency}" if self.scenario == "closed" else ""
        rate = "" if self.rate is None else f"@{self.rate:g}/s"
        return f"{self.scenario}{users}{rate}"


class Slo(Frozen):
    """Bounds that a request must meet to be good; null bounds nothing [s]."""

    ttft_s: float | None = Field(default=None, gt=0)
    tpot_s: float | None = Field(default=None, gt=0)
    e2e_s: float | None = Field(default=None, gt=0)


class Endpoint(Frozen):
    """An OpenAI-compatible server as its clients know it; holds no secret."""

    url: str
    """Base address with the version, for example ``http://127.0.0.1:8000/v1``."""
    model: str
    """What requests name as their model."""
    api: Literal["completions", "chat"] = "completions"
    body: dict[str, JsonValue] = Field(default_factory=dict)
    """Further fields of every request (``ignore_eos``, ``min_tokens`` …); the text
    ``{max_tokens}`` stands for the number of tokens that the request asks for."""
    api_key_env: str | None = None
    """Environment variable that holds the key."""
    timeout_s: float = Field(default=300.0, gt=0)
    """A request that takes longer has failed [s]."""

    def address(self) -> str:
        """Where requests go."""
        path = "chat/completions" if self.api == "chat" else "completions"
        return f"{self.url.rstrip('/')}/{path}"

    def fields_for(self, max_tokens: int) -> dict[str, JsonValue]:
        """``body`` for a request of so many tokens."""
        return {k: max_tokens if v == "{max_tokens}" else v for k, v in self.body.items()}
