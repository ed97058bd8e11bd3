"""The judges: numbers in, verdict out, each broken in the way that it is there to see."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders import choice_items, choice_set
from slmbench.gates import logprob_parity, noise_floor, sentinels, tokenizer_parity
from slmbench.gates.noise_floor import Answer, Change, compare_answers, judge_floor
from slmbench.gates.result import TITLES, GateResult
from slmbench.gates.sentinels import judge_sentinels, sentinel_of
from slmbench.gates.strings import strings
from slmbench.gates.tokenizer_parity import Encoded, judge_tokenizers
from slmbench.records import ScoreRow, Status
from slmbench.requests import LoglikelihoodRequest
from slmbench.store.gates import FLOOR_FLIPS, FLOOR_MAX


def value(result: GateResult, name: str) -> float | None:
    return next(n.value for n in result.numbers if n.name == name)


# --- strings ----------------------------------------------------------------------------------


def test_strings_are_many_different_and_always_the_same() -> None:
    found = strings(marks=("<|im_end|>",), more=("a prompt",))
    assert len(found) == len(set(found)) >= 1200
    assert found == strings(marks=("<|im_end|>",), more=("a prompt",))
    assert {"", " ", "\n\n", "\t", "a prompt", "<|im_end|>Hello", "e\u0301"} <= set(found)


@pytest.mark.parametrize(
    "holds",
    [
        lambda t: t.startswith(" "),
        lambda t: t.endswith(" "),
        lambda t: "\n" in t,
        lambda t: any("\u0300" <= c <= "\u036f" for c in t),
        lambda t: any(ord(c) > 0xFFFF for c in t),
        lambda t: "://" in t,
        lambda t: any("\u0590" <= c <= "\u06ff" for c in t),
        lambda t: any("\u4e00" <= c <= "\u9fff" for c in t),
        lambda t: "<|" in t,
        lambda t: sum(c.isdigit() for c in t) > 3,
    ],
)
def test_strings_hold_what_tokenizers_disagree_about(holds: Any) -> None:
    assert sum(map(holds, strings())) >= 20


# --- G1 ---------------------------------------------------------------------------------------


def encoded(texts: list[str], name: str = "a", *, bos: bool = False, **changed: int) -> Encoded:
    """One id a byte; ``changed`` puts another id for that text's first byte."""
    ids = [tuple(t.encode()) for t in texts]
    rows = [(changed[t], *i[1:]) if t in changed else i for t, i in zip(texts, ids, strict=True)]
    special = [(1, *row) if bos else row for row in rows]
    return Encoded(name, tuple(special), tuple(rows), bos)


def test_equal_tokenizers_pass_and_say_how_many_strings() -> None:
    texts = [f"text {i}" for i in range(1000)]
    result = judge_tokenizers(texts, encoded(texts), encoded(texts, "b"))
    assert result.verdict == "passed"
    assert value(result, "strings") == 1000
    assert result.reason == "a against b"


def test_too_few_strings_prove_nothing() -> None:
    texts = [f"text {i}" for i in range(999)]
    result = judge_tokenizers(texts, encoded(texts), encoded(texts, "b"))
    assert result.verdict == "failed"
    assert "strings is 999, at least 1000" in result.reason


def test_one_other_id_fails_and_is_shown() -> None:
    texts = [f"text{i}" for i in range(1000)]
    result = judge_tokenizers(texts, encoded(texts), encoded(texts, "b", text7=9))
    assert result.verdict == "failed"
    assert value(result, "mismatches") == value(result, "mismatches without BOS") == 1
    assert "'text7'" in result.details[0]
    assert "b: [9, 101" in result.details[0]


def test_a_dropped_bos_is_seen() -> None:
    texts = [f"text {i}" for i in range(1000)]
    result = judge_tokenizers(texts, encoded(texts, bos=True), encoded(texts, "b"))
    assert result.verdict == "failed"
    assert value(result, "BOS handling differs") == 1
    assert value(result, "mismatches without BOS") == 0
    assert len(result.details) == 5


