"""From request logs to measurements. Definitions: docs/metrics.md and docs/serving.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from slmbench.loadgen.journal import RequestLog
from slmbench.loadgen.window import Window, steady_window
from slmbench.records import Measurement, Observation, Provenance
from slmbench.spec import Load, Slo

_NS = 1e-9
LATE_S = 0.01
"""A generator that is later than this with one request in a hundred needs a faster machine."""
LATE_SHARE = 0.01
"""The same for a median lag beyond 1 % of the median time to first token."""
_CLIENT = "per request, at the client, from its scheduled time"
_ESTIMATED = (
    "some answers came without usage and without finish_reason length: their chunks were counted "
    "as tokens"
)
_UNCOUNTED = "no answer says how many tokens it has (no usage, finish_reason is not length)"


@dataclass(frozen=True, slots=True)
class Figures:
    """What a load gave."""

    measurements: tuple[Measurement, ...]
    observations: tuple[Observation, ...]


def figures(logs: Sequence[RequestLog], load: Load, slo: Slo | None, point: str) -> Figures:
    """Raw samples per request, rates over the steady window, failures by kind.

    ``logs`` are those of one load (of a sweep: of one rate), in the order of their index. No
    failed request is in a latency sample; each counts against attainment and goodput.
    """
    whole = [log for log in logs if log.ok]
    found = [
        *_latencies(whole),
        *_gaps(whole),
        *_tokens(whole),
        *_rates(logs, whole, load, slo),
        *_arrivals(logs, load),
        *_failures(logs),
    ]
    placed = tuple(m.model_copy(update={"point": point}) for m in found)
    return Figures(placed, _observations(logs, whole))


def good(log: RequestLog, slo: Slo) -> bool:
    """Whether a request was answered within every bound.

    A bound on TPOT needs a count of tokens: an answer of one token meets it, one whose tokens
    nobody counted does not.
    """
    if not log.ok:
        return False
    if slo.ttft_s is not None and ttft(log) > slo.ttft_s:
        return False
    if slo.e2e_s is not None and e2e(log) > slo.e2e_s:
        return False
    if slo.tpot_s is None:
        return True
    if log.count().source == "chunks":
        return False
    found = tpot(log)
    return found is None or found <= slo.tpot_s


def attainment(logs: Sequence[RequestLog], slo: Slo) -> float:
    """Share of good requests among all, failed ones included."""
    return sum(good(log, slo) for log in logs) / len(logs)


def ttft(log: RequestLog) -> float:
    """Scheduled time to first text [s]."""
    return (log.first_ns - log.sched_ns) * _NS


def e2e(log: RequestLog) -> float:
    """Scheduled time to last text [s]."""
    return (log.last_ns - log.sched_ns) * _NS


def tpot(log: RequestLog) -> float | None:
    """(last - first text) / (tokens - 1) [s]; None for fewer than two tokens."""
    tokens = log.count().tokens
    return (log.last_ns - log.first_ns) * _NS / (tokens - 1) if tokens >= 2 else None


def _measured(
    metric: str, samples: Sequence[float], reason: str = "", scope: str = _CLIENT
) -> Measurement:
    if not samples:
        return _absent(metric, reason or "no request was answered")
    return Measurement(
        metric=metric,
        samples=tuple(samples),
        provenance=Provenance.MEASURED,
        method="counter",
        scope=scope,
    )


def _absent(metric: str, reason: str) -> Measurement:
    return Measurement(
        metric=metric,
        samples=(),
        provenance=Provenance.UNAVAILABLE,
        method="counter",
        reason=reason,
    )


def _labelled(
    metric: str, samples: Sequence[float], logs: Sequence[RequestLog], scope: str = _CLIENT
) -> Measurement:
    """A number made of token counts: as good as the weakest of them."""
    sources = {log.count().source for log in logs}
    guessed = "chunks" in sources
    return Measurement(
        metric=metric,
        samples=tuple(samples),
        provenance=Provenance.ESTIMATED if guessed else Provenance.DERIVED,
        method="derived",
        scope=scope,
        reason=_ESTIMATED if guessed else "",
    )


def _latencies(whole: Sequence[RequestLog]) -> list[Measurement]:
    found = [
        _measured("ttft", [ttft(log) for log in whole]),
        _measured("e2e", [e2e(log) for log in whole]),
    ]
    counted = [log for log in whole if log.count().source != "chunks"]
    each = [t for log in counted if (t := tpot(log)) is not None]
    if not whole:
        return [*found, _absent("tpot", "no request was answered")]
    if not counted:
        return [*found, _absent("tpot", _UNCOUNTED)]
    if not each:
        return [*found, _absent("tpot", "no answer has two tokens")]
    return [*found, _measured("tpot", each)]


def _gaps(whole: Sequence[RequestLog]) -> list[Measurement]:
    """ITL where the tokens of a chunk are known, the bare gap where not."""
    itl: list[float] = []
    bare: list[float] = []
    for log in whole:
        tokens = log.tokens_by_chunk()
        gaps = [(b.at_ns - a.at_ns) * _NS for a, b in pairwise(log.chunks)]
        if tokens is None:
            bare += gaps
        else:
            itl += [gap / n for gap, n in zip(gaps, tokens[1:], strict=True) for _ in range(n)]
    found = [_measured("chunk_gap", bare, scope="chunk, at the client")] if bare else []
    if itl:
        return [_measured("itl", itl, scope="token, at the client"), *found]
    why = "how many tokens a chunk holds is not known" if bare else "no answer has two chunks"
    return [_absent("itl", why), *found]


def _tokens(whole: Sequence[RequestLog]) -> list[Measurement]:
    if not whole:
        return []
    usages = [log.usage for log in whole if log.usage is not None]
    prompts = [float(u.prompt) for u in usages if u.prompt is not None]
    cached = [float(u.cached) for u in usages if u.cached is not None]
    silent = "the server's stream has no usage"
    outputs = [float(log.count().tokens) for log in whole]
    counted = all(log.count().source == "usage" for log in whole)
    return [
        _measured("served_prompt_tokens", prompts, silent, "request, by the server"),
        _measured(
            "cached_prompt_tokens",
            cached,
            "the server does not report cached tokens: that prompts are new is all that is known",
            "request, by the server",
        ),
        _measured("served_output_tokens", outputs, scope="request, by the server")
        if counted
        else _labelled("served_output_tokens", outputs, whole, "request"),
    ]


def _rates(
    logs: Sequence[RequestLog], whole: Sequence[RequestLog], load: Load, slo: Slo | None
) -> list[Measurement]:
    window = steady_window(logs, load)
    names = ("output_throughput", "request_rate", "goodput")
    if window is None:
        found = [_absent(name, "no request was answered") for name in names]
    else:
        rate = window.rate(sum(map(window.holds_end, whole)))
        found = [
            _labelled("output_throughput", [window.token_rate(whole)], whole, window.scope),
            _measured("request_rate", [rate], scope=window.scope),
            _goodput(whole, window, slo),
        ]
    if slo is None:
        return [*found, _absent("slo_attainment", "the suite states no slo")]
    met = [float(good(log, slo)) for log in logs]
    return [*found, _measured("slo_attainment", met, scope="all requests")]


def _goodput(whole: Sequence[RequestLog], window: Window, slo: Slo | None) -> Measurement:
    if slo is None:
        return _absent("goodput", "the suite states no slo")
    kept = sum(1 for log in whole if window.holds_end(log) and good(log, slo))
    return _measured("goodput", [window.rate(kept)], scope=window.scope)


def _arrivals(logs: Sequence[RequestLog], load: Load) -> list[Measurement]:
    start = min(log.sched_ns for log in logs)
    lag = [(log.send_ns - log.sched_ns) * _NS for log in logs]
    found = [_measured("send_lag", lag, scope="all requests")]
    for label, keep in (("answered", True), ("failed", False)):
        times = [(log.sched_ns - start) * _NS for log in logs if log.ok is keep]
        if times:
            found.append(_measured("arrival_time", times, scope=f"{label} requests"))
    last = max(log.sched_ns for log in logs)
    if load.scenario in ("poisson", "constant", "sweep") and last > start:
        rate = (len(logs) - 1) / ((last - start) * _NS)
        found.append(_measured("offered_rate", [rate], scope="all requests"))
    return found


def _failures(logs: Sequence[RequestLog]) -> list[Measurement]:
    """One per kind that occurred; of a load without failures a single 0."""
    kinds = Counter(log.failure for log in logs if log.failure is not None)
    counts = {str(kind): number for kind, number in sorted(kinds.items())} or {"any kind": 0}
    return [
        _measured("failed_requests", [float(number)], scope=kind) for kind, number in counts.items()
    ]


def _observations(
    logs: Sequence[RequestLog], whole: Sequence[RequestLog]
) -> tuple[Observation, ...]:
    tests: tuple[Callable[[], Observation | None], ...] = (
        lambda: _late(logs, whole),
        lambda: _failed(logs),
        lambda: _cached(whole),
    )
    return tuple(seen for test in tests if (seen := test()) is not None)


def _late(logs: Sequence[RequestLog], whole: Sequence[RequestLog]) -> Observation | None:
    lags = sorted((log.send_ns - log.sched_ns) * _NS for log in logs)
    nearly_worst = lags[max(0, len(lags) - 1 - len(lags) // 100)]
    firsts = sorted(ttft(log) for log in whole)
    usual = lags[len(lags) // 2]
    share = usual / firsts[len(firsts) // 2] if firsts else 0.0
    if nearly_worst <= LATE_S and share <= LATE_SHARE:
        return None
    return Observation(
        kind="generator_lag",
        value=nearly_worst,
        unit="s",
        message=f"the load generator sent its requests late: {usual * 1e3:.1f} ms in the median, "
        f"{nearly_worst * 1e3:.1f} ms at the 99th percentile; latencies contain that",
    )


def _failed(logs: Sequence[RequestLog]) -> Observation | None:
    lost = [log for log in logs if not log.ok]
    if not lost:
        return None
    kinds = ", ".join(f"{n} {kind}" for kind, n in Counter(r.failure for r in lost).most_common())
    return Observation(
        kind="failed_requests",
        value=float(len(lost)),
        unit="requests",
        message=f"{len(lost)} of {len(logs)} requests failed ({kinds}; first: {lost[0].detail}): "
        "latencies are those of the others",
    )


def _cached(whole: Sequence[RequestLog]) -> Observation | None:
    cached = sum(log.usage.cached or 0 for log in whole if log.usage is not None)
    if not cached:
        return None
    return Observation(
        kind="prefix_cache",
        value=float(cached),
        unit="tokens",
        message=f"{cached} prompt tokens came from the server's cache: TTFT flatters "
        "(a chat template is the same for every request)",
    )
