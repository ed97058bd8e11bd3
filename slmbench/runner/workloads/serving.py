"""Serving: loads on a server, one after another, each after a warm-up of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from slmbench.backends.protocol import BackendError, Serving
from slmbench.errors import MissingEngineError
from slmbench.loadgen.figures import attainment, figures
from slmbench.loadgen.journal import RequestLog
from slmbench.loadgen.prompts import Sizing
from slmbench.loadgen.sweep import MAX_RATES, Sweep
from slmbench.records import Measurement, PhaseRecord, Provenance, Status
from slmbench.runner.phases import Watch
from slmbench.runner.workloads.bench import Bench, meters_for
from slmbench.spec import Endpoint, Load, WorkloadPoint, WorkloadSpec

try:
    from slmbench.loadgen.driver import Script, Shape, calibrate, carry_out, warm_up
except ImportError as missing:  # named by what is missing, like an engine
    raise MissingEngineError(
        f"the load generator needs {missing.name}, which cannot be imported",
        hint="pip install 'slmbench[serving]'",
    ) from missing


def steps(spec: WorkloadSpec) -> int:
    """One per request; of a sweep one per rate that it may try."""
    each = (MAX_RATES if load.scenario == "sweep" else load.requests for load in spec.loads)
    return len(spec.points) * sum(each)


def run(bench: Bench, load: Sequence[PhaseRecord]) -> Iterator[PhaseRecord]:
    """Per load a warm_up and a timed phase; of a sweep a timed phase per rate, and ``total``."""
    if not isinstance(bench.backend, Serving):
        raise BackendError(
            Status.UNSUPPORTED,
            "this backend answers in its own process and serves nobody",
            "take a target with backend openai, see suites/models/serving.yaml",
        )
    server = _Server(bench, bench.backend, calibrate(bench.backend.endpoint, _seed(bench)))
    for point in bench.spec.points:
        if point.batch != 1 or point.depth:
            raise BackendError(
                Status.INVALID,
                f"{point.label}: requests of a load come one by one, from an empty cache",
                "points of a serving suite have no batch and no depth",
            )
        for one in bench.spec.loads:
            yield from (
                server.sweep(point, one)
                if one.scenario == "sweep"
                else [
                    *server.warm(point, one),
                    server.timed(point, one, server.place(point, one))[0],
                ]
            )


@dataclass(frozen=True, slots=True)
class _Server:
    """A server that can be asked, and how long its words are."""

    bench: Bench
    backend: Serving
    sizing: Sizing

    @property
    def endpoint(self) -> Endpoint:
        return self.backend.endpoint

    def place(self, point: WorkloadPoint, load: Load) -> str:
        """The load's label, behind the point's where there are several."""
        several = len(self.bench.spec.points) > 1
        return f"{point.label} {load.label}" if several else load.label

    def script(self, point: WorkloadPoint, load: Load) -> Script:
        return Script(
            load=load,
            shape=Shape(point.prompt_tokens, point.output_tokens),
            seed=f"{_seed(self.bench)}:{point.label}:{load.label}",
            sizing=self.sizing,
            budget_s=self.bench.spec.budget_s,
        )

    def warm(self, point: WorkloadPoint, load: Load) -> Iterator[PhaseRecord]:
        """The load's warm-up; BackendError when none of it is answered."""
        if load.warmup == 0:
            return
        with self._watch().phase("warm_up", point=self.place(point, load)) as phase:
            logs = warm_up(self.endpoint, self.script(point, load), load.warmup)
        lost = [log for log in logs if not log.ok]
        if len(lost) == len(logs):
            _ = self.endpoint  # says it better where the server is gone
            raise BackendError(
                Status.INVALID,
                f"no warm-up request was answered: {lost[0].failure}, {lost[0].detail}",
                "ask the server by hand; `request_timeout_s` and `body` are options of the target",
            )
        yield phase.finished()

    def timed(
        self, point: WorkloadPoint, load: Load, place: str
    ) -> tuple[PhaseRecord, tuple[RequestLog, ...]]:
        """The load itself; BackendError when the server is gone afterwards."""
        tick = self.bench.step if load.scenario != "sweep" else _nothing
        with self._watch().phase("timed", point=place) as phase:
            logs = carry_out(self.endpoint, self.script(point, load), lambda _: tick())
        _ = self.endpoint
        found = figures(logs, load, self.bench.spec.slo, place)
        record = phase.finished()
        return record.model_copy(
            update={
                "measurements": (*record.measurements, *found.measurements),
                "observations": (*record.observations, *found.observations),
            }
        ), logs

    def sweep(self, point: WorkloadPoint, load: Load) -> Iterator[PhaseRecord]:
        """Rising rates until the server does not bear one; then what it bears."""
        yield from self.warm(point, load)
        slo, rates, place = self.bench.spec.slo, Sweep(load.rate or 1.0), self.place(point, load)
        if slo is None:
            yield _total(_saturation(None, place, "the suite states no slo"))
            return
        while (rate := rates.next()) is not None:
            one = load.model_copy(update={"rate": rate})
            record, logs = self.timed(point, one, f"{place} at {rate:.3g}/s")
            rates.tell(rate, attainment(logs, slo))
            self.bench.step()
            yield record
        yield _total(_saturation(rates.saturation, place, rates.why_none))

    def _watch(self) -> Watch:
        return Watch.of(meters_for("serving", self.bench.device), self.bench.device)


def _seed(bench: Bench) -> str:
    return f"{bench.spec.seed}:{bench.process}"


def _nothing() -> None:
    return


def _total(measurement: Measurement) -> PhaseRecord:
    with Watch(()).phase("total") as phase:
        phase.add(measurement)
    return phase.finished()


def _saturation(rate: float | None, place: str, why_none: str) -> Measurement:
    return Measurement(
        metric="saturation_rate",
        samples=() if rate is None else (rate,),
        provenance=Provenance.UNAVAILABLE if rate is None else Provenance.MEASURED,
        method="counter",
        point=place,
        scope="" if rate is None else "rates doubled from the first, then bisected: to 9 %",
        reason=why_none if rate is None else "",
    )
