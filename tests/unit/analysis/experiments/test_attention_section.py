"""What attention costs, in sentences: times whose terms are known beforehand."""

from __future__ import annotations

from pathlib import Path

import pytest

import builders as b
from experiment_world import Laboratory, sentences
from slmbench.records import Status
from slmbench.spec import RunSpec, WorkloadSpec
from slmbench.spec.points import parse_point

POINTS = ("pp256", "pp512", "pp1024", "pp2048", "tg16@d256", "tg16@d1024", "tg16@d2048")
KV = 23040


@pytest.fixture
def lab(tmp_path: Path) -> Laboratory:
    return Laboratory(tmp_path)


def timed(lab: Laboratory, name: str, pair: float, slope: float, kv: int | None = KV) -> None:
    """t = 0.01 + 0.001 T + ``pair`` T² and TPOT = 0.02 + ``slope`` T, ± 0.1 % by process."""
    lab.variant(name)
    phases = []
    for process in range(3):
        factor = 1 + 1e-3 * (process - 1)
        for label in POINTS:
            point = parse_point(label)
            t, held = point.prompt_tokens, point.depth + 1 + point.output_tokens / 2
            measured = [
                b.measurement("ttft", factor * (0.01 + 1e-3 * t + pair * t * t), point=label)
            ]
            if point.output_tokens > 1:
                step = factor * (0.02 + slope * held)
                measured.append(b.measurement("tpot", step, point=label))
            phase = b.phase("timed", *measured)
            phases.append(phase.model_copy(update={"process": process, "round": f"s-{process}"}))
    lab.shelf.load(spec(name), *phases, model=b.model(32.0, kv_bytes_per_token=kv))
    lab.cells.append(spec(name).digest)


def spec(name: str) -> RunSpec:
    work = WorkloadSpec(
        workload="latency", points=tuple(map(parse_point, POINTS)), repeats=2, warmup=0,
        window_s=0, idle_s=0, seed=1, processes=3,
    )  # fmt: skip
    return b.cell(b.variant(name, technique=name), work, suite="scaling")


def told(lab: Laboratory) -> dict[tuple[str, str], tuple[str, str]]:
    """Verdict and sentence by variant and quantity."""
    found = {}
    for verdict, sentence in sentences(lab.tell("attention", [])):
        name = sentence.partition(" on ")[0]
        quantity = "prefill" if ", prefill" in sentence else "decode"
        found[name, quantity] = (verdict, sentence)
    return found


def test_pairs_of_tokens_and_tokens_in_the_cache_are_what_grows(lab: Laboratory) -> None:
    """c T² / t at T = 2,048 is 4.19 / (0.01 + 2.05 + 4.19) = 67.1 %."""
    timed(lab, "softmax", 1e-6, 5e-6)
    found = told(lab)
    verdict, sentence = found["softmax", "prefill"]
    assert verdict == "grows"
    assert "pairs of tokens cost 67.1 %" in sentence
    assert "of the time at 2048 tokens" in sentence
    verdict, sentence = found["softmax", "decode"]
    assert verdict == "grows"
    assert "every further token in the cache costs 5.00 µs/token" in sentence


def test_a_bend_without_keys_and_values_is_not_called_attention(lab: Laboratory) -> None:
    timed(lab, "recurrent", 1e-6, 0.0, kv=None)
    found = told(lab)
    verdict, sentence = found["recurrent", "prefill"]
    assert verdict == "grows"
    assert "it reports no keys and values, yet a quadratic term is 67.1 %" in sentence
    assert "pairs of tokens" not in sentence
    assert found["recurrent", "decode"][0] == "not resolved"


def test_what_is_straight_is_not_resolved_and_bounded(lab: Laboratory) -> None:
    timed(lab, "straight", 0.0, 0.0)
    found = told(lab)
    verdict, sentence = found["straight", "prefill"]
    assert verdict == "not resolved"
    assert "no quadratic term is resolved up to 2048 tokens" in sentence
    assert "it is at most" in sentence


def test_prefill_comes_first_and_variants_as_they_are_listed(lab: Laboratory) -> None:
    for name in ("second", "first"):
        timed(lab, name, 1e-6, 5e-6)
    assert list(told(lab)) == [
        ("second", "prefill"), ("first", "prefill"), ("second", "decode"), ("first", "decode"),
    ]  # fmt: skip


def test_what_failed_says_why(lab: Laboratory) -> None:
    lab.variant("failed")
    lab.shelf.failure(spec("failed"), Status.OOM, "no memory")
    lab.cells.append(spec("failed").digest)
    assert {verdict for verdict, _ in told(lab).values()} == {"cannot be said"}
    assert all("no memory" in sentence for _, sentence in told(lab).values())
