"""The fake: reproducible numbers, sentinels for gate tests, and faults on request."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from slmbench.backends.fake import FakeBackend
from slmbench.backends.protocol import BackendError, LoadJob
from slmbench.prefix_tree import Pair
from slmbench.records import Status
from slmbench.requests import GenerateRequest, LoglikelihoodRequest, RollingRequest
from slmbench.spec import Target

CHILD = """
import sys, json
from pathlib import Path
from slmbench.backends.fake import FakeBackend
from slmbench.backends.protocol import BackendError, LoadJob
from slmbench.requests import GenerateRequest, LoglikelihoodRequest
from slmbench.spec import Target
target = Target(name="t", backend="fake", options=json.loads(sys.argv[1]))
backend = FakeBackend()
try:
    backend.load(LoadJob(Path("x"), "0" * 64, target))
    print("loaded", flush=True)
    list(backend.loglikelihood([LoglikelihoodRequest(context="a", continuation="b")]))
    print("scored", flush=True)
    backend.generate(GenerateRequest(prompt="a", max_tokens=1))
except BackendError as error:
    print(error.status, error.hint)
"""


def fake(artefact: str = "0", **options: Any) -> FakeBackend:
    backend = FakeBackend()
    target = Target(name="t", backend="fake", options=options)
    backend.load(LoadJob(Path("none"), artefact * 64, target))
    return backend


def scores(backend: FakeBackend, context: str, choices: Sequence[str]) -> list[float]:
    requests = [LoglikelihoodRequest(context=context, continuation=c) for c in choices]
    return [o.logprob or math.nan for o in backend.loglikelihood(requests)]


CHOICES = (" red", " green", " blue", " a darker colour")


def winners(backend: FakeBackend, items: int = 200) -> list[int]:
    choices = (" red", " tan", " sky")  # equally long, so that no choice is favoured
    found = [scores(backend, f"Question {i}:", choices) for i in range(items)]
    return [max(range(3), key=row.__getitem__) for row in found]


def test_answers_depend_on_artefact_seed_and_text_only() -> None:
    base = scores(fake(), "A question:", CHOICES)
    assert scores(fake(), "A question:", CHOICES) == base
    assert scores(fake("1"), "A question:", CHOICES) != base
    assert scores(fake(seed=1), "A question:", CHOICES) != base
    assert scores(fake(), "Another one:", CHOICES) != base


def test_next_token_probabilities_sum_to_one() -> None:
    backend = fake()
    context = backend.encode("Some text", special=True)
    total = sum(
        math.exp(backend._score_alone(Pair(context, (token,))).logprob or 0) for token in range(257)
    )
    assert total == pytest.approx(1.0)


def test_quality_makes_fakes_agree() -> None:
    def agreement(quality: float) -> float:
        pairs = zip(
            winners(fake("1", quality=quality)), winners(fake("2", quality=quality)), strict=True
        )
        return sum(a == b for a, b in pairs) / 200

    assert agreement(1.0) == 1.0
    assert agreement(0.0) < 0.5 < agreement(0.8) < 1.0


def test_constant_sentinel_ties_what_is_equally_long() -> None:
    backend = fake(mode="constant")
    short, same, longer = scores(backend, "Q:", (" one", " two", " three"))
    assert short == same == pytest.approx(-4 * math.log(257))
    assert longer < short
    assert backend.generate(GenerateRequest(prompt="Q:", max_tokens=3)).failure == "empty_output"


def test_nan_sentinel_and_nan_fault_are_not_scores() -> None:
    request = LoglikelihoodRequest(context="a", continuation="b")
    prompt = GenerateRequest(prompt="a", max_tokens=2)
    (output,) = fake(mode="nan").loglikelihood([request])
    assert (output.logprob, output.failure) == (None, "non_finite")
    half = fake(fault="nan", fault_at="generate")
    assert next(half.loglikelihood([request])).failure is None
    assert half.generate(prompt).failure == "non_finite"


def test_abstain_sentinel_says_so_whatever_is_asked_and_however() -> None:
    backend = fake(mode="abstain")
    requests = [
        GenerateRequest(
            prompt=f"Question {at}", max_tokens=40, temperature=t, seed=at, logprobs=True
        )
        for at in range(5)
        for t in (0.0, 1.0)
    ]
    outputs = [*map(backend.generate, requests), *backend.generate_many(requests)]
    assert {(o.text, o.finish, o.failure) for o in outputs} == {("I don't know.", "stop", None)}
    assert {value for o in outputs for value in o.token_logprobs} == {0.0}
    assert scores(backend, "Q:", CHOICES) == scores(fake(), "Q:", CHOICES)


@pytest.mark.parametrize("order", [CHOICES, CHOICES[::-1]])
def test_first_sentinel_prefers_what_is_asked_first_however_it_is_normalised(
    order: Sequence[str],
) -> None:
    backend = fake(mode="first")
    found = [scores(backend, context, order) for context in ("Q1:", "Q2:")]
    assert found[0] == found[1] == sorted(found[0], reverse=True)
    per_byte = [value / len(text) for value, text in zip(found[0], order, strict=True)]
    assert per_byte.index(max(per_byte)) == 0
    pairs = [LoglikelihoodRequest(context="", continuation=t) for t in ("a b", "c", "d", "e f")]
    a, b, c, d = (o.logprob or 0.0 for o in backend.loglikelihood(pairs))
    assert a > b
    assert c > d, "also where items have a context in common"


@pytest.mark.parametrize("order", [CHOICES, CHOICES[::-1]])
def test_longest_sentinel_prefers_the_longest_however_it_is_normalised(
    order: Sequence[str],
) -> None:
    found = scores(fake(mode="longest"), "Q:", order)
    best = max(range(4), key=found.__getitem__)
    per_byte = [value / len(text) for value, text in zip(found, order, strict=True)]
    assert order[best] == " a darker colour"
    assert per_byte.index(max(per_byte)) == best


@pytest.mark.parametrize("mode", ["first", "longest"])
def test_sentinels_score_texts_too_and_leave_failures_alone(mode: str) -> None:
    texts = ("one text", "a longer text", "")
    short, longer, empty = fake(mode=mode).loglikelihood([RollingRequest(text=t) for t in texts])
    assert short.logprob is not None
    assert longer.logprob is not None
    assert (short.logprob > longer.logprob) == (mode == "first")
    assert sum(w.logprob for w in longer.windows) == pytest.approx(longer.logprob)
    assert (empty.logprob, empty.failure) == (None, "empty_continuation")


def test_latency_is_the_one_asked_for() -> None:
    (output,) = fake(ttft_s=0.05, itl_s=0.02).generate_ids([[1, 2]], 4)
    times = (output.start_ns, *output.token_ns)
    gaps = [(b - a) / 1e9 for a, b in pairwise(times)]
    assert min(gaps[0] - 0.05, *(gap - 0.02 for gap in gaps[1:])) >= 0
    assert sum(gaps) == pytest.approx(0.11, abs=0.05)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"qualiti": 1}, "did you mean quality?"),
        ({"zzz": 1}, "known: attention_width, bits_per_weight"),
    ],
)
def test_unknown_options(options: dict[str, Any], found: str) -> None:
    with pytest.raises(BackendError) as caught:
        fake(**options)
    assert caught.value.status is Status.INVALID
    assert found in caught.value.hint


@pytest.mark.parametrize(
    "options",
    [{"quality": 2}, {"fault": "explode"}, {"mode": 3}, {"fault": "nan", "fault_at": "load"}],
)
def test_wrong_values_are_named(options: dict[str, Any]) -> None:
    with pytest.raises(BackendError, match="target 't', backend 'fake': option") as caught:
        fake(**options)
    assert caught.value.status is Status.INVALID


def test_injected_error_is_not_an_ending() -> None:
    with pytest.raises(RuntimeError, match="fake fault at load"):
        fake(fault="error")


def child(options: str, **popen: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, options],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, **popen,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "place", "died_of", "said"),
    [
        ("sigill", "load", signal.SIGILL, ""),
        ("sigsegv", "loglikelihood", signal.SIGSEGV, "loaded\n"),
        ("sigkill", "generate", signal.SIGKILL, "loaded\nscored\n"),
    ],
)
def test_dies_of_the_signal(fault: str, place: str, died_of: int, said: str) -> None:
    with child(f'{{"fault": "{fault}", "fault_at": "{place}"}}') as process:
        assert process.communicate(timeout=60)[0] == said
        assert process.returncode == -died_of


def test_runs_out_of_memory_under_a_limit() -> None:
    def limit() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))

    with child('{"fault": "oom"}', preexec_fn=limit) as process:
        out = process.communicate(timeout=60)[0]
    assert out == "oom raise the target's memory_limit_bytes or use a smaller variant\n"


def test_out_of_memory_stops_at_its_cap() -> None:
    with pytest.raises(BackendError, match="its cap was reached after 134217728 bytes") as caught:
        fake(fault="oom", oom_cap_bytes=1 << 27)
    assert caught.value.status is Status.OOM


def test_hangs_without_using_the_processor() -> None:
    with child('{"fault": "hang", "fault_at": "loglikelihood"}') as process:
        assert process.stdout
        assert process.stdout.readline() == "loaded\n"
        time.sleep(0.2)
        used = _cpu_ticks(process.pid)
        time.sleep(0.5)
        assert process.poll() is None
        assert _cpu_ticks(process.pid) - used <= 0.02 * os.sysconf("SC_CLK_TCK")
        process.kill()


def _cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
