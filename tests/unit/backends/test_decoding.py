"""Which token comes next, and who is in the batch when: on numbers that can be read off."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from slmbench.backends.decoding import Answer, Arrival, Room, Together, Words, choose
from slmbench.requests import GenerateRequest

P = np.array([0.5, 0.3, 0.15, 0.05])
LOGITS = (np.log(P) + 3).astype(np.float32)
END = 99


def request(**fields: Any) -> GenerateRequest:
    return GenerateRequest(**{"prompt": "", "max_tokens": 4, **fields})


def draws(temperature: float, count: int = 4000) -> np.ndarray[Any, Any]:
    found = Counter(
        choose(LOGITS, request(temperature=temperature, seed=seed), 0).token
        for seed in range(count)
    )
    return np.array([found[token] / count for token in range(4)])


def test_temperature_zero_is_the_arg_max() -> None:
    assert choose(LOGITS, request(seed=5), 3).token == 0
    assert choose(LOGITS, request(), 0).logprob is None


@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.0])
def test_draws_follow_the_softmax_at_the_temperature(temperature: float) -> None:
    expected = P ** (1 / temperature) / (P ** (1 / temperature)).sum()
    assert draws(temperature) == pytest.approx(expected, abs=4 * math.sqrt(0.25 / 4000))


def test_a_draw_depends_on_seed_and_position_alone() -> None:
    def told(seed: int) -> list[int]:
        one = request(temperature=1.0, seed=seed)
        return [choose(LOGITS, one, position).token for position in range(40)]

    assert told(1) == told(1) != told(2)
    assert len(set(told(1))) > 1, "positions do not share their draw"
    wider = np.concatenate((LOGITS, np.full(3, -np.inf, dtype=np.float32)))
    one = request(temperature=1.0, seed=1)
    assert [choose(wider, one, position).token for position in range(40)] == told(1)


def test_a_temperature_near_zero_is_greedy() -> None:
    assert {choose(LOGITS, request(temperature=1e-3, seed=s), 0).token for s in range(50)} == {0}


def test_log_p_is_that_of_temperature_one() -> None:
    for seed in range(10):
        found = choose(LOGITS, request(temperature=3.0, seed=seed, logprobs=True), 0)
        assert found.logprob == pytest.approx(math.log(P[found.token]), abs=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_no_token(bad: float) -> None:
    logits = LOGITS.copy()
    logits[2] = bad
    for fields in ({}, {"temperature": 1.0, "logprobs": True}):
        found = choose(logits, request(**fields), 0)
        assert (found.finite, found.logprob) == (False, None)


class Counting:
    """A batch that says prompt's last token + 1, + 2 …, and checks how it is used."""

    def __init__(self) -> None:
        self.live: dict[int, int] = {}
        self.log: list[tuple[str, int]] = []
        self.evaluated = 0
        self.preamble: tuple[int, ...] = ()

    def hold(self, preamble: tuple[int, ...]) -> None:
        self.preamble = preamble
        self.evaluated += len(preamble)

    def admit(self, arrivals: Sequence[Arrival]) -> Any:
        for arrival in arrivals:
            assert arrival.tokens
            self.evaluated += len(arrival.tokens)
            for slot in arrival.slots:
                assert slot not in self.live
                self.live[slot] = arrival.tokens[-1]
        self.log.append(("admit", len(arrivals)))
        return self._rows([arrival.tokens[-1] for arrival in arrivals])

    def advance(self, tokens: Mapping[int, int]) -> Any:
        assert set(tokens) == set(self.live)
        for slot, token in tokens.items():
            assert token == self.live[slot] + 1
            self.live[slot] = token
        self.log.append(("advance", len(tokens)))
        return self._rows(list(tokens.values()))

    def release(self, slots: Sequence[int]) -> None:
        for slot in slots:
            del self.live[slot]

    def _rows(self, last: Sequence[int]) -> Any:
        rows = np.zeros((len(last), 200), dtype=np.float32)
        rows[range(len(last)), [token + 1 for token in last]] = 9.0
        return rows


WORDS = Words(lambda ids: " ".join(map(str, ids)), lambda token: token == END)


def answer(prompt: tuple[int, ...], budget: int, **fields: Any) -> Answer:
    return Answer(request(max_tokens=max(budget, 1), **fields), prompt, budget, WORDS, 0)


def run(answers: Sequence[Answer], rows: int, cells: int = 1000) -> tuple[Counting, list[str]]:
    batch = Counting()
    told = [one.output().text for one in Together(batch, answers, Room(rows, cells)).run()]
    assert not batch.live, "nobody is left in the batch"
    return batch, told


def test_each_stops_on_its_own_and_the_next_takes_its_place() -> None:
    answers = [
        answer((1, 10), 5), answer((2, 97), 9), answer((3, 30), 2), answer((4, 40), 3),
        answer((5,), 0), answer((6, 60), 9, stop=("62",)),
    ]  # fmt: skip
    batch, told = run(answers, rows=2)
    assert told == ["11 12 13 14 15", "98", "31 32", "41 42 43", "", "61 "]
    assert max(count for what, count in batch.log if what == "advance") == 2
    assert [one.evaluated for one in answers] == [2, 2, 2, 2, 0, 2]
    assert answers[4].output().failure == "truncated_context"
    assert sum(count for what, count in batch.log if what == "advance") == 4 + 1 + 1 + 2 + 1


def test_answers_to_one_prompt_share_its_evaluation() -> None:
    answers = [answer((7, 8, 9), 3) for _ in range(4)] + [answer((1, 2), 2)]
    batch, told = run(answers, rows=8)
    assert told == ["10 11 12"] * 4 + ["3 4"]
    assert batch.log[0] == ("admit", 2)
    assert [one.evaluated for one in answers] == [3, 0, 0, 0, 2]
    assert batch.evaluated == 5


def test_what_all_prompts_begin_with_is_evaluated_once() -> None:
    shared = tuple(range(50, 70))
    answers = [answer((*shared, 1), 2), answer((*shared, 2, 3), 2), answer(shared, 2)]
    batch, told = run(answers, rows=4)
    assert told == ["2 3", "4 5", "70 71"]
    assert batch.preamble == shared[:-1], "each keeps a token of its own"
    assert [one.evaluated for one in answers] == [2, 3, 1]
    short = [answer((1, 2, at), 1) for at in range(3)]
    assert run(short, rows=4)[0].preamble == ()
    assert all(one.evaluated == 3 for one in short)


def test_no_more_are_admitted_than_the_cache_holds() -> None:
    answers = [answer((1, 10), 8) for _ in range(3)]
    batch, _ = run(answers, rows=8, cells=20)
    assert max(count for what, count in batch.log if what == "advance") == 2
    alone, _ = run([answer((1, 10), 8)], rows=8, cells=5)
    assert alone.log[0] == ("admit", 1), "a single one is always tried"


def test_answers_are_told_in_order_and_as_soon_as_known() -> None:
    answers = [answer((1,), 2), answer((2,), 50), answer((3,), 2)]
    batch = Counting()
    stream = Together(batch, answers, Room(3, 1000)).run()
    assert next(stream) is answers[0]
    assert not answers[1].done
    assert answers[2].done, "finished, and told when its turn comes"
    assert [one is other for one, other in zip(stream, answers[1:], strict=True)] == [True, True]


def test_rows_of_a_batch_share_their_time_stamps() -> None:
    answers = [answer((1,), 3), answer((2,), 3)]
    run(answers, rows=2)
    assert answers[0].times == answers[1].times
    assert answers[0].start_ns == answers[1].start_ns < answers[0].times[0]
