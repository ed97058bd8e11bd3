"""From time stamps to latency samples. Definitions: docs/metrics.md."""

from __future__ import annotations

from collections.abc import Sequence

from slmbench.records import Measurement, Provenance
from slmbench.requests import GenerateOutput

_NS = 1e-9
_DERIVED = frozenset({"prefill_rate", "decode_rate", "engine_share", "acceptance_rate"})


def latency_measurements(
    outputs: Sequence[GenerateOutput], point: str, *, batch: int = 1
) -> tuple[Measurement, ...]:
    """Samples of ttft, tpot, itl, e2e [s], of prefill and decode rate [tok/s], engine_share and,
    where a draft proposed tokens, acceptance_rate.

    One sample per repetition, for itl one per gap. ``outputs`` holds one output per repetition
    (of a batch, the first: its time stamps are shared, and the rates count all ``batch`` rows).
    Outputs of fewer than two tokens give no tpot, itl, decode rate and engine share; prompts of
    a single token no prefill rate, since evaluating one token is decoding.
    """
    samples = {**_times(outputs), **_rates(outputs, batch)}
    return tuple(
        Measurement(
            metric=name,
            samples=tuple(found),
            provenance=Provenance.DERIVED if name in _DERIVED else Provenance.MEASURED,
            method="derived" if name in _DERIVED else "counter",
            point=point,
            scope="process",
        )
        for name, found in samples.items()
        if found
    )


def _times(outputs: Sequence[GenerateOutput]) -> dict[str, list[float]]:
    """Differences of time stamps [s]."""
    long = [o for o in outputs if len(o.token_ns) > 1]
    return {
        "ttft": [_first(o) for o in outputs],
        "tpot": [_span(o) / (len(o.token_ns) - 1) for o in long],
        "itl": [
            (b - a) * _NS for o in long for a, b in zip(o.token_ns, o.token_ns[1:], strict=False)
        ],
        "e2e": [(o.token_ns[-1] - o.start_ns) * _NS for o in outputs],
    }


def _rates(outputs: Sequence[GenerateOutput], batch: int) -> dict[str, list[float]]:
    """Tokens of all rows over time [tok/s], and the engine's part of decoding."""
    prompts = [o for o in outputs if o.prompt_tokens > 1 and _first(o) > 0]
    long = [o for o in outputs if len(o.token_ns) > 1 and _span(o) > 0]
    return {
        "prefill_rate": [batch * o.evaluated_tokens / _first(o) for o in prompts],
        "decode_rate": [batch * (len(o.token_ns) - 1) / _span(o) for o in long],
        "engine_share": [o.engine_ns * _NS / _span(o) for o in long if o.engine_ns is not None],
        "acceptance_rate": [o.accepted / o.drafted for o in outputs if o.drafted],
    }


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


def cached_share(share: float, page_cache: str) -> Measurement:
    """What part of the artefact's bytes were in the page cache before loading [fraction]."""
    return Measurement(
        metric="cached_share",
        samples=(share,),
        provenance=Provenance.MEASURED,
        method="counter",
        scope=page_cache,
    )


def _first(output: GenerateOutput) -> float:
    """Time to first token [s]."""
    return (output.token_ns[0] - output.start_ns) * _NS


def _span(output: GenerateOutput) -> float:
    """From the first token to the last [s]."""
    return (output.token_ns[-1] - output.token_ns[0]) * _NS
