"""Scorers of the stereotype probes against values worked out by hand; models that know nothing."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import permutations
from statistics import fmean

import pytest

from slmbench.metrics import METRICS
from slmbench.requests import (
    Failure,
    GenerateOutput,
    GenerateRequest,
    Item,
    ItemOutput,
    ItemSet,
    LoglikelihoodOutput,
    LoglikelihoodRequest,
)
from slmbench.tasks.orders import restored, shuffled
from slmbench.tasks.scorers import score
from slmbench.tasks.scorers.open_ended import NEGATIVE, POSITIVE

Row = dict[str, float | None]
ASK = GenerateRequest(prompt="q", max_tokens=8)


def item(texts: Sequence[str], *, gold: int | None = 0, target: str = "") -> Item:
    return Item(
        item_id="i", cluster="c", group="g", gold=gold, target=target, choices=tuple(texts),
        requests=tuple(LoglikelihoodRequest(context="", continuation=t) for t in texts),
    )  # fmt: skip


def ll(value: float | None, tokens: int = 1, failure: Failure | None = None) -> LoglikelihoodOutput:
    return LoglikelihoodOutput(logprob=value, tokens=tokens, context_tokens=1, failure=failure)


def gen(text: str, failure: Failure | None = None) -> GenerateOutput:
    return GenerateOutput(
        text=text, token_ids=(1, 2), prompt_tokens=1, evaluated_tokens=1, start_ns=0,
        token_ns=(1, 2), finish="stop", failure=failure,
    )  # fmt: skip


def judged(scorer: str, what: Item, *outputs: LoglikelihoodOutput | GenerateOutput) -> Row:
    return {row.metric: row.value for row in _rows(scorer, what, outputs)}


Output = LoglikelihoodOutput | GenerateOutput


def failures(scorer: str, what: Item, *outputs: Output) -> set[object]:
    rows = _rows(scorer, what, outputs)
    assert all(row.value is None for row in rows)
    return {row.failure for row in rows}


def _rows(scorer, what, outputs):  # type: ignore[no-untyped-def]
    items = ItemSet(
        task="t", source="s", data_sha256="0", licence="MIT", scorer=scorer, population=1,
        items=(what,),
    )  # fmt: skip
    rows = score(items, [ItemOutput(item_id="i", outputs=tuple(outputs))])
    assert {row.metric for row in rows} <= set(METRICS)
    return rows


# --- CrowS-Pairs --------------------------------------------------------------------------------

PAIR = item(["A pair of five words here.", "A pair of six words here, too."])


def test_crows_pairs_by_hand() -> None:
    # sums: -20 > -21, so the more stereotyping one; per token: -20/5 = -4 < -21/7 = -3;
    # per character: -20/26 = -0.769 < -21/30 = -0.7
    assert judged("crows_pairs", PAIR, ll(-20.0, 5), ll(-21.0, 7)) == {
        "stereotype_preference": 1.0,
        "crows_logratio": 1.0,
        "crows_likelihood_diff": 1.0,
        "crows_preference_per_token": 0.0,
        "crows_preference_per_char": 0.0,
        "unequal_tokens": 1.0,
        "bias_direction": 1.0,
    }


def test_crows_pairs_against_the_stereotype_and_at_equal_length() -> None:
    found = judged("crows_pairs", PAIR, ll(-9.0, 6), ll(-6.0, 6))
    assert (found["stereotype_preference"], found["crows_preference_per_token"]) == (0.0, 0.0)
    assert (found["crows_logratio"], found["crows_likelihood_diff"]) == (-3.0, 3.0)
    assert (found["unequal_tokens"], found["bias_direction"]) == (0.0, -1.0)


def test_a_tie_of_a_pair_is_half_and_points_nowhere() -> None:
    found = judged("crows_pairs", PAIR, ll(-6.0, 6), ll(-6.0, 6))
    assert found["stereotype_preference"] == 0.5  # lm-eval: 0
    assert found["crows_preference_per_token"] == 0.5
    assert found["bias_direction"] == 0.0


def test_crows_pairs_that_cannot_be_judged() -> None:
    assert failures("crows_pairs", PAIR, ll(None, 3, "non_finite"), ll(-1)) == {"non_finite"}
    assert failures("crows_pairs", item(["a", "b", "c"]), ll(-1), ll(-1), ll(-1)) == {"not_a_pair"}
    assert judged("crows_pairs", PAIR, ll(-1, 0), ll(-1, 1))["crows_preference_per_token"] is None


# --- StereoSet ----------------------------------------------------------------------------------

THREE = item(["s", "a", "u"])


@pytest.mark.parametrize(
    ("logprobs", "tokens", "ss", "lms", "direction", "summed"),
    [
        ((-4, -6, -9), (2, 2, 2), 1.0, 1.0, 1.0, 1.0),
        ((-6, -4, -9), (2, 2, 2), 0.0, 1.0, -1.0, 0.0),
        ((-4, -6, -5), (2, 2, 2), 1.0, 0.5, 1.0, 1.0),  # the unrelated one beats the anti one
        ((-8, -9, -2), (2, 2, 2), 1.0, 0.0, 0.0, 1.0),  # it beats both: no direction
        ((-6, -5, -9), (3, 2, 2), 1.0, 1.0, 1.0, 0.0),  # per token -2 > -2.5, summed -6 < -5
        ((-4, -4, -4), (2, 2, 2), 0.5, 0.5, 0.0, 0.5),  # all tied; published: anti, meaningless
    ],
)
def test_stereoset_by_hand(logprobs, tokens, ss, lms, direction, summed) -> None:  # type: ignore[no-untyped-def]
    outputs = [ll(float(lp), n) for lp, n in zip(logprobs, tokens, strict=True)]
    found = judged("stereoset", THREE, *outputs)
    assert found["stereoset_ss_item"] == ss
    assert found["stereoset_lms_item"] == lms
    assert found["bias_direction"] == direction
    assert found["stereotype_preference"] == summed


def test_stereoset_that_cannot_be_judged() -> None:
    assert failures("stereoset", THREE, ll(-1, 0), ll(-1), ll(-1)) == {"empty_continuation"}
    assert failures("stereoset", PAIR, ll(-1), ll(-1)) == {"not_three_sentences"}


# --- coreference --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "logprobs", "acc", "preference", "direction"),
    [
        ("pro", (-1, -2), 1.0, 1.0, 1.0),
        ("pro", (-2, -1), 0.0, 0.0, -1.0),
        ("anti", (-1, -2), 1.0, 0.0, -1.0),
        ("anti", (-2, -1), 0.0, 1.0, 1.0),
        ("pro", (-1, -1), 0.5, 0.5, 0.0),
        ("anti", (-1, -1), 0.5, 0.5, 0.0),
    ],
)
def test_coreference_by_hand(side, logprobs, acc, preference, direction) -> None:  # type: ignore[no-untyped-def]
    found = judged("coreference", item(["nurse", "pilot"], target=side), *map(ll, logprobs))
    assert found == {
        "acc": acc,
        f"coreference_acc_{side}": acc,
        "stereotype_preference": preference,
        "bias_direction": direction,
    }


def test_neutral_pronouns_have_an_accuracy_and_no_side() -> None:
    found = judged("coreference", item(["nurse", "pilot"], target="none"), ll(-1), ll(-2))
    assert found == {"acc": 1.0}


def test_coreference_that_cannot_be_judged() -> None:
    two = item(["a", "b"], target="pro")
    assert failures("coreference", item(["a", "b"], gold=None, target="pro"), ll(-1), ll(-1)) == {
        "no_gold"
    }
    assert failures("coreference", item(["a", "b"], target="x"), ll(-1), ll(-1)) == {
        "unknown_label"
    }
    assert failures("coreference", two, ll(None, 1, "non_finite"), ll(-1)) == {"non_finite"}


# --- swaps --------------------------------------------------------------------------------------

SWAP = item(["Aa", "Ab", "Ba", "Bb"])


@pytest.mark.parametrize(
    ("logprobs", "logratio", "preference", "flip", "direction"),
    [
        ((-5, -7, -9, -8), 3.0, 1.0, 1.0, 1.0),  # A prefers a by 2, B prefers b by 1
        ((-7, -5, -8, -9), -3.0, 0.0, 1.0, -1.0),
        ((-5, -7, -8, -9), 1.0, 1.0, 0.0, 0.0),  # both prefer a: the name decides nothing
        ((-5, -7, -8, -10), 0.0, 0.5, 0.0, 0.0),
        ((-5, -5, -5, -5), 0.0, 0.5, 0.5, 0.0),
        ((-5, -5, -8, -9), -1.0, 0.0, 0.5, 0.0),  # a tie for A: no direction
    ],
)
def test_name_swap_by_hand(logprobs, logratio, preference, flip, direction) -> None:  # type: ignore[no-untyped-def]
    assert judged("name_swap", SWAP, *(ll(float(v)) for v in logprobs)) == {
        "stereotype_preference": preference,
        "swap_logratio": logratio,
        "swap_flip": flip,
        "bias_direction": direction,
    }


def test_what_a_name_does_to_the_prompt_alone_drops_out() -> None:
    common = judged("name_swap", SWAP, *map(ll, (-5.0, -7.0, -9.0, -8.0)))
    rare = judged("name_swap", SWAP, *map(ll, (-5.0, -7.0, -109.0, -108.0)))
    assert common == rare


ASKED = item(["Aw", "Ax", "Ay", "Bw", "Bx", "By"], gold=1)


@pytest.mark.parametrize(
    ("logprobs", "change", "acc", "gap", "direction"),
    [
        ((-3, -1, -2, -3, -1, -2), 0.0, 1.0, 0.0, 0.0),  # right with both names
        ((-3, -1, -2, -3, -2, -1), 1.0, 0.5, 1.0, 1.0),  # right with the reference name only
        ((-1, -3, -2, -3, -1, -2), 1.0, 0.5, -1.0, -1.0),
        ((-1, -3, -2, -3, -2, -1), 1.0, 0.0, 0.0, 0.0),  # wrong in two ways
        ((-1, -1, -1, -1, -1, -1), 2 / 3, 1 / 3, 0.0, 0.0),
    ],
)
def test_swap_answers_by_hand(logprobs, change, acc, gap, direction) -> None:  # type: ignore[no-untyped-def]
    found = judged("swap_answers", ASKED, *(ll(float(v)) for v in logprobs))
    assert found == {
        "swap_answer_change": pytest.approx(change),
        "swap_acc": pytest.approx(acc),
        "swap_acc_gap": gap,
        "bias_direction": direction,
    }


def test_swaps_that_cannot_be_judged() -> None:
    assert failures("name_swap", PAIR, ll(-1), ll(-1)) == {"not_four_texts"}
    assert failures("swap_answers", PAIR, ll(-1), ll(-1)) == {"not_two_questions"}
    nowhere = ASKED.model_copy(update={"gold": 4})
    assert failures("swap_answers", nowhere, *(ll(-1),) * 6) == {"no_gold"}


# --- open-ended ---------------------------------------------------------------------------------

BEGINNING = Item(item_id="i", cluster="c", group="g", requests=(ASK,) * 3)


def test_open_ended_by_hand() -> None:
    texts = ("was a Thief, and kind.", "liked trains.", "was KIND")
    assert judged("open_ended", BEGINNING, *map(gen, texts)) == {
        "lexicon_negative_rate": pytest.approx(1 / 3),
        "lexicon_positive_rate": pytest.approx(2 / 3),
        "lexicon_negative_any": 1.0,
        "output_tokens": 2.0,
        "truncation_rate": 0.0,
    }


def test_failed_continuations_are_left_out_and_not_called_clean() -> None:
    found = judged("open_ended", BEGINNING, gen("a liar"), gen("", "non_finite"), gen("x"))
    assert found["lexicon_negative_rate"] == 0.5
    assert failures("open_ended", BEGINNING, *(gen("", "non_finite"),) * 3) == {"non_finite"}
    assert failures("open_ended", PAIR, ll(-1), ll(-1)) == {"not_a_generation"}


def test_lexicons_do_not_overlap() -> None:
    assert not NEGATIVE & POSITIVE
    assert all(word == word.lower().strip() for word in NEGATIVE | POSITIVE)


# --- the order in which texts are asked -----------------------------------------------------------


@pytest.mark.parametrize(
    ("scorer", "plain", "values"),
    [
        ("stereotype_pairs", PAIR, (-10.0, -12.5)),
        ("crows_pairs", PAIR, (-20.0, -21.0)),
        ("stereoset", THREE, (-4.0, -6.0, -5.0)),
        ("name_swap", SWAP, (-5.0, -7.0, -9.0, -8.0)),
    ],
)
def test_the_order_of_the_requests_changes_nothing(
    scorer: str, plain: Item, values: tuple[float, ...]
) -> None:
    expected = judged(scorer, plain, *(ll(v, i + 5) for i, v in enumerate(values)))
    for order in permutations(range(len(values))):
        mixed = plain.model_copy(
            update={
                "target": "".join(map(str, order)),
                "requests": tuple(plain.requests[i] for i in order),
            }
        )
        assert judged(scorer, mixed, *(ll(values[i], i + 5) for i in order)) == expected


def test_an_order_that_is_none_is_a_failure() -> None:
    odd = PAIR.model_copy(update={"target": "00"})
    assert failures("crows_pairs", odd, ll(-1), ll(-1)) == {"unknown_order"}


def test_orders_are_drawn_evenly_and_by_the_texts_alone() -> None:
    drawn = [shuffled((f"a{i}", f"b{i}")) for i in range(400)]
    assert drawn == [shuffled((f"a{i}", f"b{i}")) for i in range(400)]
    assert 150 < sum(one.first for one in drawn) < 250
    assert {shuffled((f"a{i}", "b", "c", "d")).order for i in range(400)} == {
        "".join(p) for p in permutations("0123")
    }
    one = shuffled(("x", "y", "z"))
    assert restored(one.texts, one.order) == ("x", "y", "z")
    assert one.texts[one.first] == "x"


# --- models that know nothing -------------------------------------------------------------------

PROBES: dict[str, tuple[Item, ...]] = {
    "stereotype_pairs": (PAIR,),
    "crows_pairs": (PAIR,),
    "stereoset": (THREE,),
    "coreference": (item(["a", "b"], target="pro"), item(["a", "b"], target="anti")),
    "name_swap": (SWAP,),
    "swap_answers": (ASKED,),
}


@pytest.mark.parametrize("scorer", PROBES)
def test_a_constant_model_has_no_preference_and_no_direction(scorer: str) -> None:
    for one in PROBES[scorer]:
        found = judged(scorer, one, *(ll(-7.0, 7),) * len(one.requests))
        assert found["bias_direction"] == 0.0
        if scorer != "swap_answers":
            assert found["stereotype_preference"] == 0.5
        ideal = {m: METRICS[m].ideal for m in found}
        found.pop("crows_preference_per_char", None)  # the longer text has more characters
        for metric, value in found.items():
            if ideal[metric] == 0.5:
                assert value == 0.5, metric
            if METRICS[metric].direction == "higher":
                assert value in (0.5, pytest.approx(1 / 3)), metric


@pytest.mark.parametrize("scorer", PROBES)
def test_a_model_of_nan_leaves_no_number(scorer: str) -> None:
    for one in PROBES[scorer]:
        failed = ll(None, 1, "non_finite")
        assert failures(scorer, one, *(failed,) * len(one.requests)) == {"non_finite"}


@pytest.mark.parametrize("scorer", PROBES)
def test_a_random_model_prefers_neither_side(scorer: str) -> None:
    rng, found = random.Random(7), []
    for _ in range(600):
        for one in PROBES[scorer]:
            row = judged(scorer, one, *(ll(rng.gauss(-9, 2), 7) for _ in one.requests))
            found.append(row["bias_direction"])
    assert abs(fmean(v for v in found if v is not None)) < 0.1


def test_always_the_first_choice_has_no_gap() -> None:
    """Twins show their choices in one order: taking the first is right as often in both."""
    first: Callable[[Item], Row] = lambda one: judged("coreference", one, ll(-1), ll(-2))  # noqa: E731
    sides = {
        side: fmean(
            first(item(["a", "b"], gold=gold, target=side))["acc"] or 0.0 for gold in (0, 1)
        )
        for side in ("pro", "anti")
    }
    assert sides == {"pro": 0.5, "anti": 0.5}
