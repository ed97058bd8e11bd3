"""The loop of speculative decoding, with models that are arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import pytest

from slmbench.backends.protocol import BackendError
from slmbench.backends.speculative import Picks, SpeculativeDecoder, agreed, one_row, with_draft
from slmbench.backends.steps import Step, timed_steps
from slmbench.prefix_tree import Ids
from slmbench.records import ModelInfo, Status

Next = Callable[[Ids], int]


def target(before: Ids) -> int:
    """A greedy choice that depends on everything before it."""
    value = 7
    for token in before:
        value = (31 * value + token) % 101
    return value % 10


def wrong_every(count: int) -> Next:
    """The target's choice but where the length is a multiple of ``count``."""
    return lambda before: (target(before) + (len(before) % count == 0)) % 10


class Reader:
    """Keeps the tokens that it has read, and refuses what a cache could not hold."""

    def __init__(self, choose: Next, room: int = 64) -> None:
        self.choose, self.room = choose, room
        self.cache: Ids = ()
        self.calls: list[int] = []

    def clear(self) -> None:
        self.cache = ()

    def read(self, tokens: Ids, wanted: int) -> Picks:
        assert tokens, "an engine cannot evaluate nothing"
        self.calls.append(len(tokens))
        before, self.cache = self.cache, self.cache + tokens
        assert len(self.cache) <= self.room, "beyond the cache"
        ends = range(len(tokens) - wanted, len(tokens))
        return Picks(tuple(self.choose(before + tokens[: at + 1]) for at in ends), finite=True)

    def keep(self, length: int) -> None:
        assert 0 < length <= len(self.cache)
        self.cache = self.cache[:length]


def plain(prompt: Ids, n: int) -> Ids:
    """What the target writes alone."""
    text = prompt
    for _ in range(n):
        text += (target(text),)
    return text[len(prompt) :]


def written(prompt: Ids, n: int, draft: Reader, *, tokens: int, room: int = 64) -> list[Step]:
    decoder = SpeculativeDecoder(Reader(target, room), draft, tokens)
    decoder.hold(((),))
    return list(islice(decoder.steps((prompt,)), n))


PROMPT = (1, 5, 9)


@pytest.mark.parametrize("tokens", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("draft", [target, lambda _: 3, *map(wrong_every, (2, 3, 4, 5))])
def test_the_text_is_the_targets_own(draft: Next, tokens: int) -> None:
    steps = written(PROMPT, 30, Reader(draft), tokens=tokens)
    assert tuple(step.ids[0] for step in steps) == plain(PROMPT, 30)


def test_a_perfect_draft_is_always_accepted_and_saves_passes() -> None:
    model, draft = Reader(target), Reader(target)
    decoder = SpeculativeDecoder(model, draft, 4)
    decoder.hold(((),))
    steps = list(islice(decoder.steps((PROMPT,)), 21))
    assert sum(step.drafted for step in steps) == sum(step.accepted for step in steps) == 16
    assert model.calls == [3, 5, 5, 5, 5], "the prompt, then four proposals checked at a time"


def test_a_useless_draft_costs_a_pass_a_token() -> None:
    draft = Reader(lambda before: (target(before) + 1) % 10)
    steps = written(PROMPT, 11, draft, tokens=3)
    assert sum(step.accepted for step in steps) == 0
    assert sum(step.drafted for step in steps) == 30


def test_accepted_tokens_are_counted_up_to_the_first_refusal() -> None:
    assert agreed((4, 5, 6), (4, 5, 6, 7)) == 3
    assert agreed((4, 5, 6), (4, 9, 6, 7)) == 1
    assert agreed((), (4,)) == 0
    steps = written(PROMPT, 20, Reader(wrong_every(3)), tokens=4)
    rounds = [step for step in steps[1:] if step.drafted]
    by_hand = 0
    length = len(PROMPT) + 1  # tokens that stand when a round begins
    for step in rounds[:-1]:
        fits = next(i for i in range(5) if i == 4 or (length + i) % 3 == 0)
        assert step.accepted == fits
        length += fits + 1
        by_hand += 1
    assert by_hand > 3


def test_tokens_of_one_check_are_known_at_once() -> None:
    steps = written(PROMPT, 16, Reader(target), tokens=4)
    stamps = [step.at_ns for step in steps[1:]]
    assert len(set(stamps)) == 3
    assert stamps == sorted(stamps)
    assert all(not step.engine_ns for step in steps[1:] if not step.drafted)
    assert all(step.engine_ns for step in steps[1:] if step.drafted)


@pytest.mark.parametrize(("mine", "its"), [(20, 64), (64, 12), (20, 14), (24, 20)])
def test_it_ends_within_either_cache(mine: int, its: int) -> None:
    room = mine - len(PROMPT)
    for draft in (target, wrong_every(2)):
        steps = written(PROMPT, room, Reader(draft, its), tokens=5, room=mine)
        assert tuple(step.ids[0] for step in steps) == plain(PROMPT, room)


def test_what_is_held_is_read_by_both_before_the_clock_starts() -> None:
    model, draft = Reader(target), Reader(wrong_every(4))
    decoder = SpeculativeDecoder(model, draft, 2)
    timed = timed_steps(decoder, [(2, 4, 6, *PROMPT)], 12, 3)
    assert tuple(step.ids[0] for step in timed.steps) == plain((2, 4, 6, *PROMPT), 12)
    assert timed.steps[0].evaluated == (3,)
    assert model.calls[0] == draft.calls[0] == 3
    assert draft.calls[1] == len(PROMPT) + 1, "the prompt with the first token, when it proposes"
    assert timed.drafted >= timed.accepted > 0
    again = timed_steps(decoder, [PROMPT], 12, 0)
    assert tuple(step.ids[0] for step in again.steps) == plain(PROMPT, 12), "nothing is left"


def test_a_batch_is_refused() -> None:
    one_row(1)
    with pytest.raises(BackendError, match="batch of 2") as caught:
        one_row(2)
    assert caught.value.status is Status.UNSUPPORTED


@pytest.mark.parametrize(
    ("mine", "its", "both"), [(100, 40, 140), (100, None, None), (None, 1, None)]
)
def test_two_caches_are_one_cost_and_a_step_has_no_size(
    mine: int | None, its: int | None, both: int | None
) -> None:
    info = ModelInfo(
        artefact_sha256="0" * 64, artefact_bytes=9, weight_bytes=8, parameters=4,
        bits_per_weight=16.0, layers=1, hidden_size=4, vocab_size=10, context_train=64,
        kv_bytes_per_token=mine, adds_bos=False, decode_weight_bytes=8, matmul_parameters=4,
    )  # fmt: skip
    found = with_draft(info, its)
    assert found.kv_bytes_per_token == both
    assert (found.decode_weight_bytes, found.matmul_parameters) == (None, None)
    assert found.weight_bytes == 8
