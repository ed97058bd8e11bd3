"""Each guard meets the bug that it is there for, and leaves honest runs alone."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest

import builders as b
from slmbench.analysis import MetricRow, load_results
from slmbench.requests import GenerateRequest, ItemSet

N = 60


def _honest(
    n: int, k: int, gold: list[int], *, seed: int = 0, skill: float = 1.0
) -> list[list[float]]:
    """Log-likelihoods of a model with some skill."""
    noise = random.Random(seed)
    return [[-60 + noise.gauss(0, 1) + skill * (c == gold[i]) for c in range(k)] for i in range(n)]


def _right(logprobs: list[list[float]], gold: list[int]) -> list[float]:
    return [float(max(v) == v[g]) for v, g in zip(logprobs, gold, strict=True)]


def _gold(n: int, k: int, seed: int = 1) -> list[int]:
    noise = random.Random(seed)
    return [noise.randrange(k) for _ in range(n)]


def _texts(n: int, k: int, seed: int = 2) -> list[tuple[str, ...]]:
    noise = random.Random(seed)
    return [tuple("x" * noise.randrange(3, 60) for _ in range(k)) for _ in range(n)]


def _row(root: Path, variant: str = "m", metric: str = "acc") -> MetricRow:
    rows = load_results(root).metric_rows
    return next(r for r in rows if r.run.spec.variant.name == variant and r.metric == metric)


def check_suspect(root: Path, *words: str, variant: str = "m", metric: str = "acc") -> None:
    row = _row(root, variant, metric)
    assert row.suspect, row
    for word in words:
        assert word in row.reason
    assert row.estimate.value is not None or row.estimate.n == 0


def _one(root: Path, items: ItemSet, logprobs: list[list[float | None]], **changes: object) -> None:
    """Store one run of variant m with these numbers and the scores that belong to them."""
    gold = [item.gold or 0 for item in items.items]
    right = changes.pop("right", None)
    if right is None:
        right = [
            None if None in v else float(v.index(max(x for x in v if x is not None)) == g)
            for v, g in zip(logprobs, gold, strict=True)
        ]
    tokens = int(str(changes.pop("tokens", 3)))
    outputs = b.answered(items, logprobs, tokens=tokens)
    b.Shelf(root).task(b.cell(b.variant("m"), b.task()), items, {"acc": right}, outputs=outputs)  # type: ignore[dict-item]


def test_an_honest_run_is_not_suspect(tmp_path: Path) -> None:
    gold = _gold(N, 4)
    for seed in range(20):
        logprobs = _honest(N, 4, gold, seed=seed, skill=0.5 * (seed % 5))
        _one(tmp_path / str(seed), b.choice_set(_texts(N, 4), gold), logprobs)  # type: ignore[arg-type]
        assert not _row(tmp_path / str(seed)).suspect, seed


def test_a_constant_model_on_truthfulqa_scores_everything_by_arg_max(tmp_path: Path) -> None:
    """np.argmax of equal numbers is 0, and the gold of TruthfulQA MC1 is always 0."""
    items = b.choice_set(_texts(N, 4), [0] * N, "truthfulqa_mc1")
    _one(tmp_path, items, [[-12.5] * 4] * N, right=[1.0] * N)
    check_suspect(tmp_path, "same log-likelihood", "60 of 60", "is the model loaded")


def test_a_nan_model_on_truthfulqa_scores_everything_by_arg_max(tmp_path: Path) -> None:
    """np.argmax of all-NaN is 0 too: a score although every answer failed."""
    items = b.choice_set(_texts(N, 4), [0] * N, "truthfulqa_mc1")
    _one(tmp_path, items, [[None] * 4] * N, right=[1.0] * N)
    check_suspect(tmp_path, "60 items have a score although their answers failed")


def test_a_perfect_model_with_gold_always_first_is_believed(tmp_path: Path) -> None:
    items = b.choice_set(_texts(N, 4), [0] * N)
    _one(tmp_path, items, _honest(N, 4, [0] * N, skill=30.0))  # type: ignore[arg-type]
    row = _row(tmp_path)
    assert row.estimate.value == 1.0
    assert not row.suspect


def test_a_server_that_ignores_logprobs(tmp_path: Path) -> None:
    """llama.cpp#27174: every choice scored 0.0, lm-eval saw exact chance."""
    _one(tmp_path, b.choice_set(_texts(N, 4), _gold(N, 4)), [[0.0] * 4] * N, right=[0.25] * N)
    check_suspect(tmp_path, "0.0", "does the engine return log-probabilities")


