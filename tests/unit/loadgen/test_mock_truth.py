"""Gate G7: what a server in a process of its own knows of its times, the generator finds again.

The mock keeps the time of everything that it did, on the clock that the generator reads too; that
is what is compared, so a slow machine makes both slow and nothing fails for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from statistics import fmean, median

import pytest

from slmbench.loadgen.driver import Script, Shape, calibrate, carry_out
from slmbench.loadgen.figures import e2e, figures, good, ttft
from slmbench.loadgen.journal import RequestLog
from slmbench.loadgen.mock_server import MockLog, MockPlan, MockServer
from slmbench.loadgen.window import steady_window
from slmbench.records import Measurement
from slmbench.spec import Load, Slo

NS = 1e-9
ONE_PERCENT = 0.01


def truth(server: MockServer, logs: Sequence[RequestLog]) -> list[MockLog]:
    """What the server knows of each request, in the generator's order."""
    known = {one.name: one for one in server.logs()}
    return [known[log.name] for log in logs]


def run(plan: MockPlan, load: Load, tokens: int = 16) -> tuple[list[RequestLog], list[MockLog]]:
    with MockServer(plan) as server:
        script = Script(load, Shape(20, tokens), "seed")
        logs = list(carry_out(server.endpoint(), script))
        return logs, truth(server, logs)


def samples(measurements: Sequence[Measurement], metric: str) -> tuple[float, ...]:
    return next(m.samples for m in measurements if m.metric == metric)


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


PLANS = {
    "jitter": MockPlan(ttft_s=0.4, itl_s=0.03, jitter_s=0.004),
    "four tokens a chunk, role first": MockPlan(
        ttft_s=0.4, itl_s=0.015, tokens_per_chunk=4, usage="every", role_chunk=True
    ),
    "cut anywhere, a queue": MockPlan(
        ttft_s=0.4, itl_s=0.03, piece=5, newline="\r\n", comments=True, slots=12
    ),
}
SLO = Slo(ttft_s=0.7, e2e_s=1.2)


def recovered(plan: MockPlan) -> dict[str, float]:
    """Recovered / true of each figure."""
    load = Load(scenario="poisson", rate=25, requests=60)
    logs, known = run(plan, load, tokens=12)
    assert all(log.ok for log in logs)
    firsts = [(k.chunk_ns[0] - log.sched_ns) * NS for k, log in zip(known, logs, strict=True)]
    lasts = [(k.chunk_ns[-1] - log.sched_ns) * NS for k, log in zip(known, logs, strict=True)]
    gaps = [
        (b - a) * NS / n
        for k in known
        for (a, b), n in zip(pairwise(k.chunk_ns), k.tokens[1:], strict=True)
        for _ in range(n)
    ]
    found = figures(logs, load, SLO, "p").measurements
    assert len(samples(found, "itl")) == len(gaps)
    window = steady_window(logs, load)
    assert window is not None
    kept = sum(
        first <= 0.7 and last <= 1.2 and window.holds(k.chunk_ns[-1])
        for first, last, k in zip(firsts, lasts, known, strict=True)
    )
    return {
        "ttft": median(samples(found, "ttft")) / median(firsts),
        "e2e": median(samples(found, "e2e")) / median(lasts),
        "itl": fmean(samples(found, "itl")) / fmean(gaps),
        "goodput": samples(found, "goodput")[0] / window.rate(kept),
    }


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_known_times_are_recovered_within_one_percent(plan: MockPlan) -> None:
    """Best of three: a machine that is busy elsewhere wakes the generator late, never early."""
    off: list[float] = []
    while not off or (off[-1] > ONE_PERCENT and len(off) < 3):
        off.append(max(abs(ratio - 1) for ratio in recovered(plan).values()))
    assert min(off) <= ONE_PERCENT, f"worst deviation of each try: {off}"


