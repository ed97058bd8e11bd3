"""What is derived from short and from sampled answers, against numbers worked out by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest

import builders as b
from slmbench.analysis.constructs import derived
from slmbench.analysis.constructs.judged_run import JudgedRun
from slmbench.analysis.constructs.short_answer import risk_curve
from slmbench.analysis.rows import MetricRow, judged_by_metric
from slmbench.metrics import METRICS
from slmbench.records import Provenance
from slmbench.requests import GenerateOutput, GenerateRequest, Item, ItemOutput, ItemSet
from slmbench.store import StoredRun
from slmbench.tasks.scorers import score
from spoken_answers import said

RIGHT, WRONG, SILENT, SENTENCE = "Paris", "Rome", "I don't know.", "It is Paris."
BY_HAND = "RWRRWWRWWR"
"""Ten answers by falling confidence."""


def judged_run(
    answers: Sequence[tuple[GenerateOutput, ...]], scorer: str, clusters: Sequence[str] = ()
) -> JudgedRun:
    """Answers to one question each, judged by the scorer."""
    names = clusters or [f"c{i}" for i in range(len(answers))]
    request = GenerateRequest(prompt="q", max_tokens=8)
    items = ItemSet(
        task="t",
        source="s",
        data_sha256="0",
        licence="MIT",
        scorer=scorer,
        population=len(answers),
        items=tuple(
            Item(item_id=f"i{i}", cluster=names[i], requests=(request,) * len(outputs),
                 target=json.dumps(["Paris"]))
            for i, outputs in enumerate(answers)
        ),
    )  # fmt: skip
    kept = [ItemOutput(item_id=f"i{i}", outputs=outputs) for i, outputs in enumerate(answers)]
    spec = b.cell(b.variant("m"), b.task("t", "answer_correct"))
    run = StoredRun(Path("nowhere"), spec, b.environment(), b.record(spec))
    return JudgedRun(run, items, judged_by_metric(score(items, kept)))


def short(
    texts: Sequence[str], confidences: Sequence[float] | None = None, **more: list[str]
) -> JudgedRun:
    """Short answers, with confidences if they are known."""
    sure = [(math.log(c),) for c in confidences] if confidences else [()] * len(texts)
    return judged_run([(said(t, *c),) for t, c in zip(texts, sure, strict=True)],
                      "short_answer", **more)  # fmt: skip


def rows_of(run: JudgedRun) -> dict[str, MetricRow]:
    return {row.metric: row for row in derived(run)}


def value(run: JudgedRun, metric: str) -> float | None:
    return rows_of(run)[metric].estimate.value


def falling(n: int) -> list[float]:
    return [0.95 - 0.9 * i / n for i in range(n)]


def by_hand(silent: int = 0) -> JudgedRun:
    texts = [RIGHT if letter == "R" else WRONG for letter in BY_HAND] + [SILENT] * silent
    return short(texts, falling(len(texts)))


def test_f_is_the_harmonic_mean_of_accuracy_given_attempted_and_accuracy() -> None:
    run = short([RIGHT, RIGHT, WRONG, SILENT, SILENT])
    # accuracy given attempted 2/3, correct 2/5: 2 · 2/3 · 2/5 / (2/3 + 2/5) = 1/2
    row = rows_of(run)["simpleqa_f"]
    assert row.estimate.value == pytest.approx(0.5)
    assert row.provenance is Provenance.DERIVED
    assert row.reason == ""
    assert row.estimate.low is not None
    assert row.estimate.high is not None
    assert row.estimate.low <= 0.5 <= row.estimate.high
    assert value(run, "answer_coverage") == pytest.approx(3 / 5)


def test_everything_abstained_has_no_rate_and_no_f() -> None:
    rows = rows_of(short([SILENT] * 12, falling(12)))
    for metric in ("simpleqa_f", "hallucination_rate", "accuracy_given_attempted",
                   "hallucination_rate_lenient", "answer_auroc", "answer_aurc"):  # fmt: skip
        assert rows[metric].provenance is Provenance.UNAVAILABLE, metric
        assert rows[metric].estimate.value is None
        assert "nothing was attempted" in rows[metric].reason
    assert rows["answer_coverage"].estimate.value == 0.0
    assert risk_curve(short([SILENT] * 12, falling(12))) == ()


def test_nothing_correct_is_an_f_of_zero_and_no_ranking() -> None:
    run = short([WRONG] * 11 + [SILENT], falling(12))
    rows = rows_of(run)
    assert rows["simpleqa_f"].estimate.value == 0.0
    assert rows["answer_auroc"].estimate.value is None
    assert rows["answer_auroc"].reason == "0 right and 11 wrong answers: 5 of each at least"
    assert rows["answer_aurc"].estimate.value == pytest.approx(1.0)
    assert {risk for _, risk in risk_curve(run)} == {1.0}


def test_nothing_abstained_makes_f_the_accuracy() -> None:
    run = by_hand()
    assert value(run, "simpleqa_f") == pytest.approx(0.5)
    assert value(run, "answer_coverage") == 1.0
    assert "hallucination_rate" not in rows_of(run)  # a plain mean of the scorer's rows


def test_ranking_by_confidence_by_hand() -> None:
    run = by_hand()
    # right answers above wrong ones: 5 + 4 + 4 + 2 + 0 of 5 · 5 pairs
    assert value(run, "answer_auroc") == pytest.approx(15 / 25)
    errors = [0, 1 / 2, 1 / 3, 1 / 4, 2 / 5, 3 / 6, 3 / 7, 4 / 8, 5 / 9, 5 / 10]
    assert value(run, "answer_aurc") == pytest.approx(sum(errors) / 10)
    curve = risk_curve(run)
    assert [coverage for coverage, _ in curve] == pytest.approx([k / 10 for k in range(1, 11)])
    assert [risk for _, risk in curve] == pytest.approx(errors)


def test_the_curve_ends_at_the_models_own_coverage() -> None:
    with_silence = by_hand(silent=6)
    curve = risk_curve(with_silence)
    assert curve[-1] == (pytest.approx(10 / 16), pytest.approx(0.5))
    assert value(with_silence, "answer_aurc") == pytest.approx(value(by_hand(), "answer_aurc") or 0)
    assert len(risk_curve(by_hand(), most=5)) == 5


def test_ties_in_confidence_share_the_errors() -> None:
    texts = [RIGHT if letter == "R" else WRONG for letter in BY_HAND]
    run = short(texts, [0.5] * 10)
    assert value(run, "answer_auroc") == pytest.approx(0.5)
    assert value(run, "answer_aurc") == pytest.approx(0.5)
    assert [risk for _, risk in risk_curve(run)] == pytest.approx([0.5] * 10)


def test_lenient_correctness_is_ranked_apart() -> None:
    texts = [SENTENCE if letter == "R" else WRONG for letter in BY_HAND]
    run = short(texts, falling(10))
    assert value(run, "answer_auroc") is None
    assert value(run, "answer_auroc_lenient") == pytest.approx(15 / 25)


def test_without_confidences_there_is_no_ranking_but_an_f() -> None:
    rows = rows_of(short([RIGHT, WRONG] * 6))
    assert rows["simpleqa_f"].estimate.value == pytest.approx(0.5)
    assert "log-probabilities" in rows["answer_auroc"].reason
    few = rows_of(short([RIGHT, WRONG], [0.5, 0.4]))
    assert "too few" in few["answer_auroc"].reason


def test_one_cluster_has_values_without_intervals() -> None:
    texts = [RIGHT if letter == "R" else WRONG for letter in BY_HAND]
    rows = rows_of(short(texts, falling(10), clusters=["one"] * 10))
    for metric in ("simpleqa_f", "answer_auroc", "answer_aurc"):
        assert rows[metric].estimate.value is not None
        assert rows[metric].estimate.low is None
        assert "one cluster" in rows[metric].estimate.method


def test_answers_that_say_nothing_count_in_no_rate() -> None:
    run = short([RIGHT, WRONG, "", " "])
    assert value(run, "answer_coverage") == 1.0
    assert value(run, "simpleqa_f") == pytest.approx(0.5)
    dead = rows_of(short([""] * 12))
    assert all(row.estimate.value is None for row in dead.values())
    assert "no answer could be judged" in dead["simpleqa_f"].reason


def sampled(pairs: Sequence[tuple[str, Sequence[str]]]) -> JudgedRun:
    answers = [tuple(map(said, (greedy, *samples))) for greedy, samples in pairs]
    return judged_run(answers, "self_consistency")


def test_agreement_that_tells_right_from_wrong_has_an_auroc_of_one() -> None:
    agreed = (RIGHT, [RIGHT, RIGHT, RIGHT, "Oslo"])
    torn = (WRONG, ["Rome", "Oslo", "Bonn", "Lima"])
    rows = rows_of(sampled([agreed, torn] * 5 + [(SILENT, [SILENT] * 4)]))
    for metric in ("semantic_entropy_auroc", "consistency_auroc", "selfcheck_ngram_auroc",
                   "consistency_auroc_lenient"):  # fmt: skip
        assert rows[metric].estimate.value == 1.0, metric
        assert rows[metric].chance == 0.5
    assert rows["answer_coverage"].estimate.value == pytest.approx(10 / 11)
    assert "semantic_entropy_estimated_auroc" not in rows
    upside = rows_of(sampled([(RIGHT, torn[1]), (WRONG, [WRONG] * 4)] * 5))
    assert upside["semantic_entropy_auroc"].estimate.value == 0.0


def test_a_model_that_repeats_itself_tells_nothing() -> None:
    half = [(RIGHT, [RIGHT] * 4), (WRONG, [WRONG] * 4)] * 5
    rows = rows_of(sampled(half))
    assert rows["semantic_entropy_auroc"].estimate.value == pytest.approx(0.5)
    assert rows["consistency_auroc"].estimate.value == pytest.approx(0.5)
    never = rows_of(sampled([(SILENT, [SILENT] * 4)] * 12))
    assert "nothing was attempted" in never["semantic_entropy_auroc"].reason


def test_every_derived_metric_is_declared() -> None:
    named = {*rows_of(by_hand()), *rows_of(sampled([(RIGHT, [RIGHT, WRONG])] * 10))}
    assert named <= set(METRICS)
    assert {METRICS[m].chance for m in named if "_auroc" in m} == {"1/2"}
