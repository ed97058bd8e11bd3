"""Calibration on simulated models whose truth is known."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import builders as b
from slmbench.analysis import calibration, load_results
from slmbench.analysis import reliability as rel
from slmbench.analysis.answers import ChoiceAnswer
from slmbench.analysis.calibration import Calibration, Confident, from_answers, measured
from slmbench.analysis.results import Results

Numbers = rel.Numbers


def _model(n: int, seed: int, temperature: float = 1.0) -> tuple[Numbers, Numbers]:
    """Log-likelihoods of four choices and gold drawn from them, then sharpened by 1 / T."""
    random = np.random.default_rng(seed)
    scores = random.normal(0, 2.0, (n, 4))
    p = np.exp(rel.log_softmax(scores))
    gold = (p.cumsum(axis=1) < random.random((n, 1))).sum(axis=1)
    return scores * temperature, gold.astype(np.intp)


def _run(tmp_path: Path, scores: Numbers, gold: Numbers, clusters: int | None = None) -> Results:
    """A stored run with these log-likelihoods."""
    n, k = scores.shape
    plain = b.choice_items("arc_easy", n, choices=k, clusters=clusters)
    items = plain.model_copy(
        update={
            "items": tuple(
                item.model_copy(update={"gold": int(g)})
                for item, g in zip(plain.items, gold, strict=True)
            )
        }
    )
    right = (scores.argmax(axis=1) == gold).astype(float)
    outputs = b.answered(items, (scores - 20).tolist())
    spec = b.cell(b.variant("m"), b.task())
    b.Shelf(tmp_path).task(spec, items, {"acc": right.tolist()}, outputs=outputs)
    return load_results(tmp_path)


def _measured(
    confidence: Numbers, credit: Numbers, clusters: list[str] | None = None
) -> Calibration:
    names = clusters or [str(i) for i in range(len(credit))]
    run = _some_run()
    return measured(run, Confident(tuple(names), confidence, credit, None, None))


def _some_run() -> calibration.StoredRun:
    """A run that only stands there."""
    spec = b.cell(b.variant("m"), b.task())
    return calibration.StoredRun(Path("nowhere"), spec, b.environment(), b.record(spec))


@pytest.mark.parametrize(("n", "raw"), [(100, 0.097), (200, 0.067), (500, 0.042), (1000, 0.030)])
def test_a_perfectly_calibrated_model_shows_the_known_bias_and_none_after(
    n: int, raw: float
) -> None:
    random = np.random.default_rng(n)
    errors, debiased = [], []
    for _ in range(150):
        confidence = np.sort(0.25 + 0.75 * random.beta(5, 2, n))
        credit = (random.random(n) < confidence).astype(float)
        data = rel.by_confidence(confidence, credit, [str(i) for i in range(n)])
        errors.append(rel.calibration_error(data))
        debiased.append(errors[-1] - rel.null_errors(data.confidence, draws=100).mean())
    assert np.mean(errors) == pytest.approx(raw, rel=0.08)
    assert abs(np.mean(debiased)) < 0.1 * raw


def test_the_interval_covers_the_truth_of_calibrated_and_miscalibrated_models() -> None:
    random = np.random.default_rng(5)
    for gap in (0.0, 0.1, 0.2):
        hits, values = 0, []
        for _ in range(40):
            confidence = random.uniform(0.3, 1, 400)
            credit = (random.random(400) < confidence - gap).astype(float)
            names = [str(i) for i in range(400)]
            row = calibration.errors_of(rel.by_confidence(confidence, credit, names))[
                "ece_debiased"
            ]
            assert row.low is not None
            assert row.high is not None
            hits += row.low <= gap <= row.high
            values.append(row.value)
        assert hits >= 36, gap
        assert gap - 0.06 < np.mean(values) < gap + 0.01, gap


def test_a_miscalibrated_model_is_told_from_a_calibrated_one() -> None:
    random = np.random.default_rng(7)
    confidence = random.uniform(0.4, 1, 600)
    good = _measured(confidence, (random.random(600) < confidence).astype(float))
    bad = _measured(confidence, (random.random(600) < confidence - 0.15).astype(float))
    assert good.within_null is True
    assert bad.within_null is False
    assert bad.value("overconfidence") == pytest.approx(0.15, abs=0.05)
    assert good.value("overconfidence") == pytest.approx(0.0, abs=0.05)
    assert bad.value("brier_reliability") == pytest.approx(0.15**2, abs=0.012)
    assert good.value("brier_reliability") == pytest.approx(0.0, abs=0.005)


def test_decomposition_adds_up_to_the_binned_brier_score() -> None:
    random = np.random.default_rng(9)
    confidence = np.sort(np.repeat(random.uniform(0.3, 1, 10), 30))
    credit = (random.random(300) < confidence).astype(float)
    parts = rel.decomposed(rel.by_confidence(confidence, credit, [str(i) for i in range(300)]))
    assert parts is not None
    total = parts.reliability - parts.resolution + parts.uncertainty
    assert total == pytest.approx(float(((confidence - credit) ** 2).mean()))


def test_auroc_and_coverage_of_a_case_done_by_hand() -> None:
    confidence = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    credit = np.array([1.0, 1.0, 0.0, 1.0, 0.0])
    data = rel.by_confidence(confidence, credit, list("abcde"))
    assert rel.auroc(data) == pytest.approx(5 / 6)
    assert rel.cumulative_accuracy(data).tolist() == pytest.approx([1, 1, 2 / 3, 3 / 4, 3 / 5])
    assert rel.aurc(data) == pytest.approx(1 - (1 + 1 + 2 / 3 + 3 / 4 + 3 / 5) / 5)
    half, _ = rel.most_confident(data, 0.5)
    assert sorted(half) == [0, 1, 1]
    assert rel.auroc(rel.by_confidence(confidence, np.ones(5), list("abcde"))) is None


def test_equal_confidence_shares_its_credit_and_order_does_not_matter() -> None:
    confidence, credit = np.full(40, 0.25), np.array([1.0] * 10 + [0.0] * 30)
    for order in (credit, credit[::-1].copy()):
        data = rel.by_confidence(confidence, order, [str(i) for i in range(40)])
        assert rel.auroc(data) == pytest.approx(0.5)
        assert rel.aurc(data) == pytest.approx(0.75)
        assert rel.most_confident(data, 0.5)[0].mean() == pytest.approx(0.25)


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_temperature_is_recovered_and_takes_the_error_away(tmp_path: Path, factor: float) -> None:
    found = _run(tmp_path, *_model(1500, 3, factor)).calibrations[0]
    row = next(r for r in found.rows if r.metric == "temperature")
    assert row.estimate.low is not None
    assert row.estimate.high is not None
    assert row.estimate.low < factor < row.estimate.high
    assert found.value("temperature") == pytest.approx(factor, rel=0.15)
    scaled, limit = found.value("ece_scaled"), found.value("ece_scaled_null_q95")
    assert scaled is not None
    assert limit is not None
    assert scaled < 1.3 * limit
    assert found.within_null is (factor == 1.0)
    over = found.value("overconfidence")
    assert over is not None
    assert np.sign(round(over, 1)) == np.sign(factor - 1.0)


def test_no_temperature_where_the_model_points_away() -> None:
    scores, gold = _model(300, 4)
    assert rel.fit_temperature(-scores, gold, np.arange(300)) is None
    perfect = np.zeros((50, 4))
    perfect[:, 0] = 5.0
    assert rel.fit_temperature(perfect, np.zeros(50, dtype=np.intp), np.arange(50)) is None


def test_brier_and_nll_are_lm_evals_range_and_natural_logarithms() -> None:
    items = b.choice_items("q", 2, choices=2).items
    answers = [
        ChoiceAnswer(items[0], (math.log(0.8), math.log(0.2)), (1, 1)),
        ChoiceAnswer(items[1], (-900.0, -1.0), (1, 1)),
    ]
    found = from_answers(answers)
    assert found is not None
    assert found.brier == pytest.approx((2 * 0.2**2, 2.0))
    assert found.nll == pytest.approx((-math.log(0.8), 899.0))
    assert found.credit.tolist() == [1, 0]


def test_the_table_has_every_measure_with_n_and_interval_or_reason(tmp_path: Path) -> None:
    table = _run(tmp_path, *_model(200, 1)).calibration()
    assert set(table["metric"]) == {
        "brier", "choice_nll", "ece", "ece_null", "ece_null_q95", "ece_debiased", "temperature",
        "ece_scaled", "ece_scaled_null_q95", "ece_scaled_debiased", "overconfidence",
        "confidence_auroc", "selective_acc_50", "selective_acc_80", "aurc",
        "brier_reliability", "brier_resolution", "brier_uncertainty",
    }  # fmt: skip
    assert (table["n"] <= 200).all()
    assert table.loc[table["metric"] == "selective_acc_50", "n"].item() == 100
    bare = table[table["ci_low"].isna()]
    assert set(bare["metric"]) == {"ece_null", "ece_null_q95", "ece_scaled_null_q95"}
    inside = table[table["ci_low"].notna()]
    assert (inside["ci_low"] <= inside["value"]).all()
    assert (inside["value"] <= inside["ci_high"]).all()


def test_the_same_run_gives_the_same_numbers(tmp_path: Path) -> None:
    results = _run(tmp_path, *_model(120, 1))
    assert results.calibration().equals(load_results(tmp_path).calibration())


def test_clusters_widen_the_interval() -> None:
    random = np.random.default_rng(2)
    confidence = np.repeat(random.uniform(0.3, 1, 30), 10)
    credit = np.repeat((random.random(30) < 0.6).astype(float), 10)
    alone = _measured(confidence, credit)
    together = _measured(confidence, credit, [str(i // 10) for i in range(300)])

    def width(found: Calibration) -> float:
        row = next(r for r in found.rows if r.metric == "confidence_auroc")
        assert row.estimate.high is not None
        assert row.estimate.low is not None
        return row.estimate.high - row.estimate.low

    assert width(together) > 1.5 * width(alone)


def test_without_outputs_the_scores_give_what_they_can(tmp_path: Path) -> None:
    items = b.choice_items("arc_easy", 40)
    sure = [0.3 + 0.01 * i for i in range(40)]
    scores = {"acc": [1.0, 0.0] * 20, "confidence": sure, "brier": [0.5] * 40}
    b.Shelf(tmp_path).task(b.cell(b.variant("m"), b.task()), items, scores)
    found = load_results(tmp_path).calibrations[0]
    assert found.value("ece") is not None
    assert found.value("brier") == 0.5
    missing = {r.metric: r.reason for r in found.rows if r.estimate.value is None}
    assert set(missing) == {
        "choice_nll", "temperature", "ece_scaled", "ece_scaled_null_q95", "ece_scaled_debiased"
    }  # fmt: skip
    assert "were not kept" in missing["temperature"]


def test_few_items_say_so(tmp_path: Path) -> None:
    found = _run(tmp_path, *_model(12, 1)).calibrations[0]
    assert [r.metric for r in found.rows] == ["ece_debiased"]
    assert "too few" in found.rows[0].reason
    assert not found.bins


def test_other_tasks_have_no_calibration(tmp_path: Path) -> None:
    items = b.choice_items("slm_occupation_pronoun", 30, choices=2)
    items = items.model_copy(update={"scorer": "stereotype_pairs"})
    spec = b.cell(b.variant("m"), b.task("slm_occupation_pronoun", "stereotype_preference"))
    b.Shelf(tmp_path).task(spec, items, {"stereotype_preference": [1.0] * 30})
    assert load_results(tmp_path).calibrations == ()
    assert len(load_results(tmp_path).calibration()) == 0


def _guesses(seed: int, sharpness: float) -> list[ChoiceAnswer]:
    """Two or nine choices, and a model that knows nothing of them."""
    random = np.random.default_rng(seed)
    found = []
    for i in range(400):
        count = 2 if i % 2 else 9
        (item,) = b.choice_items("t", 1, choices=count).items
        item = item.model_copy(
            update={"item_id": str(i), "cluster": str(i), "gold": int(random.integers(count))}
        )
        scores = tuple((sharpness * random.normal(size=count)).tolist())
        found.append(ChoiceAnswer(item, scores, (1,) * count))
    return found


@pytest.mark.parametrize("sharpness", [0.0, 0.3, 3.0, 300.0])
def test_fewer_choices_are_no_knowledge(sharpness: float) -> None:
    found = from_answers(_guesses(3, sharpness))
    assert found is not None
    rows = {r.metric: r.estimate for r in measured(_some_run(), found).rows}
    for name, nothing in (
        ("confidence_auroc", 0.5), ("selective_acc_50", found.credit.mean()),
        ("selective_acc_80", found.credit.mean()), ("aurc", 1 - found.credit.mean()),
    ):  # fmt: skip
        estimate = rows[name]
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low - 0.02 <= nothing <= estimate.high + 0.02, name
    raw = rel.auroc(rel.by_confidence(found.confidence, found.credit, found.clusters))
    assert raw is not None
    if sharpness < 1:
        assert raw > 0.65


def test_with_as_many_choices_everywhere_the_confidence_itself_ranks() -> None:
    confidence, credit = np.array([0.4, 0.9, 0.4, 0.6]), np.array([1.0, 1.0, 0.0, 1.0])
    same = rel.among_alike(confidence, credit, np.full(4, 3, dtype=np.intp))
    assert same[0] is confidence
    assert same[1] is credit
    places, shared = rel.among_alike(confidence, credit, np.array([3, 3, 3, 2]))
    assert places.tolist() == pytest.approx([1 / 6, 5 / 6, 1 / 2, 1 / 2])
    assert shared.tolist() == [0.5, 1.0, 0.5, 1.0]


def test_knowledge_still_shows_where_items_differ_in_their_choices() -> None:
    random = np.random.default_rng(1)
    answers = []
    for answer in _guesses(5, 0.5):
        scores, gold = list(answer.logprobs), answer.item.gold
        assert gold is not None
        scores[gold] += 3.0 * random.random()
        answers.append(ChoiceAnswer(answer.item, tuple(scores), answer.tokens))
    found = from_answers(answers)
    assert found is not None
    estimate = next(
        r.estimate for r in measured(_some_run(), found).rows if r.metric == "confidence_auroc"
    )
    assert estimate.low is not None
    assert estimate.low > 0.6