# --- G2 ---------------------------------------------------------------------------------------


def log_softmax(logits: Any) -> Any:
    shifted = logits - logits.max(-1, keepdims=True)
    return (shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))).astype(np.float32)


def test_divergence_is_the_textbook_one() -> None:
    p = np.log(np.array([[0.5, 0.25, 0.25], [0.8, 0.1, 0.1]], np.float32))
    q = np.log(np.array([[0.25, 0.5, 0.25], [0.8, 0.1, 0.1]], np.float32))
    found = logprob_parity.compare_rows(p, q, [0, 2])
    assert (found.positions, found.same_top) == (2, 1)
    assert found.kld_sum == pytest.approx(0.25 * math.log(2), rel=1e-6)
    assert found.token_delta_sum == pytest.approx(math.log(2), rel=1e-6)


def test_rounding_of_the_sum_is_no_divergence() -> None:
    """All values of a row off by 1e-4, as a float32 normalisation over a large vocabulary is."""
    rows = log_softmax(np.random.default_rng(0).normal(size=(20, 500)))
    found = logprob_parity.compare_rows(rows, rows + np.float32(1e-4), [0] * 20)
    assert abs(found.kld_sum) < 1e-6


def test_rows_on_disk_belong_to_the_token_that_follows(tmp_path: Path) -> None:
    p = log_softmax(np.random.default_rng(1).normal(size=(3, 7)))
    q = p.copy()
    q[np.arange(3), [4, 5, 6]] -= np.float32(0.5)
    np.save(tmp_path / "p.npy", p)
    np.save(tmp_path / "q.npy", q)
    pairs = [(tmp_path / "p.npy", tmp_path / "q.npy")]
    found = logprob_parity.compare_files(pairs, [(0, 4, 5, 6)])
    assert found.token_delta_sum == pytest.approx(1.5, rel=1e-5)


def test_a_token_that_one_vocabulary_lacks_is_no_parity() -> None:
    p, q = log_softmax(np.zeros((2, 9))), log_softmax(np.zeros((2, 7)))
    assert logprob_parity.compare_rows(p, q, [0, 1]).positions == 2
    assert math.isnan(logprob_parity.compare_rows(p, q, [0, 8]).kld_sum)


GOOD = logprob_parity.Distributions(100, 100, 1e-7, 1e-3)
SUMS: list[float | None] = [-20.0 + i / 7 for i in range(60)]


def test_parity_passes_within_its_tolerances() -> None:
    close = [s + 5e-4 for s in SUMS if s is not None]
    result = logprob_parity.judge_logprobs(SUMS, close, GOOD, "a against b")
    assert result.verdict == "passed"
    assert value(result, "max |Δ| of a sum") == pytest.approx(5e-4)


@pytest.mark.parametrize(
    ("sums", "rows", "broken"),
    [
        ([*SUMS[:-1], -2.0], GOOD, "max |Δ| of a sum"),
        ([s + 2e-3 for s in SUMS if s], GOOD, "mean |Δ| of a sum"),
        ([*SUMS[:-1], None], GOOD, "unscored sums"),
        (SUMS, logprob_parity.Distributions(100, 90, 1e-7, 1e-3), "same top token"),
        (SUMS, logprob_parity.Distributions(100, 100, 1.0, 1e-3), "mean KLD"),
        (SUMS, logprob_parity.Distributions(100, 100, 1e-7, 9.0), "mean |Δ| of a token"),
        (SUMS, logprob_parity.Distributions(100, 100, math.nan, 1e-3), "mean KLD could not"),
        (SUMS, logprob_parity.Distributions(0, 0, 0.0, 0.0), "positions"),
    ],
)
def test_parity_breaks_on_each_number(sums: list[float | None], rows: Any, broken: str) -> None:
    names = [f"item {i}" for i in range(60)]
    result = logprob_parity.judge_logprobs(SUMS, sums, rows, "a against b", names)
    assert result.verdict == "failed"
    assert broken in result.reason
    if sums[-1] != SUMS[-1]:
        assert result.details[0].startswith("item ")