def test_an_empty_continuation_answered_by_zero(tmp_path: Path) -> None:
    """onnxruntime_genai: (0.0, True) for an empty continuation makes that choice win."""
    gold = _gold(N, 4)
    logprobs = _honest(N, 4, gold)
    for values in logprobs[::7]:
        values[2] = 0.0
    _one(tmp_path / "a", b.choice_set(_texts(N, 4), gold), logprobs)  # type: ignore[arg-type]
    check_suspect(tmp_path / "a", "probability exactly 1")
    _one(tmp_path / "b", b.choice_set(_texts(N, 4), gold), _honest(N, 4, gold), tokens=0)  # type: ignore[arg-type]
    check_suspect(tmp_path / "b", "scored on no token at all")
    logprobs = _honest(N, 4, gold)
    logprobs[3][1] = 0.7
    _one(tmp_path / "c", b.choice_set(_texts(N, 4), gold), logprobs)  # type: ignore[arg-type]
    check_suspect(tmp_path / "c", "above 0")


def test_a_missing_bos_token(tmp_path: Path) -> None:
    """lm-eval#2676: arc_easy .26 instead of .85 for want of BOS."""
    gold = _gold(100, 4)
    items = b.choice_set(_texts(100, 4), gold)
    shelf = b.Shelf(tmp_path)
    for name, parent, skill, bos in (("whole", None, 4.0, True), ("m", "whole", 0.0, False),
                                     ("weak", "whole", 0.0, True)):  # fmt: skip
        logprobs = _honest(100, 4, gold, seed=3 + bos + int(skill), skill=skill)
        first = (1, 450, 4996) if bos else (450, 4996)
        model = b.model(adds_bos=bos, first_ids=first, artefact_sha256=b.sha(name))
        shelf.task(b.cell(b.variant(name, parent=parent), b.task()), items,
                   {"acc": _right(logprobs, gold)}, outputs=b.answered(items, logprobs),
                   model=model)  # fmt: skip
    check_suspect(tmp_path, "BOS missing", "no BOS, 450 4996")
    assert not _row(tmp_path, "whole").suspect
    assert not _row(tmp_path, "weak").suspect, "a broken model is bad, not implausible"


def _questions(n: int, scorer: str = "exact_match") -> ItemSet:
    plain = b.choice_items("gsm8k", n)
    ask = GenerateRequest(prompt="question", max_tokens=64, stop=("\n",))
    items = [
        item.model_copy(update={"requests": (ask,), "gold": None, "choices": (), "target": str(i)})
        for i, item in enumerate(plain.items)
    ]
    return plain.model_copy(update={"items": tuple(items), "scorer": scorer})


def _generated(shelf: b.Shelf, name: str, texts: list[str], parent: str | None = None) -> None:
    items = _questions(len(texts))
    spec = b.cell(b.variant(name, parent=parent), b.task("gsm8k", "exact_match"))
    scores = {"exact_match": [None if not t else float(len(t) % 2) for t in texts]}
    shelf.task(spec, items, scores, outputs=b.written(items, texts))


def test_a_stop_sequence_that_ends_every_answer(tmp_path: Path) -> None:
    """lighteval#649: GSM8K .690 became .0015 with the stop sequence."""
    shelf = b.Shelf(tmp_path)
    _generated(shelf, "m", ["", "", ""] + [""] * 20 + ["The answer is 5", "7"])
    check_suspect(tmp_path, "23 of 25 answers are empty", "stop sequences", metric="exact_match")


def test_all_answers_empty_has_no_value_but_says_why(tmp_path: Path) -> None:
    _generated(b.Shelf(tmp_path), "m", [""] * 12)
    row = _row(tmp_path, metric="exact_match")
    assert row.suspect
    assert row.estimate.value is None
    assert "12 of 12 answers are empty" in row.reason
    assert "no item could be scored" in row.reason


def test_outputs_that_collapse_or_repeat(tmp_path: Path) -> None:
    noise = random.Random(4)
    shelf = b.Shelf(tmp_path)
    full = [" ".join(["so"] * noise.randrange(20, 40)) for _ in range(30)]
    _generated(shelf, "whole", full)
    _generated(shelf, "m", [str(i) for i in range(30)], "whole")
    _generated(shelf, "parrot", ["I am a language model"] * 29 + ["42"])
    _generated(
        shelf, "brief", [" ".join(t.split()[:8]) + str(i) for i, t in enumerate(full)], "whole"
    )
    check_suspect(tmp_path, "2.0 tokens on average", "parent's have", metric="exact_match")
    check_suspect(tmp_path, "29 of 30", "same text", variant="parrot", metric="exact_match")
    assert not _row(tmp_path, "whole", "exact_match").suspect
    assert not _row(tmp_path, "brief", "exact_match").suspect


