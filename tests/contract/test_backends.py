"""What every backend must do, whatever engine is behind it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backend_engines as engines
from backend_engines import CONTEXT, Engine
from slmbench.backends import CAPABILITIES
from slmbench.backends.protocol import BackendError
from slmbench.records import ModelInfo, Status
from slmbench.requests import (
    ChatMessage,
    GenerateRequest,
    LoglikelihoodRequest,
    RollingRequest,
)

NOISE = 1e-3
"""Largest difference in nats that the order of floating-point sums may make."""
ROUNDING = 1.0
"""The same for quantized weights, whose kernels round activations to 8 bits [nats per request]."""


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(engines.fake, id="fake"),
        pytest.param(engines.llama_cpp, id="llama_cpp", marks=pytest.mark.engine),
        pytest.param(engines.onnxruntime, id="onnxruntime", marks=pytest.mark.engine),
        pytest.param(engines.transformers, id="transformers", marks=pytest.mark.engine),
    ],
)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    make: Callable[[Path], Engine] = request.param
    return make(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def loaded(engine: Engine) -> Iterator[tuple[Any, ModelInfo]]:
    backend, info = engine.start()
    yield backend, info
    backend.close()


@pytest.fixture(scope="module")
def backend(loaded: tuple[Any, ModelInfo]) -> Any:
    return loaded[0]


def ask(context: Any, continuation: str) -> LoglikelihoodRequest:
    return LoglikelihoodRequest(context=context, continuation=continuation)


REQUESTS = (
    ask("The sky is", " blue."),
    ask("Two and two make", " five, at times"),
    ask("The sky is", " green and full of cheese"),
    ask("", "Nothing stands before this."),
    ask("The sky is", " a"),
    ask("Two and two make", " four"),
)


def values(outputs: Any) -> list[float]:
    found = list(outputs)
    assert all(o.failure is None for o in found)
    return [o.logprob for o in found]


def test_load_describes_the_model(loaded: tuple[Any, ModelInfo], engine: Engine) -> None:
    backend, info = loaded
    assert info.artefact_sha256 == "ab" * 32
    assert info.bits_per_weight == pytest.approx(8 * info.weight_bytes / info.parameters)
    assert info.artefact_bytes >= info.weight_bytes > 0
    assert info.layers >= 1
    assert info.engine_version
    assert 1 <= len(info.first_ids) <= 8
    assert 0 < backend.vocab_size() <= info.vocab_size
    assert type(backend).capabilities == CAPABILITIES[engine.name]


def test_answers_are_log_probabilities(backend: Any) -> None:
    outputs = list(backend.loglikelihood(REQUESTS))
    assert len(outputs) == len(REQUESTS)
    assert all(o.logprob < 0 and o.tokens >= 1 and o.context_tokens >= 1 for o in outputs)


def test_order_and_grouping_do_not_matter(backend: Any, engine: Engine) -> None:
    noise = ROUNDING if engine.name == "llama_cpp" else NOISE
    together = values(backend.loglikelihood(REQUESTS))
    alone = [values(backend.loglikelihood([r]))[0] for r in REQUESTS]
    backwards = values(backend.loglikelihood(REQUESTS[::-1]))[::-1]
    assert together == pytest.approx(alone, abs=noise)
    assert together == pytest.approx(backwards, abs=noise)
    assert len(set(together)) == len(together)


def test_sharing_is_exact_and_the_naive_path_agrees(backend: Any, engine: Engine) -> None:
    assert backend.sharing().exact, backend.sharing().reason
    noise = ROUNDING if engine.name == "llama_cpp" else NOISE
    shared = values(backend.loglikelihood(REQUESTS))
    assert shared == pytest.approx(values(backend.loglikelihood(REQUESTS, share=False)), abs=noise)
    assert shared == values(backend.loglikelihood(REQUESTS)), "the same packs, the same bits"


def test_next_logprobs_are_what_is_scored(backend: Any) -> None:
    context, continuation = (backend.encode(t, special=False) for t in ("The sky is", " blue."))
    ids = context + continuation
    rows = backend.next_logprobs(ids, len(context))
    assert rows.shape[0] == len(continuation)
    assert rows.shape[1] >= backend.vocab_size()
    assert rows.dtype.name == "float32"
    assert np.exp(rows.astype(float)).sum(1) == pytest.approx(1.0, abs=1e-4)
    told = sum(float(row[token]) for row, token in zip(rows, continuation, strict=True))
    (scored,) = values(backend.loglikelihood([ask("The sky is", " blue.")], share=False))
    assert told == pytest.approx(scored, abs=NOISE)


def test_probabilities_multiply_along_the_text(backend: Any) -> None:
    whole, first, second = values(
        backend.loglikelihood(
            [ask("Once", " upon a"), ask("Once", " upon"), ask("Once upon", " a")]
        )
    )
    assert whole == pytest.approx(first + second, abs=0.02)


def test_rolling_scores_every_token_once(backend: Any) -> None:
    text = "A short text, scored from its first token."
    rolling, plain = backend.loglikelihood([RollingRequest(text=text), ask("", text)])
    assert rolling.tokens == plain.tokens
    assert rolling.logprob == pytest.approx(plain.logprob, abs=NOISE)
    assert [(w.tokens, w.logprob) for w in rolling.windows] == [(rolling.tokens, rolling.logprob)]


def test_rolling_goes_beyond_the_context(backend: Any) -> None:
    text = "Many words make a long text. " * 60
    (output,) = backend.loglikelihood([RollingRequest(text=text)])
    assert output.tokens > CONTEXT
    assert output.failure is None
    assert output.logprob < 0


def test_greedy_is_what_generate_says(backend: Any) -> None:
    seen = 0
    for prompt in ("The capital of France is", "One, two, three,", "I like", "She", "Cats and"):
        ids = backend.encode(prompt, special=True)
        (output,) = backend.generate_ids([ids], 1)
        text = backend.decode(output.token_ids)
        whole = backend.encode(prompt + text, special=True)
        if whole != ids + output.token_ids or not text:
            continue  # the token is not what this text is encoded as
        seen += 1
        best, other = backend.loglikelihood([ask(prompt, text), ask(prompt, "\u00a7")])
        assert best.greedy is True
        assert other.greedy is False
        assert best.logprob > other.logprob
        assert backend.generate(GenerateRequest(prompt=prompt, max_tokens=1)).token_ids == (
            output.token_ids
        )
    assert seen


@pytest.mark.parametrize(
    ("request_", "failure"),
    [
        (ask("Something", ""), "empty_continuation"),
        (ask("", ""), "empty_continuation"),
        (RollingRequest(text=""), "empty_continuation"),
        (ask("word " * 400, " end"), "truncated_context"),
        (ask("Start", " word" * 400), "truncated_context"),
    ],
)
def test_what_cannot_be_scored_fails_closed(backend: Any, request_: Any, failure: str) -> None:
    good = ask("The sky is", " blue.")
    before, output, after = backend.loglikelihood([good, request_, good])
    assert (output.logprob, output.greedy, output.failure) == (None, None, failure)
    assert before.logprob == pytest.approx(after.logprob, abs=NOISE)


def test_prompt_without_room_fails_closed(backend: Any) -> None:
    output = backend.generate(GenerateRequest(prompt="word " * 400, max_tokens=4))
    assert output.failure == "truncated_context"
    assert output.token_ids == ()
    assert output.prompt_tokens > CONTEXT


def test_nan_fails_closed(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    backend, _ = engine.start(**({"mode": "nan"} if engine.name == "fake" else {}))
    engines.poison(engine.name, backend, monkeypatch)
    outputs = list(backend.loglikelihood([*REQUESTS, RollingRequest(text="Some text")]))
    assert {o.failure for o in outputs} == {"non_finite"}
    assert all(o.logprob is None and o.greedy is None for o in outputs)
    assert backend.generate(GenerateRequest(prompt="A", max_tokens=3)).failure == "non_finite"
    assert backend.generate_ids([[1, 2, 3]], 2)[0].failure == "non_finite"
    backend.close()


def test_no_prompt_is_served_from_a_cache(backend: Any) -> None:
    prompt = list(range(20, 52))
    outputs = [backend.generate_ids([prompt], 3)[0] for _ in range(3)]
    assert [o.evaluated_tokens for o in outputs] == [32, 32, 32]
    assert {o.token_ids for o in outputs} == {outputs[0].token_ids}
    again = [backend.generate(GenerateRequest(prompt="Same words", max_tokens=2)) for _ in "ab"]
    assert all(o.evaluated_tokens == o.prompt_tokens > 0 for o in again)


def test_every_token_has_its_time(backend: Any) -> None:
    for output in backend.generate_ids([list(range(20, 30)), list(range(30, 40))], 5):
        assert len(output.token_ids) == len(output.token_ns) == 5
        assert output.start_ns < output.token_ns[0]
        assert all(a < b for a, b in pairwise(output.token_ns))
        assert output.finish == "length"


def test_a_batch_answers_as_its_rows_do(backend: Any) -> None:
    prompts = [list(range(20, 60)), list(range(90, 100))]
    batch = backend.generate_ids(prompts, 3)
    assert [o.token_ids for o in batch] == [
        backend.generate_ids([p], 3)[0].token_ids for p in prompts
    ]
    assert [o.prompt_tokens for o in batch] == [o.evaluated_tokens for o in batch] == [40, 10]


def _batch_at_a_depth(engine: Engine, prompts: list[list[int]]) -> list[list[int]]:
    """The prompts; the first alone where the engine cannot hold a batch at a depth."""
    return prompts[:1] if engine.name == "onnxruntime" else prompts


def test_a_batch_at_a_depth_is_done_or_refused(backend: Any, engine: Engine) -> None:
    prompts = [list(range(20, 60)), list(range(70, 110))]
    if _batch_at_a_depth(engine, prompts) == prompts:
        assert len(backend.generate_ids(prompts, 2, depth=5)) == 2
        return
    with pytest.raises(BackendError, match="nothing can stand before") as caught:
        backend.generate_ids(prompts, 2, depth=5)
    assert caught.value.status is Status.UNSUPPORTED
    assert caught.value.hint


def test_depth_is_evaluated_before_the_clock_starts(backend: Any, engine: Engine) -> None:
    prompts = _batch_at_a_depth(engine, [list(range(20, 60)), list(range(70, 110))])
    plain = backend.generate_ids(prompts, 4)
    for depth in (1, 30, 39):
        deep = backend.generate_ids(prompts, 4, depth=depth)
        assert [o.token_ids for o in deep] == [o.token_ids for o in plain]
        assert {(o.prompt_tokens, o.evaluated_tokens) for o in deep} == {(40 - depth, 40 - depth)}


def test_rows_of_different_lengths_may_stand_at_one_depth(backend: Any, engine: Engine) -> None:
    prompts = _batch_at_a_depth(engine, [list(range(20, 60)), list(range(90, 105))])
    plain, deep = (backend.generate_ids(prompts, 3, depth=d) for d in (0, 10))
    assert [o.token_ids for o in deep] == [o.token_ids for o in plain]
    assert [o.evaluated_tokens for o in deep] == [30, 5][: len(prompts)]


def test_a_depth_leaves_nothing_behind(backend: Any) -> None:
    prompt = list(range(20, 52))
    first = backend.generate_ids([prompt], 3)[0]
    backend.generate_ids([list(range(60, 160))], 2, depth=90)
    again = backend.generate_ids([prompt], 3)[0]
    assert (again.token_ids, again.evaluated_tokens) == (first.token_ids, 32)


@pytest.mark.parametrize("depth", [-1, 10, 11])
def test_a_depth_without_a_prompt_after_it_is_refused(backend: Any, depth: int) -> None:
    with pytest.raises(BackendError, match=f"at depth {depth}") as caught:
        backend.generate_ids([list(range(20, 30))], 2, depth=depth)
    assert caught.value.status is Status.INVALID


def test_the_engine_is_a_part_of_the_time_between_tokens(backend: Any) -> None:
    (output,) = backend.generate_ids([list(range(20, 60))], 8, depth=20)
    assert 0 <= output.engine_ns <= output.token_ns[-1] - output.token_ns[0]
    assert backend.generate_ids([[20, 21]], 1)[0].engine_ns == 0


def test_garbage_is_collected_again_afterwards(backend: Any) -> None:
    assert gc.isenabled()
    backend.generate_ids([[20, 21]], 2)
    assert gc.isenabled()


def test_load_tells_what_a_step_of_decoding_reads(loaded: tuple[Any, ModelInfo]) -> None:
    _, info = loaded
    assert info.decode_weight_bytes == info.weight_bytes, "tied: the embedding is the head"
    assert info.matmul_parameters == info.parameters
    assert info.attention_width == {1: 64, 2: 64, 30: 576}[info.layers]


def test_text_ends_before_the_stop_string(backend: Any) -> None:
    prompt = "Once upon a time there"
    free = backend.generate(GenerateRequest(prompt=prompt, max_tokens=16))
    mark = free.text[len(free.text) // 2 :][:2]
    assert mark.strip()
    cut = backend.generate(GenerateRequest(prompt=prompt, max_tokens=16, stop=("\u2603", mark)))
    assert cut.text == free.text[: free.text.index(mark)]
    assert cut.finish == "stop"
    assert cut.token_ids == free.token_ids[: len(cut.token_ids)]
    assert len(cut.token_ids) == len(cut.token_ns) < len(free.token_ids)


def test_chat_turns_are_rendered_by_the_template(backend: Any) -> None:
    turns = (ChatMessage(role="user", content="Say yes."),)
    text = backend.render(turns)
    assert "Say yes." in text
    assert len(text) > len("Say yes.")
    as_chat, as_text = backend.loglikelihood([ask(turns, "yes"), ask(text, "yes")])
    assert as_chat == as_text
    begun = (*turns, ChatMessage(role="assistant", content="Well, "))
    assert backend.render(begun).endswith("Well,")
    assert backend.generate(GenerateRequest(prompt=turns, max_tokens=2)).prompt_tokens == (
        as_text.context_tokens + len(backend.encode(text[len(text.rstrip()) :], special=False))
    )


def test_too_long_a_workload_is_refused(backend: Any) -> None:
    with pytest.raises(BackendError, match="exceed the context") as caught:
        backend.generate_ids([[5] * 250], 50)
    assert caught.value.status is Status.UNSUPPORTED
    assert caught.value.hint


@pytest.mark.parametrize(("prompts", "n"), [([], 1), ([[]], 1), ([[1]], 0)])
def test_an_empty_workload_is_refused(backend: Any, prompts: Any, n: int) -> None:
    with pytest.raises(BackendError) as caught:
        backend.generate_ids(prompts, n)
    assert caught.value.status is Status.INVALID


def test_unknown_options_are_refused_with_a_suggestion(engine: Engine) -> None:
    known = {
        "fake": "quality",
        "llama_cpp": "kv_type",
        "onnxruntime": "arena",
        "transformers": "attention",
    }[engine.name]
    with pytest.raises(BackendError, match=f"unknown option '{known}x'") as caught:
        engine.start(**{f"{known}x": 1})
    assert caught.value.status is Status.INVALID
    assert known in caught.value.hint


def test_close_twice(engine: Engine) -> None:
    backend, _ = engine.start()
    backend.close()
    backend.close()
    if engine.name != "fake":
        with pytest.raises(BackendError, match="no model is loaded"):
            backend.generate_ids([[1]], 1)
