"""Answers in words, whatever engine is behind them: draws, log-probabilities, batches, details."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from slmbench.backends import BACKENDS
from slmbench.backends.protocol import Batching, LoadJob
from slmbench.lifecycle.workbench import Workbench
from slmbench.requests import GenerateRequest, LoglikelihoodRequest, RollingRequest
from slmbench.spec import Target
from slmbench.spec.recipe import GgufExport
from tiny_onnx import save_tiny_onnx
from tiny_smollm import save_tiny_smollm

CONTEXT = 256
NOISE = 1e-3
"""Largest difference in nats that the order of floating-point sums may make."""
PREAMBLE = "Answer in a few words, please. "
PROMPTS = (
    "The capital of France is",
    "One",
    f"{PREAMBLE}What is the colour of the sky?",
    f"{PREAMBLE}Who?",
    "Two and two make",
)


def _fake(_: Path) -> tuple[str, Path, dict[str, Any]]:
    return "fake", Path("no such file"), {}


def _llama_cpp(tmp: Path) -> tuple[str, Path, dict[str, Any]]:
    pytest.importorskip("llama_cpp", reason="needs llama-cpp-python")
    return "llama_cpp", _twin(tmp), {"kv_type": "f32"}


def _transformers(tmp: Path) -> tuple[str, Path, dict[str, Any]]:
    pytest.importorskip("transformers", reason="needs transformers")
    return "transformers", save_tiny_smollm(tmp / "tiny"), {}


def _onnxruntime(tmp: Path) -> tuple[str, Path, dict[str, Any]]:
    return "onnxruntime", save_tiny_onnx(save_tiny_smollm(tmp / "parent"), tmp / "tiny"), {}


def _twin(tmp: Path) -> Path:
    """The tiny model as a float32 GGUF."""
    from slmbench.lifecycle import gguf_export

    (tmp / "gguf").mkdir()
    bench = Workbench(save_tiny_smollm(tmp / "parent"), tmp / "gguf", 1, lambda _: None)
    return gguf_export.make(GgufExport(technique="gguf_export"), bench).path


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(_fake, id="fake"),
        pytest.param(_llama_cpp, id="llama_cpp", marks=pytest.mark.engine),
        pytest.param(_onnxruntime, id="onnxruntime", marks=pytest.mark.engine),
        pytest.param(_transformers, id="transformers", marks=pytest.mark.engine),
    ],
)
def start(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Any]:
    make: Callable[[Path], tuple[str, Path, dict[str, Any]]] = request.param
    name, path, always = make(tmp_path_factory.mktemp("model"))

    def started(**options: Any) -> Any:
        backend = BACKENDS.load(name)()
        if name == "onnxruntime":
            options.pop("generate_batch", None)
        target = Target(
            name="t", backend=name, threads=2, context=CONTEXT, options={**always, **options}
        )
        backend.load(LoadJob(path, "ab" * 32, target))
        return backend

    return started


@pytest.fixture(scope="module")
def backend(start: Callable[..., Any]) -> Iterator[Any]:
    backend = start(generate_batch=3)
    yield backend
    backend.close()


def writes_alone(backend: Any) -> bool:
    """Whether the engine has no batches that rows join and leave, and says so."""
    alone = type(backend).__name__.startswith("OnnxRuntime")
    if alone:
        assert backend.batching().rows == 1
        assert "together" in backend.batching().reason
    return alone


def ask(prompt: str = PROMPTS[0], **fields: Any) -> GenerateRequest:
    return GenerateRequest(**{"prompt": prompt, "max_tokens": 12, **fields})


def said(outputs: Any) -> list[Any]:
    """What an answer is, apart from its times and from what was evaluated for it alone."""
    return [(o.token_ids, o.text, o.finish, o.failure, o.prompt_tokens) for o in outputs]


def test_a_seed_gives_the_same_draws_and_another_seed_others(backend: Any) -> None:
    outputs = [backend.generate(ask(temperature=1.0, seed=seed)) for seed in (1, 1, 2, 3)]
    ids = [o.token_ids for o in outputs]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    assert all(len(o.token_ids) == len(o.token_ns) for o in outputs)


def test_temperature_zero_is_greedy_whatever_the_seed(backend: Any) -> None:
    greedy = backend.generate(ask())
    told = backend.generate(ask(seed=9, logprobs=True))
    assert said([told]) == said([greedy])
    assert len(told.token_logprobs) == len(told.token_ids)
    assert greedy.token_logprobs == ()
    assert backend.generate(ask(temperature=1e-4, seed=3)).token_ids == greedy.token_ids


@pytest.mark.parametrize("temperature", [0.0, 1.0, 2.0])
def test_log_p_of_each_token_is_that_of_temperature_one(backend: Any, temperature: float) -> None:
    request = ask(temperature=temperature, seed=4, logprobs=True)
    output = backend.generate(request)
    prompt = backend.encode(request.prompt, special=True)
    rows = backend.next_logprobs(prompt + output.token_ids, len(prompt))
    expected = [float(row[token]) for row, token in zip(rows, output.token_ids, strict=True)]
    assert all(map(math.isfinite, output.token_logprobs))
    assert list(output.token_logprobs) == pytest.approx(expected, abs=NOISE)


def mixed() -> list[GenerateRequest]:
    """Two prompts asked several times, greedy and drawn, of different lengths and ends."""
    requests = [ask(prompt, max_tokens=4 + 3 * at) for at, prompt in enumerate(PROMPTS)]
    for prompt in PROMPTS[1:3]:
        requests += [ask(prompt, temperature=0.8, seed=seed, logprobs=True) for seed in range(4)]
    requests += [ask("x" * 400), ask(PROMPTS[4], stop=("e",)), ask("", max_tokens=1)]
    return requests


def test_answers_of_a_batch_are_those_written_alone(backend: Any) -> None:
    assert writes_alone(backend) or backend.batching() == Batching(3)
    requests = mixed()
    alone = [backend.generate(request) for request in requests]
    together = list(backend.generate_many(requests))
    assert said(together) == said(alone)
    for one, other in zip(alone, together, strict=True):
        assert list(other.token_logprobs) == pytest.approx(list(one.token_logprobs), abs=NOISE)
        assert len(other.token_ns) == len(other.token_ids)
        assert all(at > other.start_ns for at in other.token_ns)
    assert said(backend.generate_many(requests)) == said(alone), "nothing is left of the first"


def test_the_size_of_a_batch_does_not_matter(start: Callable[..., Any]) -> None:
    requests = [ask(f"{PREAMBLE}{prompt}", max_tokens=3 + at) for at, prompt in enumerate(PROMPTS)]
    requests += [r.model_copy(update={"temperature": 1.0, "seed": 5}) for r in requests]
    found = []
    for size in (1, 2, 16):
        backend = start(generate_batch=size)
        assert writes_alone(backend) or backend.batching().rows == size
        found.append(said(backend.generate_many(requests)))
        backend.close()
    assert found[0] == found[1] == found[2]


def test_what_all_prompts_begin_with_is_evaluated_once(backend: Any) -> None:
    requests = [ask(f"{PREAMBLE}{word}", max_tokens=2) for word in ("Who?", "What now?", "Where?")]
    outputs = list(backend.generate_many(requests))
    if writes_alone(backend):
        assert all(o.evaluated_tokens == o.prompt_tokens for o in outputs)
        return
    saved = [o.prompt_tokens - o.evaluated_tokens for o in outputs]
    assert saved[0] == saved[1] == saved[2] >= len(backend.encode(PREAMBLE, special=True)) - 1
    again = list(backend.generate_many([requests[0]] * 3))
    assert [o.evaluated_tokens for o in again] == [again[0].prompt_tokens, 0, 0]


def test_batches_that_change_answers_are_not_used(
    start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = start(generate_batch=4)
    if backend.batching.__func__.__qualname__.startswith("Fake"):
        assert backend.batching() == Batching(4), "a hash rounds nothing: there is no trial"
        return
    if writes_alone(backend):
        return
    batch = type(backend._open_batch(many=True))
    honest = batch.advance

    def off_by_a_row(self: Any, tokens: Any) -> Any:
        return honest(self, tokens)[::-1].copy()

    monkeypatch.setattr(batch, "advance", off_by_a_row)
    verdict = backend.batching()
    assert verdict.rows == 1
    assert "of 3 trial answers came out differently" in verdict.reason
    requests = [ask(prompt) for prompt in PROMPTS]
    assert said(backend.generate_many(requests)) == said(map(backend.generate, requests))
    backend.close()


def test_one_by_one_when_asked_for(start: Callable[..., Any]) -> None:
    backend = start(generate_batch=1)
    first, second = backend.generate_many([ask(PROMPTS[0]), ask(PROMPTS[0])])
    assert first.evaluated_tokens == second.evaluated_tokens == first.prompt_tokens
    assert backend.batching().rows == 1
    backend.close()


TEXT = "A short text, scored from its first token. " * 9


def test_details_say_more_about_the_same_number(backend: Any, tmp_path: Path) -> None:
    assert len(backend.encode(TEXT, special=False)) > CONTEXT, "more than one window"
    around = LoglikelihoodRequest(context="The sky is", continuation=" blue.")
    plain, first, told, last = backend.loglikelihood(
        [RollingRequest(text=TEXT), around, RollingRequest(text=TEXT, details=True), around]
    )
    assert len(told.details) == told.tokens == plain.tokens
    assert sum(one.logprob for one in told.details) == pytest.approx(told.logprob, abs=NOISE)
    assert told.logprob == pytest.approx(plain.logprob, abs=NOISE * 10)
    assert [w.tokens for w in told.windows] == [w.tokens for w in plain.windows]
    assert all(one.logprob <= 0 and one.mean <= 0 and one.sd >= 0 for one in told.details)
    assert first.logprob == pytest.approx(last.logprob, abs=NOISE)
    assert plain.details == ()
    prefix = backend._prefix()[0]
    ids = backend.encode(TEXT, special=False)
    row = backend.next_logprobs((prefix, *ids[:3]), 3)[0].astype(float)
    p = [math.exp(value) for value in row if value > -math.inf]
    mean = math.fsum(q * math.log(q) for q in p if q > 0)
    assert told.details[2].mean == pytest.approx(mean, abs=NOISE)
    assert told.details[2].logprob == pytest.approx(row[ids[2]], abs=NOISE)


def test_the_response_cache_neither_answers_nor_keeps_details(backend: Any, tmp_path: Path) -> None:
    file = tmp_path / "scores.sqlite"
    plain, detailed = (
        RollingRequest(text="Some text."),
        RollingRequest(text="Some text.", details=True),
    )
    backend.remember(file)
    (first,) = backend.loglikelihood([detailed])
    (second,) = backend.loglikelihood([plain])
    third, fourth = backend.loglikelihood([plain, detailed])
    backend.remember(None)
    assert [o.cached for o in (first, second, third, fourth)] == [False, False, True, False]
    assert third.logprob == second.logprob
    assert first.details == fourth.details != ()


def test_a_text_without_tokens_has_no_details(backend: Any) -> None:
    (output,) = backend.loglikelihood([RollingRequest(text="", details=True)])
    assert (output.failure, output.details) == ("empty_continuation", ())


@pytest.mark.engine
def test_both_engines_draw_the_same_tokens(tmp_path: Path) -> None:
    pytest.importorskip("llama_cpp", reason="needs llama-cpp-python")
    pytest.importorskip("transformers", reason="needs transformers")
    requests = [ask(temperature=1.0, seed=seed, max_tokens=8) for seed in range(6)]
    found = []
    for make in (_llama_cpp, _transformers):
        name, path, options = make(tmp_path)
        backend = BACKENDS.load(name)()
        target = Target(name="t", backend=name, threads=2, context=CONTEXT, options=options)
        backend.load(LoadJob(path, "ab" * 32, target))
        found.append(said(backend.generate_many(requests)))
        backend.close()
    same = sum(a == b for a, b in zip(*found, strict=True))
    assert same >= 5, "the noise is the seed's own, so the same distributions draw alike"