# --- G3 ---------------------------------------------------------------------------------------


def answers(n: int = 20, *, noise: float = 0.0, flipped: int = 0, **changes: Any) -> list[Answer]:
    """Two choices each; the first is right and best; in the last ``flipped`` the other one is."""
    rows = []
    for i in range(n):
        best = (-10.0 + noise, -12.0 - noise)
        found = best[::-1] if i >= n - flipped else best
        rows.append(Answer(f"q{i}", found, (5, 5), 0, **changes))
    return rows


def judge(base: list[Answer], again: list[Answer], *, exact: bool = True) -> GateResult:
    changes = {"other batch": compare_answers(base, again[::-1])}
    return judge_floor(changes, exact=exact, about="x")


def test_the_same_answers_in_another_order_pass() -> None:
    result = judge(answers(), answers(noise=4e-4))
    assert result.verdict == "passed"
    assert value(result, FLOOR_MAX) == pytest.approx(4e-4)
    assert value(result, FLOOR_FLIPS) == 0
    assert result.details == ("other batch: 0 of 20 answers changed, max |Δ| 0.0004 nats",)


def test_float32_may_change_no_answer_and_no_sum() -> None:
    assert "max |Δ| is 0.01" in judge(answers(), answers(noise=0.01)).reason
    result = judge(answers(), answers(flipped=1))
    assert result.verdict == "failed"
    assert value(result, FLOOR_FLIPS) == pytest.approx(0.05)


def test_rounded_activations_are_a_floor_and_pass() -> None:
    result = judge(answers(), answers(noise=0.7, flipped=2), exact=False)
    assert result.verdict == "passed"
    assert value(result, FLOOR_FLIPS) == pytest.approx(0.1)
    assert value(result, FLOOR_MAX) == pytest.approx(2.7)


def test_an_a_a_pair_that_a_test_tells_apart_fails() -> None:
    result = judge(answers(), answers(flipped=8), exact=False)
    assert result.verdict == "failed"
    assert "McNemar p" in result.reason


@pytest.mark.parametrize(
    "again",
    [
        [*answers(19), Answer("q19", (None, -3.0), (5, 5), 0)],
        answers(19),
        answers(cached=True),
    ],
)
def test_answers_that_are_missing_or_from_a_cache_prove_nothing(again: list[Answer]) -> None:
    result = judge(answers(), again)
    assert result.verdict == "failed"
    assert "unscored items" in result.reason or "from the cache" in result.reason


def test_no_answers_at_all_fail() -> None:
    assert judge_floor({}, exact=False, about="x").verdict == "failed"
    nothing = Change(items=0, flips=0, down=0, up=0, deltas=(), unscored=0, cached=0)
    assert judge_floor({"x": nothing}, exact=True, about="x").verdict == "failed"


# --- G4 ---------------------------------------------------------------------------------------


def rows_of(values: list[float | None], metric: str = "acc") -> list[ScoreRow]:
    return [
        ScoreRow(item_id=f"i{i}", cluster="c", group="", metric=metric, value=v,
                 failure=None if v is not None else "non_finite")
        for i, v in enumerate(values)
    ]  # fmt: skip


def sentinel(mode: Any, values: list[float | None], *, metric: str = "acc", **kind: Any) -> Any:
    items = choice_items("t", len(values))
    status = kind.get("status", Status.OK)
    return sentinel_of(items, metric, mode, status, rows_of(values, metric))


def test_an_argmax_over_nothing_that_scores_everything_is_caught() -> None:
    """The historic bug: arg max over all-NaN or all-equal is index 0, and gold is always 0."""
    for mode in ("nan", "constant", "random", "abstain", "first", "longest"):
        result = judge_sentinels([sentinel(mode, [1.0] * 100)])
        assert result.verdict == "failed", mode
        assert f"t, {mode} model" in result.details[0]


