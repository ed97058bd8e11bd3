"""Latency samples from time stamps: known times come back exactly."""

from __future__ import annotations

import pytest

from slmbench.metrics import METRICS
from slmbench.records import Provenance
from slmbench.requests import GenerateOutput
from slmbench.runner.timing import (
    cached_share,
    latency_measurements,
    load_measurement,
    not_measured,
)


def output(
    ttft_ns: int, gaps_ns: list[int], *, prompt: int = 32, cached: int = 0
) -> GenerateOutput:
    times = [1_000 + ttft_ns]
    for gap in gaps_ns:
        times.append(times[-1] + gap)
    return GenerateOutput(
        text="",
        token_ids=tuple(range(len(times))),
        prompt_tokens=prompt,
        evaluated_tokens=prompt - cached,
        start_ns=1_000,
        token_ns=tuple(times),
        finish="length",
    )


def samples(*outputs: GenerateOutput) -> dict[str, tuple[float, ...]]:
    return {m.metric: m.samples for m in latency_measurements(outputs, "pp32+tg4")}


def test_known_times_come_back() -> None:
    found = samples(output(80_000_000, [10_000_000, 20_000_000, 30_000_000]))
    assert found["ttft"] == pytest.approx((0.080,))
    assert found["tpot"] == pytest.approx((0.020,))  # (last - first) / (n - 1)
    assert found["itl"] == pytest.approx((0.010, 0.020, 0.030))
    assert found["e2e"] == pytest.approx((0.140,))
    assert found["prefill_rate"] == pytest.approx((32 / 0.080,))
    assert found["decode_rate"] == pytest.approx((3 / 0.060,))


def test_one_sample_per_repetition_and_one_gap_per_token() -> None:
    found = samples(*(output(1_000_000 * n, [1_000_000] * 7) for n in (1, 2, 3)))
    assert [len(found[m]) for m in ("ttft", "tpot", "e2e", "itl")] == [3, 3, 3, 21]


def test_a_single_token_has_no_gap() -> None:
    found = samples(output(5_000_000, []))
    assert set(found) == {"ttft", "e2e", "prefill_rate"}


def test_cached_tokens_do_not_flatter_the_prefill_rate() -> None:
    assert samples(output(10_000_000, [], cached=24))["prefill_rate"] == pytest.approx((800.0,))


def test_rates_are_derived_and_times_measured() -> None:
    found = latency_measurements([output(10_000_000, [1_000_000])], "pp32+tg2")
    labels = {m.metric: (m.provenance, METRICS[m.metric].unit, m.point) for m in found}
    assert labels["ttft"] == (Provenance.MEASURED, "s", "pp32+tg2")
    assert labels["decode_rate"] == (Provenance.DERIVED, "tok/s", "pp32+tg2")


def test_rates_of_a_batch_count_all_rows() -> None:
    found = {
        m.metric: m.samples
        for m in latency_measurements([output(80_000_000, [20_000_000] * 3)], "x", batch=4)
    }
    assert found["prefill_rate"] == pytest.approx((4 * 32 / 0.080,))
    assert found["decode_rate"] == pytest.approx((4 * 50.0,))
    assert found["tpot"] == pytest.approx((0.020,))


def test_evaluating_one_token_is_no_prefill_rate() -> None:
    assert "prefill_rate" not in samples(output(5_000_000, [5_000_000], prompt=1))


def test_the_engines_share_is_its_time_between_first_and_last_token() -> None:
    told = output(80_000_000, [10_000_000, 30_000_000]).model_copy(update={"engine_ns": 39_000_000})
    assert samples(told)["engine_share"] == pytest.approx((0.975,))
    assert "engine_share" not in samples(output(80_000_000, [10_000_000]))


def test_cold_and_warm_are_metrics_of_their_own() -> None:
    cold = load_measurement(2.0, "page cache dropped", cold=True)
    start = load_measurement(3.0, "page cache as it was", cold=False, started=True)
    assert (cold.metric, cold.samples) == ("load_time_cold", (2.0,))
    assert cold.scope == "engine imported before, page cache dropped"
    stayed = cached_share(0.25, "page cache as it was")
    assert (stayed.metric, stayed.samples) == ("cached_share", (0.25,))
    assert stayed.metric in METRICS
    assert (start.metric, start.samples) == ("start_time", (3.0,))
    assert {cold.metric, start.metric, "load_time", "start_time_cold"} <= set(METRICS)


@pytest.mark.parametrize("decodes", [True, False])
def test_figures_that_could_not_be_had_say_why(decodes: bool) -> None:
    found = not_measured("pp9", "too long", decodes=decodes)
    assert ("tpot" in {m.metric for m in found}) is decodes
    assert all((m.samples, m.reason, m.point) == ((), "too long", "pp9") for m in found)
