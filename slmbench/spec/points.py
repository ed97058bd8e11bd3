"""Names of workload points, in the manner of llama-bench."""

from __future__ import annotations

import re

from slmbench.spec.run import WorkloadPoint

_POINT = re.compile(
    r"(?:pp(?P<prompt>[1-9]\d*))?(?:\+?tg(?P<output>[1-9]\d*))?(?:@d(?P<depth>\d+))?"
    r"(?:[x\u00d7]b(?P<batch>[1-9]\d*))?"
)


def parse_point(name: str) -> WorkloadPoint:
    """``pp512`` (prefill), ``tg128`` (decode), ``pp512+tg128``; then ``@d2048`` and ``xb4``.

    ``pp512`` evaluates 512 tokens and picks one; ``tg128`` generates 128 tokens after a single
    one; ``@d`` puts so many tokens into the cache before the clock starts; ``xb`` is the batch.
    Raises ValueError for anything else.

    >>> parse_point("pp512+tg128@d2048xb4").label
    'pp512+tg128@d2048×b4'
    >>> parse_point("tg128").prompt_tokens, parse_point("pp512").output_tokens
    (1, 1)
    """
    found = _POINT.fullmatch(name)
    if found is None or not (found["prompt"] or found["output"]):
        raise ValueError(
            f"{name!r} is no workload point: write pp512, tg128 or pp512+tg128, "
            "with @d2048 for a depth and xb4 for a batch"
        )
    return WorkloadPoint(
        prompt_tokens=int(found["prompt"] or 1),
        output_tokens=int(found["output"] or 1),
        depth=int(found["depth"] or 0),
        batch=int(found["batch"] or 1),
    )
