"""Generated answers made by hand."""

from __future__ import annotations

from slmbench.requests import GenerateOutput


def said(text: str, *logprobs: float, failure: str | None = None) -> GenerateOutput:
    """An answer of one token per log-probability, one at least."""
    n = max(1, len(logprobs))
    return GenerateOutput.model_validate(
        {
            "text": text,
            "token_ids": tuple(range(n)),
            "prompt_tokens": 1,
            "evaluated_tokens": 1,
            "start_ns": 0,
            "token_ns": tuple(range(n)),
            "finish": "stop",
            "failure": failure,
            "token_logprobs": logprobs,
        }
    )
