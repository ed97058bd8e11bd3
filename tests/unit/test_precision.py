"""How wide an interval over processes is, by hand."""

from __future__ import annotations

import math

import pytest

from slmbench.precision import Width, halfwidth, widths
from slmbench.records import Measurement, PhaseRecord, Provenance


def phase(process: int, point: str, **samples: tuple[float, ...]) -> PhaseRecord:
    return PhaseRecord(
        phase="timed",
        started_utc="",
        duration_ns=1,
        process=process,
        measurements=tuple(
            Measurement(
                metric=metric,
                samples=values,
                provenance=Provenance.MEASURED if values else Provenance.UNAVAILABLE,
                method="counter",
                point=point,
                reason="" if values else "did not fit",
            )
            for metric, values in samples.items()
        ),
    )


def test_two_processes_have_the_t_quantile_of_one_degree() -> None:
    found = halfwidth([1.0, 1.1])
    spread = math.log(1.1) / math.sqrt(2)  # standard deviation of two values
    assert found == pytest.approx(math.exp(12.7062047 * spread / math.sqrt(2)) - 1, rel=1e-6)


def test_five_processes_by_hand() -> None:
    """Logs -0.02 to 0.02: sd 0.0158114, t(4) 2.776445, halfwidth of the logs 0.0196324."""
    found = halfwidth([math.exp(x) for x in (-0.02, -0.01, 0.0, 0.01, 0.02)])
    assert found == pytest.approx(math.exp(0.0196324) - 1, rel=1e-4)


def test_the_scale_does_not_matter_and_the_upper_side_is_the_wider() -> None:
    times = [1.0, 1.2, 0.9, 1.05]
    found = halfwidth(times)
    assert found == pytest.approx(halfwidth([t * 1e-3 for t in times]) or 0)
    assert found is not None
    assert found > 1 - 1 / (1 + found)


@pytest.mark.parametrize("medians", [[], [1.0], [1.0, 0.0]])
def test_without_two_positive_values_there_is_no_interval(medians: list[float]) -> None:
    assert halfwidth(medians) is None


def test_equal_processes_are_known_exactly() -> None:
    assert halfwidth([0.5, 0.5, 0.5]) == 0.0


def test_a_process_counts_once_however_many_samples_it_gave() -> None:
    many = [phase(0, "pp8", ttft=(1.0, 9.0, 1.0) * 50), phase(1, "pp8", ttft=(1.1,))]
    (found,) = widths(many)
    assert (found.point, found.metric, found.processes) == ("pp8", "ttft", 2)
    assert found.halfwidth == halfwidth([1.0, 1.1])


def test_points_and_metrics_apart_and_only_what_was_measured() -> None:
    phases = [
        phase(p, point, ttft=(1.0,), tpot=(0.1,), e2e=(2.0,)) for p in (0, 1) for point in "ab"
    ]
    phases.append(phase(0, "c", ttft=()))
    assert [(w.point, w.metric) for w in widths(phases)] == [
        ("a", "ttft"), ("a", "tpot"), ("b", "ttft"), ("b", "tpot")
    ]  # fmt: skip


def test_unknown_widths_are_never_enough() -> None:
    assert not Width("p", "ttft", 1, None).within(0.5)
    assert Width("p", "ttft", 3, 0.02).within(0.02)
    assert not Width("p", "ttft", 3, 0.021).within(0.02)