def test_chance_passes_and_an_error_passes() -> None:
    chance: list[float | None] = [1.0, 0.0, 0.0, 0.0] * 25
    found = [
        sentinel("random", chance),
        sentinel("constant", [0.25] * 100),
        sentinel("nan", [None] * 100),
        sentinel("constant", [], status=Status.INVALID),
    ]
    assert judge_sentinels(found).verdict == "passed"


def test_a_dead_model_below_chance_is_caught_too() -> None:
    assert judge_sentinels([sentinel("constant", [0.0] * 100)]).verdict == "failed"


def test_choosing_the_shortest_is_what_a_constant_model_does() -> None:
    """Raw sums: on data whose right answer is often the shortest it beats chance, rightly."""
    items = choice_items("t", 100)
    short = tuple(
        i.model_copy(update={"requests": tuple(
            r.model_copy(update={"continuation": " x" if c == 0 else " longer"})
            for c, r in enumerate(i.requests))})
        for i in items.items
    )  # fmt: skip
    shortest = items.model_copy(update={"items": short})
    one = sentinel_of(shortest, "acc", "constant", Status.OK, rows_of([1.0] * 100))
    assert one.expected == (0.25, 1.0)
    assert judge_sentinels([one]).verdict == "passed"
    other = sentinel_of(shortest, "acc", "random", Status.OK, rows_of([1.0] * 100))
    assert judge_sentinels([other]).verdict == "failed"


def test_rates_without_a_chance_level_must_be_near_nothing() -> None:
    quiet = sentinel("random", [0.0] * 99 + [1.0], metric="exact_match")
    loud = sentinel("random", [0.0, 1.0] * 50, metric="exact_match")
    assert judge_sentinels([quiet]).verdict == "passed"
    assert judge_sentinels([loud]).verdict == "failed"


def test_what_abstains_always_is_right_at_most_half_the_time() -> None:
    half = sentinel("abstain", [0.0, 1.0] * 50, metric="exact_match")
    most = sentinel("abstain", [0.0, 1.0, 1.0, 1.0] * 25, metric="exact_match")
    assert judge_sentinels([half]).verdict == "passed"
    assert judge_sentinels([most]).verdict == "failed"


def test_place_and_length_explain_what_the_items_say_but_never_nearly_all() -> None:
    """The right answer stands first, and is the longest, in ``share`` of a hundred items."""

    def judged(mode: Any, share: float) -> str:
        texts = [(("xxxx", "y") if i < 100 * share else ("y", "xxxx")) for i in range(100)]
        items = choice_set(texts, [0] * 100)
        long_first = tuple(
            item.model_copy(update={
                "gold": 0 if i < 100 * share else 1 if mode == "first" else 0,
                "requests": tuple(LoglikelihoodRequest(context="q", continuation=f" {c}")
                                  for c in item.choices),
            })
            for i, item in enumerate(items.items)
        )  # fmt: skip
        values: list[float | None] = [float(i < 100 * share) for i in range(100)]
        items = items.model_copy(update={"items": long_first})
        one = sentinel_of(items, "acc", mode, Status.OK, rows_of(values))
        return judge_sentinels([one]).verdict

    for mode in ("first", "longest"):
        assert judged(mode, 0.75) == "passed"
        assert judged(mode, 0.25) == "passed"
        assert judged(mode, 0.95) == "failed"
    assert judged("random", 0.75) == "failed"


def test_no_task_is_no_pass_and_skipped_ones_are_listed() -> None:
    result = judge_sentinels([], ["mmlu: no data"])
    assert result.verdict == "failed"
    assert result.details == ("not tried: mmlu: no data",)


def test_every_gate_has_its_title() -> None:
    gates = {m.GATE for m in (tokenizer_parity, logprob_parity, noise_floor, sentinels)}
    assert gates == set(TITLES)