def _halueval() -> ItemSet:
    """The hallucinated answer is the longer one in 93 of 100 items."""
    gold = [int(i % 100 < 93) for i in range(100)]
    noise = random.Random(8)
    pairs = [("no " * noise.randrange(2, 6), "no " * noise.randrange(9, 16)) for _ in range(100)]
    return b.choice_set(pairs, gold, "halueval_qa")


def test_the_longest_answer_on_halueval(tmp_path: Path) -> None:
    """HaluEval QA: "longer than 27 characters" scores 93 %."""
    items = _halueval()
    by_length = [[float(len(c)) - 100 for c in item.choices] for item in items.items]
    _one(tmp_path / "a", items, by_length)  # type: ignore[arg-type]
    check_suspect(tmp_path / "a", "longest answer", "100 of 100 predictions", "needs no question")
    able = _honest(100, 2, [i.gold or 0 for i in items.items], skill=4.0)
    _one(tmp_path / "b", items, able)  # type: ignore[arg-type]
    row = _row(tmp_path / "b")
    assert row.estimate.value is not None
    assert row.estimate.value > 0.9
    assert not row.suspect, "knowing the answers is no shortcut, though both are right"


def test_the_longest_answer_is_seen_in_scores_alone(tmp_path: Path) -> None:
    items = _halueval()
    right = [float(max(i.choices, key=len) == i.choices[i.gold or 0]) for i in items.items]
    b.Shelf(tmp_path).task(b.cell(b.variant("m"), b.task()), items, {"acc": right})
    check_suspect(tmp_path, "100 of 100 judgements", "longest answer")


def test_inverted_labels_score_below_chance(tmp_path: Path) -> None:
    gold = _gold(N, 4)
    logprobs = _honest(N, 4, gold, skill=5.0)
    wrong = [(g + 1) % 4 for g in gold]
    _one(tmp_path, b.choice_set(_texts(N, 4), wrong), logprobs)  # type: ignore[arg-type]
    check_suspect(tmp_path, "below guessing (25.0%)", "inverted")


def test_guessing_is_rarely_called_below_chance(tmp_path: Path) -> None:
    noise = random.Random(6)
    shelf = b.Shelf(tmp_path)
    items = b.choice_set([("A", "B", "C", "D")] * 40, _gold(40, 4))
    for i in range(80):
        right = [float(noise.random() < 0.25) for _ in range(40)]
        shelf.task(b.cell(b.variant(f"v{i}"), b.task()), items, {"acc": right})
    called = sum(r.suspect for r in load_results(tmp_path).metric_rows)
    assert called <= 3


