"""What one event of a streamed completion says, for both APIs of OpenAI-compatible servers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

DONE = "[DONE]"
"""Data of the event that ends a stream."""


class ChunkError(ValueError):
    """An event that is no chunk of a completion."""


@dataclass(frozen=True, slots=True)
class Usage:
    """The server's own count."""

    prompt: int | None
    """Prompt tokens."""
    completion: int | None
    """Tokens generated until this chunk."""
    cached: int | None
    """Prompt tokens that came from a cache; None where the server does not say."""


@dataclass(frozen=True, slots=True)
class Delta:
    """One chunk."""

    text: str = ""
    """What was generated; empty for role-only, empty, usage-only and final chunks."""
    finish: str | None = None
    usage: Usage | None = None
    error: str | None = None
    """The server's message when it gave up in the middle of the stream."""


def read_chunk(data: str) -> Delta:
    """The chunk in an event's data; ChunkError for what is none.

    >>> read_chunk('{"choices": [{"delta": {"role": "assistant"}}]}').text
    ''
    >>> read_chunk('{"choices": [{"text": " Paris", "finish_reason": "length"}]}').finish
    'length'
    """
    try:
        chunk = json.loads(data)
    except ValueError as error:
        raise ChunkError(f"not JSON: {data[:80]!r}") from error
    if not isinstance(chunk, dict):
        raise ChunkError(f"no object: {data[:80]!r}")
    if chunk.get("error"):
        return Delta(error=_message(chunk["error"]))
    choices = chunk.get("choices")
    if not isinstance(choices, list):
        raise ChunkError(f"no choices: {data[:80]!r}")
    usage = read_usage(chunk.get("usage"))
    if not choices:
        return Delta(usage=usage)
    choice = choices[0]
    if not isinstance(choice, dict):
        raise ChunkError(f"a choice that is no object: {data[:80]!r}")
    finish = choice.get("finish_reason")
    return Delta(_text(choice), finish if isinstance(finish, str) else None, usage)


def read_usage(usage: Any) -> Usage | None:
    """The ``usage`` of a chunk or an answer; None where there is none."""
    if not isinstance(usage, dict):
        return None
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    return Usage(
        prompt=_count(usage.get("prompt_tokens")),
        completion=_count(usage.get("completion_tokens")),
        cached=_count(cached),
    )


def _text(choice: dict[str, Any]) -> str:
    """Generated text; what a model thinks aloud is generated too."""
    delta = choice.get("delta")
    if not isinstance(delta, dict):
        return _string(choice.get("text"))
    thought = delta.get("reasoning_content") or delta.get("reasoning")
    return _string(thought) + _string(delta.get("content"))


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _message(error: Any) -> str:
    text = error.get("message") if isinstance(error, dict) else error
    return str(text or error)[:200]
