"""Measurements of request logs that were written by hand: exact, without a clock."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from slmbench.loadgen.arrivals import arrivals
from slmbench.loadgen.chunks import Usage
from slmbench.loadgen.figures import Figures, attainment, figures, good
from slmbench.loadgen.journal import Chunk, FailureKind, RequestLog
from slmbench.loadgen.prompts import WORDS, PromptMaker, Sizing
from slmbench.loadgen.sweep import MAX_RATES, Sweep
from slmbench.records import Measurement, Provenance
from slmbench.spec import Load, Slo

MS = 1_000_000
OPEN = Load(scenario="constant", requests=20, rate=10)


def log(index: int = 0, **changes: object) -> RequestLog:
    """Due at 100 ms x index, sent 1 ms later, first of 5 tokens after 50 ms, then every 10 ms."""
    due = 100 * MS * index
    made = RequestLog(
        index=index,
        sched_ns=due,
        send_ns=due + MS,
        end_ns=due + 95 * MS,
        max_tokens=5,
        chunks=tuple(Chunk(due + (50 + 10 * i) * MS) for i in range(5)),
        finish="length",
        usage=Usage(8, 5, 0),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def failed(index: int, kind: FailureKind = "timeout") -> RequestLog:
    return log(index, chunks=(), usage=None, finish=None, failure=kind, detail="why")


def found(made: Figures, metric: str, scope: str = "") -> Measurement:
    (one,) = [m for m in made.measurements if m.metric == metric and m.scope.startswith(scope)]
    return one


def test_latency_counts_from_when_a_request_was_due() -> None:
    made = figures([log(i) for i in range(20)], OPEN, None, "constant@10/s")
    assert found(made, "ttft").samples == pytest.approx((0.05,) * 20)
    assert found(made, "e2e").samples == pytest.approx((0.09,) * 20)
    assert found(made, "tpot").samples == pytest.approx((0.01,) * 20)
    assert found(made, "itl").samples == pytest.approx((0.01,) * 80)
    assert found(made, "send_lag").samples == pytest.approx((0.001,) * 20)
    assert found(made, "offered_rate").samples == pytest.approx((10.0,))
    assert {m.point for m in made.measurements} == {"constant@10/s"}
    assert found(made, "failed_requests").samples == (0.0,)


def test_rates_are_taken_between_the_first_end_and_the_last_sending() -> None:
    """(0.09 s, 1.901 s]: 18 answers end in it; 5 tokens each of 18, and one of the last."""
    made = figures([log(i) for i in range(20)], OPEN, Slo(ttft_s=0.06), "p")
    rate, tokens = found(made, "request_rate"), found(made, "output_throughput")
    assert rate.scope == "steady window"
    assert rate.samples == pytest.approx((18 / 1.811,))
    assert tokens.samples == pytest.approx((18 * 5 / 1.811,))
    assert found(made, "goodput").samples == rate.samples


def test_a_load_that_is_all_filling_and_draining_is_taken_whole() -> None:
    offline = Load(scenario="offline", requests=3)
    logs = [replace(log(i), sched_ns=0, send_ns=0) for i in range(3)]
    made = figures(logs, offline, None, "p")
    assert found(made, "request_rate").samples == pytest.approx((3 / 0.29,))
    assert "whole load" in found(made, "request_rate").scope


def test_failures_are_counted_by_kind_and_are_never_good() -> None:
    slo = Slo(ttft_s=1)
    logs = [log(0), failed(1), failed(2, "http"), failed(3), *(log(i) for i in range(4, 20))]
    made = figures(logs, OPEN, slo, "p")
    assert found(made, "failed_requests", "timeout").samples == (2.0,)
    assert found(made, "failed_requests", "http").samples == (1.0,)
    assert sum(found(made, "slo_attainment").samples) == 17
    assert len(found(made, "slo_attainment").samples) == 20
    assert len(found(made, "ttft").samples) == 17
    assert len(found(made, "arrival_time", "failed").samples) == 3
    (seen,) = [o for o in made.observations if o.kind == "failed_requests"]
    assert seen.value == 3
    assert "2 timeout, 1 http" in seen.message


def test_nothing_answered_gives_reasons_and_no_zero() -> None:
    made = figures([failed(0), failed(1)], OPEN, Slo(ttft_s=1), "p")
    for metric in ("ttft", "tpot", "itl", "e2e", "output_throughput", "goodput"):
        assert found(made, metric).provenance is Provenance.UNAVAILABLE
        assert found(made, metric).reason
    assert found(made, "slo_attainment").samples == (0.0, 0.0)


def test_without_an_slo_nothing_is_good_or_bad() -> None:
    made = figures([log(i) for i in range(20)], OPEN, None, "p")
    for metric in ("goodput", "slo_attainment"):
        assert found(made, metric).reason == "the suite states no slo"


def test_several_tokens_in_a_chunk_share_its_gap_where_every_chunk_counts() -> None:
    chunks = (Chunk(50 * MS, 2), Chunk(70 * MS, 4), Chunk(80 * MS, 5))
    made = figures([log(chunks=chunks)], OPEN, None, "p")
    assert found(made, "itl").samples == pytest.approx((0.01,) * 3)


def test_a_chunk_of_unknown_tokens_gives_a_gap_and_no_itl() -> None:
    chunks = (Chunk(50 * MS), Chunk(70 * MS), Chunk(90 * MS))
    made = figures([log(chunks=chunks)], OPEN, None, "p")
    assert found(made, "chunk_gap").samples == pytest.approx((0.02, 0.02))
    assert found(made, "itl").provenance is Provenance.UNAVAILABLE
    assert found(made, "tpot").samples == pytest.approx((0.01,)), "usage counts the tokens"


def test_stopped_for_length_counts_tokens_and_says_so() -> None:
    made = figures([log(usage=None)], OPEN, None, "p")
    assert found(made, "served_output_tokens").provenance is Provenance.DERIVED
    assert found(made, "served_output_tokens").samples == (5.0,)
    assert found(made, "tpot").samples == pytest.approx((0.01,))
    assert found(made, "served_prompt_tokens").reason == "the server's stream has no usage"


def test_without_any_count_there_is_no_tpot_and_the_rest_is_an_estimate() -> None:
    made = figures([log(usage=None, finish="stop")], OPEN, Slo(tpot_s=1), "p")
    assert found(made, "tpot").provenance is Provenance.UNAVAILABLE
    assert "no usage" in found(made, "tpot").reason
    assert found(made, "itl").provenance is Provenance.UNAVAILABLE
    assert found(made, "output_throughput").provenance is Provenance.ESTIMATED
    assert found(made, "slo_attainment").samples == (0.0,), "nobody counted, so nobody knows"


def test_a_cache_that_helped_is_told() -> None:
    made = figures([log(usage=Usage(8, 5, 6))], OPEN, None, "p")
    (seen,) = [o for o in made.observations if o.kind == "prefix_cache"]
    assert seen.value == 6
    silent = figures([log(usage=Usage(8, 5, None))], OPEN, None, "p")
    assert found(silent, "cached_prompt_tokens").provenance is Provenance.UNAVAILABLE


def test_a_late_generator_is_told() -> None:
    punctual = [log(i, send_ns=100 * MS * i) for i in range(20)]
    assert not figures(punctual, OPEN, None, "p").observations
    late = [replace(one, send_ns=one.sched_ns + 20 * MS) for one in punctual]
    (seen,) = figures(late, OPEN, None, "p").observations
    assert seen.kind == "generator_lag"
    assert seen.value == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("slo", "is_good"),
    [
        (Slo(ttft_s=0.051, tpot_s=0.0101, e2e_s=0.091), True),
        (Slo(ttft_s=0.049), False),
        (Slo(tpot_s=0.0099), False),
        (Slo(e2e_s=0.08), False),
        (Slo(), True),
    ],
)
def test_a_good_request_meets_every_bound(slo: Slo, is_good: bool) -> None:
    assert good(log(), slo) is is_good
    assert attainment([log(), failed(1)], slo) == (0.5 if is_good else 0.0)


def test_poisson_arrivals_are_seeded_exponential_and_drawn_before() -> None:
    load = Load(scenario="poisson", requests=4000, rate=20)
    times = arrivals(load, "a")
    assert times is not None
    assert times == arrivals(load, "a") != arrivals(load, "b")
    gaps = [b - a for a, b in pairwise(times)]
    mean = sum(gaps) / len(gaps)
    assert mean == pytest.approx(0.05, rel=0.08)
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    assert variance**0.5 / mean == pytest.approx(1.0, rel=0.1), "an exponential's is its mean"
    assert arrivals(Load(scenario="closed", requests=3, concurrency=2), "a") is None
    assert arrivals(Load(scenario="offline", requests=2), "a") == (0.0, 0.0)


def test_no_two_prompts_begin_alike_not_even_of_the_same_seed() -> None:
    first, second = PromptMaker("s"), PromptMaker("s")
    prompts = [maker.make(12) for maker in (first, second) for _ in range(200)]
    beginnings = {tuple(p.split()[:4]) for p in prompts}
    assert len(beginnings) == 400
    assert all(len(p.split()) == 12 for p in prompts)
    assert len(set(WORDS)) == len(WORDS)


def test_words_are_sized_by_the_servers_own_count() -> None:
    sizing = Sizing.through((16, 25), (64, 85))  # 5 fixed, 1.25 a word
    assert sizing.words(130) == 100
    assert Sizing.through((16, 9), (64, 9)).words(130) == 130, "nonsense: a word a token"


@pytest.mark.parametrize(("bears", "expected"), [(5.0, 4.757), (7.9, 7.336), (1.0, 1.0)])
def test_a_sweep_doubles_then_bisects(bears: float, expected: float) -> None:
    sweep, tried = Sweep(1.0), 0
    while (rate := sweep.next()) is not None:
        sweep.tell(rate, 0.95 if rate <= bears else 0.2)
        tried += 1
    assert sweep.saturation == pytest.approx(expected, rel=1e-3)
    assert expected <= bears
    assert tried <= MAX_RATES


@pytest.mark.parametrize(("attained", "words"), [(0.0, "too much already"), (1.0, "borne still")])
def test_a_sweep_without_an_edge_has_no_saturation(attained: float, words: str) -> None:
    sweep = Sweep(2.0)
    while (rate := sweep.next()) is not None:
        sweep.tell(rate, attained)
    assert sweep.saturation is None
    assert words in sweep.why_none