def test_avoiding_the_unknown_option_is_a_finding_not_a_bug(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    items = b.choice_set([("A", "B", "C")] * N, _gold(N, 3))
    judged = {"bbq_acc_ambiguous": [0.0] * N}
    shelf.task(b.cell(b.variant("v"), b.task("slm_bbq", "bbq_acc_ambiguous")), items, judged)
    (row,) = [r for r in load_results(tmp_path).metric_rows if r.metric == "bbq_acc_ambiguous"]
    assert "below chance" in row.flags
    assert not row.suspect


@pytest.mark.parametrize(("task", "suspect"), [("slm_truthfulqa_binary", False), ("piqa", True)])
def test_questions_chosen_to_mislead_may_score_below_guessing(
    tmp_path: Path, task: str, suspect: bool
) -> None:
    items = b.choice_set([("A", "B")] * N, _gold(N, 2))
    right = [float(i % 5 == 0) for i in range(N)]
    b.Shelf(tmp_path).task(b.cell(b.variant("v"), b.task(task)), items, {"acc": right})
    (row,) = [r for r in load_results(tmp_path).metric_rows if r.metric == "acc"]
    assert "below chance" in row.flags
    assert row.suspect is suspect


def test_every_answer_is_the_same_letter(tmp_path: Path) -> None:
    gold = _gold(N, 4)
    logprobs = _honest(N, 4, gold)
    for values in logprobs:
        values[0] = -5.0
    _one(tmp_path, b.choice_set([("A", "B", "C", "D")] * N, gold), logprobs)  # type: ignore[arg-type]
    check_suspect(tmp_path, "60 of 60 predictions are choice 1")
    few = tmp_path / "few"
    _one(few, b.choice_set([("A", "B", "C", "D")] * 12, gold[:12]), logprobs[:12])  # type: ignore[arg-type]
    assert not _row(few).suspect


def _variant_run(shelf: b.Shelf, name: str, parent: str | None, artefact: str, seed: int) -> None:
    gold = _gold(N, 4)
    items, logprobs = b.choice_set(_texts(N, 4), gold), _honest(N, 4, gold, seed=seed)
    shelf.task(
        b.cell(b.variant(name, parent=parent), b.task()),
        items,
        {"acc": _right(logprobs, gold)},
        outputs=b.answered(items, logprobs),
        model=b.model(artefact_sha256=b.sha(artefact)),
    )


def test_a_variant_that_was_not_loaded(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    _variant_run(shelf, "whole", None, "a", 1)
    _variant_run(shelf, "m", "whole", "b", 1)
    _variant_run(shelf, "grandchild", "m", "c", 1)
    _variant_run(shelf, "copy", "whole", "a", 1)
    _variant_run(shelf, "real", "whole", "d", 2)
    check_suspect(tmp_path, "equal those of", "was this variant loaded")
    check_suspect(tmp_path, variant="grandchild")
    for honest in ("whole", "real", "copy"):
        assert not _row(tmp_path, honest).suspect, honest


def test_an_exact_copy_may_answer_alike(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    _variant_run(shelf, "whole", None, "a", 1)
    _variant_run(shelf, "copy", "whole", "a", 1)
    assert not _row(tmp_path, "copy").suspect
    assert not _row(tmp_path, "whole").suspect


def test_the_reason_travels_into_the_tables(tmp_path: Path) -> None:
    _one(tmp_path, b.choice_set(_texts(N, 4), _gold(N, 4)), [[0.0] * 4] * N, right=[0.25] * N)
    results = load_results(tmp_path)
    row = results.metrics().iloc[0]
    assert "suspect" in row["flags"].split("; ")
    assert "log-probabilities" in row["reason"]
    assert row["value"] == 0.25, "it stays visible"
    assert results.calibration()["flags"].str.contains("suspect").all()


def test_readings_are_judged_apart(tmp_path: Path) -> None:
    """Sums that favour the shortest answer say nothing against the score per character."""
    gold = _gold(N, 2)
    noise = random.Random(3)
    texts = [tuple("y" * (5 if c == i % 2 else 50) for c in range(2)) for i in range(N)]
    logprobs = [
        [-len(t) * (1.0 + 0.3 * noise.random() - 0.3 * (c == gold[i])) for c, t in enumerate(pair)]
        for i, pair in enumerate(texts)
    ]
    items = b.choice_set(texts, gold)
    norm = [
        float(v[g] / len(t[g]) > v[1 - g] / len(t[1 - g]))
        for v, t, g in zip(logprobs, texts, gold, strict=True)
    ]
    scores = {"acc": _right(logprobs, gold), "acc_norm": norm}
    spec = b.cell(b.variant("m"), b.task(primary="acc_norm"))
    b.Shelf(tmp_path).task(spec, items, scores, outputs=b.answered(items, logprobs))
    check_suspect(tmp_path, "shortest answer", metric="acc")
    assert not _row(tmp_path, metric="acc_norm").suspect
    assert math.isclose(_row(tmp_path, metric="acc").estimate.value or 0, 0.5, abs_tol=0.2)


@pytest.mark.parametrize("skill", [0.0, 3.0])
def test_pairs_in_a_fixed_order_are_no_position(tmp_path: Path, skill: float) -> None:
    """Where the order of the requests has a meaning, always the first is an answer."""
    items = b.choice_set(_texts(N, 3), [1] * N, "slm_counterfactual_context")
    items = items.model_copy(update={"scorer": "context_faithful"})
    logprobs = _honest(N, 3, [0] * N, skill=20 + skill)
    spec = b.cell(b.variant("m"), b.task("slm_counterfactual_context", "context_faithful"))
    b.Shelf(tmp_path).task(spec, items, {"context_faithful": [1.0] * N},
                           outputs=b.answered(items, logprobs))  # fmt: skip
    assert not _row(tmp_path, metric="context_faithful").suspect
