"""What follows from the energy of one window: per token, per request, net of idle, grams.

The raw readings and the counts of the window are kept beside these numbers, so that each can be
made again. Every number bears the scope and the method of the total that it rests on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from slmbench.meters.carbon import J_PER_KWH, Grid
from slmbench.meters.totals import Total, same_parts, total_energy
from slmbench.records import Measurement, Method, PhaseRecord, Provenance
from slmbench.spec import WorkloadPoint

WH_PER_J = 1000 / J_PER_KWH
_NO_SOURCE = "no source of energy could be read"


@dataclass(frozen=True, slots=True)
class Work:
    """What was done in a window."""

    point: WorkloadPoint
    iterations: int
    """Calls of the engine; each answers a batch."""
    prompt_tokens: int
    """Evaluated in all of them."""
    output_tokens: int
    """Generated in all of them."""
    seconds: float

    @property
    def requests(self) -> int:
        """Sequences that were answered."""
        return self.iterations * self.point.batch

    @property
    def tokens(self) -> tuple[str, int]:
        """What energy is divided by: output tokens, or prompt tokens where only one is put out."""
        if self.point.output_tokens == 1:
            return "energy_per_prompt_token", self.prompt_tokens
        return "energy_per_token", self.output_tokens

    def counts(self) -> Iterator[Measurement]:
        """How much was done, and the time of one request [s]."""
        read: tuple[tuple[str, float, Provenance], ...] = (
            ("window_requests", self.requests, Provenance.MEASURED),
            ("window_prompt_tokens", self.prompt_tokens, Provenance.MEASURED),
            ("window_output_tokens", self.output_tokens, Provenance.MEASURED),
            ("window_request_time", self.seconds / self.iterations, Provenance.DERIVED),
        )
        for metric, value, provenance in read:
            yield Measurement(
                metric=metric,
                samples=(float(value),),
                provenance=provenance,
                method="counter" if provenance is Provenance.MEASURED else "derived",
                point=self.point.label,
                scope="this window",
            )


def gross(record: PhaseRecord, work: Work, grid: Grid) -> Iterator[Measurement]:
    """Everything per window that needs no idle power; one reason where nothing was measured."""
    total = total_energy(record.measurements)
    metric, tokens = work.tokens
    if total is None:
        yield _missing(metric, work, _reasons(record))
        return
    per_request = total.joules / work.requests
    yield _derived("energy_total", total.joules, total, work)
    yield _derived("mean_power", total.joules / work.seconds, total, work)
    yield _derived(metric, total.joules / tokens, total, work)
    yield _derived("energy_per_request", per_request, total, work)
    yield _derived("energy_per_1000_requests", 1000 * per_request * WH_PER_J, total, work)
    yield _derived("edp", per_request * work.seconds / work.iterations, total, work)
    grams = _derived("co2e_per_1000_requests", grid.grams(1000 * per_request), total, work)
    yield grams.model_copy(update={"provenance": Provenance.ESTIMATED, "reason": grid.told})


def net(record: PhaseRecord, work: Work, idle: Sequence[PhaseRecord]) -> Iterator[Measurement]:
    """E_gross - P_idle x t, idle being the phases around the window with the model loaded."""
    total = total_energy(record.measurements)
    if total is None:
        return
    metric, tokens = work.tokens
    names = ("energy_net", metric.replace("energy_", "energy_net_"), "energy_net_per_request")
    found = [(same_parts(total, phase.measurements), phase.duration_ns * 1e-9) for phase in idle]
    parts = [(one.joules, seconds) for one, seconds in found if one is not None and seconds > 0]
    if not parts:
        why = f"no idle power was read for {total.scope}" if idle else "no idle was observed"
        for name in names:
            yield _missing(name, work, why, total.scope, total.method)
        return
    watts = sum(joules for joules, _ in parts) / sum(seconds for _, seconds in parts)
    joules = total.joules - watts * work.seconds
    for name, divisor in zip(names, (1, tokens, work.requests), strict=True):
        yield _derived(name, joules / divisor, total, work)


def idle_power(record: PhaseRecord, point: str = "") -> tuple[Measurement, ...]:
    """Mean power of an idle phase [W], of the total that windows use; nothing without a source."""
    total = total_energy(record.measurements)
    if total is None or record.duration_ns <= 0:
        return ()
    return (
        Measurement(
            metric="idle_power",
            samples=(total.joules / (record.duration_ns * 1e-9),),
            provenance=Provenance.DERIVED,
            method=total.method,
            point=point,
            scope=total.scope,
            reason=total.reason,
        ),
    )


def estimates(record: PhaseRecord, work: Work) -> Iterator[Measurement]:
    """codecarbon's energy per request and per output token; labels, scope and reason stay."""
    divisors = {"energy_estimate_per_request": work.requests}
    if work.point.output_tokens > 1:
        divisors["energy_estimate_per_token"] = work.output_tokens
    for m in record.measurements:
        if m.metric == "energy_estimate":
            for metric, divisor in divisors.items():
                shared = tuple(joules / divisor for joules in m.samples)
                yield m.model_copy(update={"metric": metric, "samples": shared})


def _derived(metric: str, value: float, total: Total, work: Work) -> Measurement:
    return Measurement(
        metric=metric,
        samples=(value,),
        provenance=Provenance.DERIVED,
        method=total.method,
        point=work.point.label,
        scope=total.scope,
        reason=total.reason,
    )


def _missing(
    metric: str, work: Work, why: str, scope: str = "", method: Method = "counter"
) -> Measurement:
    return Measurement(
        metric=metric,
        samples=(),
        provenance=Provenance.UNAVAILABLE,
        method=method,
        point=work.point.label,
        scope=scope,
        reason=why,
    )


def _reasons(record: PhaseRecord) -> str:
    """Why no source gave a number, each once."""
    told = [m.reason for m in record.measurements if m.metric == "energy_gross" and m.reason]
    return "; ".join(dict.fromkeys(told)) or _NO_SOURCE
