"""From time stamps to latency samples. Definitions: docs/metrics.md."""

from __future__ import annotations

from collections.abc import Sequence

from slmbench.records import Measurement, Method, Provenance
from slmbench.requests import GenerateOutput

_NS = 1e-9


def latency_measurements(outputs: Sequence[GenerateOutput], point: str) -> tuple[Measurement, ...]:
    """Samples of ttft, tpot, itl, e2e [s] and of prefill and decode rate [tok/s].

    One sample per repetition, for itl one per gap. ``outputs`` holds one output per repetition
    (of a batch, the first: its time stamps are shared). Outputs of fewer than two tokens give
    no tpot, itl and decode rate.
    """
    ttft = [(o.token_ns[0] - o.start_ns) * _NS for o in outputs]
    e2e = [(o.token_ns[-1] - o.start_ns) * _NS for o in outputs]
    long = [o for o in outputs if len(o.token_ns) > 1]
    spans = [(o.token_ns[-1] - o.token_ns[0]) * _NS for o in long]
    gaps = [len(o.token_ns) - 1 for o in long]
    itl = [(b - a) * _NS for o in long for a, b in zip(o.token_ns, o.token_ns[1:], strict=False)]
    pairs: tuple[tuple[str, list[float], Method], ...] = (
        ("ttft", ttft, "counter"),
        ("tpot", [s / g for s, g in zip(spans, gaps, strict=True)], "counter"),
        ("itl", itl, "counter"),
        ("e2e", e2e, "counter"),
        (
            "prefill_rate",
            [o.evaluated_tokens / t for o, t in zip(outputs, ttft, strict=True) if t > 0],
            "derived",
        ),
        ("decode_rate", [g / s for s, g in zip(spans, gaps, strict=True) if s > 0], "derived"),
    )
    return tuple(
        Measurement(
            metric=name,
            samples=tuple(samples),
            provenance=Provenance.DERIVED if method == "derived" else Provenance.MEASURED,
            method=method,
            point=point,
            scope="process",
        )
        for name, samples, method in pairs
        if samples
    )
