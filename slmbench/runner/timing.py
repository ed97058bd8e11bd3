"""From time stamps to latency samples. Definitions: docs/metrics.md."""

from __future__ import annotations

from collections.abc import Sequence

from slmbench.records import Measurement, Method, Provenance
from slmbench.requests import GenerateOutput

_NS = 1e-9


def latency_measurements(
    outputs: Sequence[GenerateOutput], point: str, *, batch: int = 1
) -> tuple[Measurement, ...]:
    """Samples of ttft, tpot, itl, e2e [s], of prefill and decode rate [tok/s] and engine_share.

    One sample per repetition, for itl one per gap. ``outputs`` holds one output per repetition
    (of a batch, the first: its time stamps are shared, and the rates count all ``batch`` rows).
    Outputs of fewer than two tokens give no tpot, itl, decode rate and engine share; prompts of
    a single token no prefill rate, since evaluating one token is decoding.
    """
    long = [o for o in outputs if len(o.token_ns) > 1]
    spans = [(o.token_ns[-1] - o.token_ns[0]) * _NS for o in long]
    gaps = [len(o.token_ns) - 1 for o in long]
    pairs: tuple[tuple[str, list[float], Method], ...] = (
        ("ttft", [_first(o) for o in outputs], "counter"),
        ("tpot", [s / g for s, g in zip(spans, gaps, strict=True)], "counter"),
        (
            "itl",
            [(b - a) * _NS for o in long for a, b in zip(o.token_ns, o.token_ns[1:], strict=False)],
            "counter",
        ),
        ("e2e", [(o.token_ns[-1] - o.start_ns) * _NS for o in outputs], "counter"),
        (
            "prefill_rate",
            [
                batch * o.evaluated_tokens / _first(o)
                for o in outputs
                if o.prompt_tokens > 1 and _first(o) > 0
            ],
            "derived",
        ),
        (
            "decode_rate",
            [batch * g / s for s, g in zip(spans, gaps, strict=True) if s > 0],
            "derived",
        ),
        (
            "engine_share",
            [
                o.engine_ns * _NS / s
                for o, s in zip(long, spans, strict=True)
                if o.engine_ns is not None and s > 0
            ],
            "derived",
        ),
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


def not_measured(point: str, reason: str, *, decodes: bool) -> tuple[Measurement, ...]:
    """The figures of a point that could not be run; ``decodes``: it has more than one token."""
    names = ("ttft", "tpot", "e2e", "decode_rate") if decodes else ("ttft", "e2e", "prefill_rate")
    return tuple(
        Measurement(
            metric=name,
            samples=(),
            provenance=Provenance.UNAVAILABLE,
            method="counter",
            point=point,
            scope="process",
            reason=reason,
        )
        for name in names
    )


def load_measurement(
    seconds: float, page_cache: str, *, cold: bool, started: bool = False
) -> Measurement:
    """One reading of loading, or (``started``) of starting a process until it can answer [s].

    ``page_cache`` says what the artefact's pages were; numbers of cold and warm starts are
    different metrics and never one median.
    """
    name = "start_time" if started else "load_time"
    before = "interpreter and engine import included" if started else "engine imported before"
    return Measurement(
        metric=f"{name}_cold" if cold else name,
        samples=(seconds,),
        provenance=Provenance.MEASURED,
        method="counter",
        scope=f"{before}, {page_cache}",
    )


def _first(output: GenerateOutput) -> float:
    """Time to first token [s]."""
    return (output.token_ns[0] - output.start_ns) * _NS
