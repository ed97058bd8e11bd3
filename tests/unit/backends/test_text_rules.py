"""Boundary rules of LocalBackend, on a tokenizer whose merges can be read off the test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import pytest

from slmbench.backends.decoding import Room
from slmbench.backends.protocol import BackendError, Batching, LoadJob, Sharing
from slmbench.backends.steps import Decoder, Step
from slmbench.backends.text import LocalBackend
from slmbench.backends.units import TokenScore
from slmbench.prefix_tree import Ids, Pack, Pair
from slmbench.records import ModelInfo, Status
from slmbench.requests import (
    ChatMessage,
    GenerateRequest,
    LoglikelihoodRequest,
    RollingRequest,
)

PIECES = ("<s>", "</s>", " blue", "ab", "b ", *" abcdeghilnoprstuwy:\n.")
BOS, EOS = 0, 1


class Scripted(LocalBackend):
    """Longest match over PIECES; keeps what it was asked; decodes a given script."""

    exact = True

    def __init__(self, *, adds_bos: bool = False, limit: int = 100, script: str = "") -> None:
        self.adds_bos, self.limit = adds_bos, limit
        self.packs: list[list[Pair]] = []
        self.naive: list[Pair] = []
        self.script = (*self.encode(script, special=False), EOS)

    def load(self, job: LoadJob) -> ModelInfo:
        raise NotImplementedError

    def close(self) -> None: ...

    def vocab_size(self) -> int:
        return len(PIECES)

    def encode(self, text: str, *, special: bool) -> Ids:
        ids = [BOS] if special and self.adds_bos else []
        while text:
            fitting = [i for i, piece in enumerate(PIECES) if text.startswith(piece)]
            best = max(fitting, key=lambda i: len(PIECES[i]))
            ids.append(best)
            text = text[len(PIECES[best]) :]
        return tuple(ids)

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(PIECES[i] for i in ids if i > EOS)

    def _prefix(self) -> tuple[int, str]:
        return BOS, "<s>"

    def _render(self, messages: Sequence[ChatMessage], *, reply: bool) -> str:
        turns = "".join(f"{m.role}: {m.content}." for m in messages)
        return turns + ("\n" if reply else "")

    def _is_end(self, token: int) -> bool:
        return token == EOS

    def _limit(self) -> int:
        return self.limit

    def sharing(self) -> Sharing:
        return Sharing(self.exact)

    def _logprob_parts(self, ids: Ids, first: int) -> Any:
        raise NotImplementedError

    def _room(self) -> Room:
        return Room(1, self.limit, "it is a script")

    def _open_batch(self, *, many: bool) -> Any:
        raise NotImplementedError

    def _score_alone(self, pair: Pair) -> TokenScore:
        self.naive.append(pair)
        return TokenScore(-float(sum(pair.continuation)), greedy=True)

    def _score_pack(self, pack: Pack) -> Sequence[TokenScore]:
        self.packs.append(list(pack.pairs()))
        return [TokenScore(-float(sum(p.continuation)), greedy=True) for p in pack.pairs()]

    @property
    def scored(self) -> list[Pair]:
        return [pair for pack in self.packs for pair in pack] + self.naive

    def _decoder(self, rows: int) -> Decoder:
        return self

    def hold(self, before: Sequence[Ids]) -> None:
        assert list(before) == [()]

    def steps(self, prompts: Sequence[Ids]) -> Iterator[Step]:
        for at in count():
            token = self.script[min(at, len(self.script) - 1)]
            yield Step((token,), at, True, (len(prompts[0]),) if at == 0 else ())


def pair(context: str, continuation: str, *, adds_bos: bool = False) -> tuple[str, ...]:
    """The pieces scored for a request, context | continuation, pieces joined by ``_``."""
    backend = Scripted(adds_bos=adds_bos)
    list(backend.loglikelihood([LoglikelihoodRequest(context=context, continuation=continuation)]))
    (scored,) = backend.scored
    return tuple("_".join(PIECES[i] for i in ids) for ids in (scored.context, scored.continuation))


@pytest.mark.parametrize(
    ("context", "continuation", "expected"),
    [
        ("sky", " blue", ("s_k_y", " blue")),
        ("sky ", "blue", ("s_k_y", " blue")),
        ("sky \n", "blue", ("s_k_y", " _\n_b_l_u_e")),
        ("a", "b b", ("<s>", "ab_ _b")),  # "ab" is one piece: lm-eval would score " _b" only
        ("ska", "b", ("s_k", "ab")),
        ("", "blue", ("<s>", "b_l_u_e")),
        ("  ", "b", ("<s>", " _ _b")),
        ("", "<s>blue", ("<s>", "b_l_u_e")),
    ],
)
def test_where_the_continuation_begins(
    context: str, continuation: str, expected: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(__name__ + ".PIECES", (*PIECES, "k"))
    assert pair(context, continuation) == expected


def test_bos_comes_once() -> None:
    assert pair("the", " blue", adds_bos=True) == ("<s>_t_h_e", " blue")
    assert pair("<s>the", " blue", adds_bos=True) == ("<s>_t_h_e", " blue")
    assert pair("", "blue", adds_bos=True) == ("<s>", "b_l_u_e")


def test_a_straddling_token_is_scored_and_reported() -> None:
    outputs = list(
        Scripted().loglikelihood(
            [LoglikelihoodRequest(context=c, continuation="b") for c in ("a", "the a", "the")]
        )
    )
    assert [o.straddle for o in outputs] == [True, True, False]
    assert [o.tokens for o in outputs] == [1, 1, 1]
    assert [o.logprob for o in outputs] == [-3.0, -3.0, -float(PIECES.index("b"))]


def test_an_empty_continuation_fails() -> None:
    (output,) = Scripted().loglikelihood([LoglikelihoodRequest(context="the", continuation="")])
    assert (output.logprob, output.failure, output.tokens) == (None, "empty_continuation", 0)


def requests() -> list[LoglikelihoodRequest]:
    asked = (("the", " a"), ("his", " a"), ("his", " blue"), ("his ", "d"))
    return [LoglikelihoodRequest(context=c, continuation=t) for c, t in asked]


def test_what_requests_share_is_planned_and_answered_in_their_order() -> None:
    backend = Scripted()
    outputs = list(backend.loglikelihood(requests()))
    assert [len(pack) for pack in backend.packs] == [4]
    assert [o.logprob for o in outputs] == [
        -float(sum(backend.encode(text, special=False))) for text in (" a", " a", " blue", " d")
    ]


def test_the_naive_path_scores_every_request_from_scratch() -> None:
    asked = Scripted()
    naive = list(asked.loglikelihood(requests(), share=False))
    assert (len(asked.naive), asked.packs) == (4, [])
    inexact = Scripted()
    inexact.exact = False
    assert list(inexact.loglikelihood(requests())) == naive
    assert (len(inexact.naive), inexact.packs) == (4, [])


def test_answers_come_as_soon_as_they_are_known() -> None:
    backend = Scripted(limit=1500)
    many = [LoglikelihoodRequest(context=c * 900, continuation=" a") for c in "this"]
    next(iter(backend.loglikelihood(many)))
    assert len(backend.packs) == 1


@pytest.mark.parametrize("extra", [0, 1])
def test_the_context_may_be_filled_to_the_last_token(extra: int) -> None:
    backend = Scripted(limit=8)  # 4 + 5 tokens: the last is scored but never fed
    request = LoglikelihoodRequest(context="this", continuation="s" * (5 + extra))
    (output,) = backend.loglikelihood([request])
    assert output.failure == ("truncated_context" if extra else None)
    assert (output.context_tokens, output.tokens) == (4, 5 + extra)


@pytest.mark.parametrize("length", [1, 4, 5, 6, 10, 11, 23])
def test_rolling_windows_score_each_token_once_with_a_full_window(length: int) -> None:
    backend = Scripted(limit=5, adds_bos=True)
    text = ("this is another line " * 2)[:length]
    ids = backend.encode(text, special=False)
    (output,) = backend.loglikelihood([RollingRequest(text=text)])
    assert tuple(t for p in backend.scored for t in p.continuation) == ids
    whole = (BOS, *ids)
    at = 1
    for found in backend.scored:
        assert whole[at - len(found.context) : at] == found.context
        assert len(found.fed) == min(5, len(ids)), "the window is used in full"
        at += len(found.continuation)
    assert [w.tokens for w in output.windows] == [len(p.continuation) for p in backend.scored]
    assert sum(w.logprob for w in output.windows) == output.logprob
    assert (output.tokens, output.logprob) == (len(ids), -float(sum(ids)))


def windows(protocol: str, window: int, *, adds_bos: bool) -> list[tuple[Ids, Ids]]:
    backend = Scripted(adds_bos=adds_bos)
    request = RollingRequest(text="abcdeghil", protocol=protocol, window=window)
    list(backend.loglikelihood([request]))
    return [(p.context, p.continuation) for p in backend.scored]


def test_gptq_windows_are_disjoint_and_drop_the_tail() -> None:
    ids = Scripted().encode("abcdeghil", special=False)  # "ab" is one piece: eight in all
    assert windows("gptq", 3, adds_bos=False) == [
        (ids[:1], ids[1:3]), (ids[3:4], ids[4:6])]  # fmt: skip
    assert windows("gptq", 3, adds_bos=True) == [
        ((BOS,), ids[:2]), (ids[2:3], ids[3:5]), (ids[5:6], ids[6:8])]  # fmt: skip


def test_llama_cpp_windows_score_their_second_half_after_a_bos() -> None:
    ids = Scripted().encode("abcdeghil", special=False)
    assert windows("llama.cpp", 4, adds_bos=False) == [
        (ids[:3], ids[3:4]), (ids[4:7], ids[7:8])]  # fmt: skip
    assert windows("llama.cpp", 4, adds_bos=True) == [
        ((BOS, *ids[:2]), ids[2:3]), ((BOS, *ids[4:6]), ids[6:7])]  # fmt: skip


def test_a_window_beyond_the_context_is_refused_not_cut() -> None:
    request = RollingRequest(text="abcdeghil", protocol="gptq", window=101)
    (output,) = Scripted().loglikelihood([request])
    assert (output.failure, output.logprob) == ("truncated_context", None)


@pytest.mark.parametrize(
    ("script", "stop", "limit", "expected"),
    [
        ("blue is", (), 100, ("blue is", "stop", None, 8)),
        ("blue is", ("e i",), 100, ("blu", "stop", None, 6)),
        ("blue is", ("is", "u"), 100, ("bl", "stop", None, 3)),
        ("a blue", ("u", "l"), 100, ("a b", "stop", None, 2)),  # both in one token
        ("this is a long and old tale", (), 100, ("this is a ", "length", None, 10)),
        ("this is a long and old tale", (), 8, ("this ", "length", "truncated_context", 5)),
        ("blue", ("b",), 100, ("", "stop", "empty_output", 1)),
        ("", (), 100, ("", "stop", "empty_output", 1)),
    ],
)
def test_where_a_generation_ends(
    script: str, stop: tuple[str, ...], limit: int, expected: tuple[str, str, str | None, int]
) -> None:
    backend = Scripted(limit=limit, script=script)
    output = backend.generate(GenerateRequest(prompt="the", max_tokens=10, stop=stop))
    assert (output.text, output.finish, output.failure, len(output.token_ids)) == expected
    assert len(output.token_ns) == len(output.token_ids)
    assert output.evaluated_tokens == output.prompt_tokens == 3


def test_a_model_without_batches_answers_one_by_one_and_says_why() -> None:
    backend = Scripted(script="blue is")
    asked = [GenerateRequest(prompt="the", max_tokens=n) for n in (3, 10)]
    assert [o.text for o in backend.generate_many(asked)] == ["blu", "blue is"]
    assert backend.batching() == Batching(1, "it is a script")


def test_details_of_other_protocols_are_refused() -> None:
    request = RollingRequest(text="abcde", protocol="gptq", window=3, details=True)
    with pytest.raises(BackendError, match="details of every token") as caught:
        list(Scripted().loglikelihood([request]))
    assert caught.value.status is Status.INVALID


def test_an_empty_prompt_is_the_prefix_token() -> None:
    assert (
        Scripted(script="a").generate(GenerateRequest(prompt="", max_tokens=3)).prompt_tokens == 1
    )


def test_an_assistant_turn_at_the_end_is_continued() -> None:
    turns = (ChatMessage(role="user", content="hi"), ChatMessage(role="assistant", content="so "))
    assert Scripted().render(turns) == "user: hi.assistant: so"
    assert Scripted().render(turns[:1]) == "user: hi.\n"
    with pytest.raises(BackendError, match="without a single turn"):
        Scripted().render(())