def test_a_stall_shows_in_the_open_loop_and_hides_in_a_closed_one() -> None:
    """Coordinated omission: the closed loop sends nothing while it waits, so one sample in 200
    sees the stall; in the open loop all that was due meanwhile does."""
    plan = MockPlan(ttft_s=0.01, itl_s=0.0, stalls=((1.0, 2.0),))
    loads = (
        Load(scenario="constant", rate=40, requests=200),
        Load(scenario="single_stream", requests=200),
    )
    with ThreadPoolExecutor(2) as both:
        (opened, _), (closed, _) = both.map(lambda load: run(plan, load, tokens=1), loads)
    open_p99 = percentile([ttft(log) for log in opened], 0.99)
    closed_p99 = percentile([ttft(log) for log in closed], 0.98)
    assert open_p99 > 1.8
    assert sum(ttft(log) > 0.5 for log in opened) >= 40
    assert closed_p99 < 1.0
    assert sum(ttft(log) > 1.5 for log in closed) <= 2
    assert max(log.send_ns - log.sched_ns for log in opened) * NS < 1.0, "nothing was held back"


def test_a_queue_is_part_of_the_latency() -> None:
    """Ten at once on one slot: the last waits for nine others."""
    logs, known = run(
        MockPlan(ttft_s=0.05, itl_s=0.0, slots=1), Load(scenario="offline", requests=10), tokens=1
    )
    assert max(map(ttft, logs)) >= 0.5
    assert len({k.started_ns for k in known}) == 10
    waits = sorted((k.started_ns - k.arrived_ns) * NS for k in known)
    assert waits[0] < waits[-1]


def test_users_of_a_closed_loop_are_never_more_than_they_are() -> None:
    logs, known = run(
        MockPlan(ttft_s=0.03, itl_s=0.005), Load(scenario="closed", concurrency=3, requests=18), 4
    )
    events = [(k.started_ns, 1) for k in known] + [(k.chunk_ns[-1], -1) for k in known]
    under_way, most = 0, 0
    for _, change in sorted(events):
        under_way += change
        most = max(most, under_way)
    assert most == 3
    assert len(logs) == 18


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("http", "http"),
        ("refuse", "disconnect"),
        ("stream_error", "stream_error"),
        ("disconnect", "disconnect"),
        ("malformed", "malformed"),
        ("hang", "timeout"),
        ("empty", "empty"),
    ],
)
def test_every_failure_is_counted_as_its_kind(fault: str, kind: str) -> None:
    plan = MockPlan.model_validate({"fault": fault, "fault_every": 3, "ttft_s": 0.0, "itl_s": 0.0})
    load = Load(scenario="constant", rate=200, requests=9)
    with MockServer(plan) as server:
        logs = carry_out(server.endpoint(timeout_s=1.0), Script(load, Shape(8, 4), "s"))
    assert [log.failure for log in logs].count(kind) == 3
    assert sum(log.ok for log in logs) == 6
    assert all(log.detail for log in logs if not log.ok)
    assert sum(good(log, Slo()) for log in logs) == 6


def test_no_server_is_a_failure_to_connect() -> None:
    with MockServer(MockPlan()) as server:
        endpoint = server.endpoint()
    load = Load(scenario="offline", requests=2)
    logs = carry_out(endpoint, Script(load, Shape(8, 4), "s"))
    assert {log.failure for log in logs} == {"connect"}


def test_chat_role_only_chunks_are_not_the_first_token() -> None:
    plan = MockPlan(ttft_s=0.2, itl_s=0.0, role_chunk=True)
    with MockServer(plan) as server:
        script = Script(Load(scenario="single_stream", requests=2), Shape(8, 4), "s")
        logs = carry_out(server.endpoint("chat"), script)
    assert all(0.2 <= ttft(log) <= e2e(log) for log in logs)
    assert all(len(log.chunks) == 4 for log in logs)


def test_prompts_have_the_tokens_that_were_asked_for() -> None:
    with MockServer(MockPlan(ttft_s=0.0, itl_s=0.0, cached_tokens=0)) as server:
        sizing = calibrate(server.endpoint(), "s")
        script = Script(Load(scenario="offline", requests=3), Shape(50, 2), "s", sizing)
        logs = carry_out(server.endpoint(), script)
    assert sizing.measured
    assert [log.usage.prompt for log in logs if log.usage is not None] == [50, 50, 50]
    assert [log.usage.cached for log in logs if log.usage is not None] == [0, 0, 0]


def test_users_begin_nothing_after_their_time() -> None:
    plan = MockPlan(ttft_s=0.05, itl_s=0.0)
    with MockServer(plan) as server:
        load = Load(scenario="single_stream", requests=500)
        logs = carry_out(server.endpoint(), Script(load, Shape(8, 1), "s", budget_s=0.3))
    assert 1 <= len(logs) < 20
