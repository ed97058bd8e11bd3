"""A real server: llama_cpp.server with the demo's model, started, loaded and ended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from slmbench.backends.openai_server import OpenAiBackend
from slmbench.backends.protocol import LoadJob
from slmbench.lifecycle import materialise
from slmbench.loadgen.driver import Script, Shape, calibrate, carry_out
from slmbench.plan import identify
from slmbench.requests import GenerateRequest
from slmbench.spec import Load
from slmbench.spec.load import load_models

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def backend() -> Iterator[OpenAiBackend]:
    pytest.importorskip("llama_cpp", reason="needs llama-cpp-python")
    pytest.importorskip("starlette_context", reason="needs slmbench[serving]")
    models = load_models("serving")
    variant = models.variant("smollm2-q4_1")
    ref = identify(models)[variant.name]
    made = materialise(variant, ref, None, base=Path(), report=lambda _: None)
    target = models.targets[0].model_copy(update={"threads": 2, "context": 256})
    backend = OpenAiBackend()
    info = backend.load(LoadJob(made.path, made.sha256, target))
    assert info.layers == 30
    assert info.parameters == 134_515_008
    yield backend
    backend.close()


def test_it_answers_a_question(backend: OpenAiBackend) -> None:
    answer = backend.generate(GenerateRequest(prompt="The capital of France is", max_tokens=4))
    assert "Paris" in answer.text
    assert answer.prompt_tokens == answer.evaluated_tokens > 3


def test_two_users_get_whole_answers_of_the_length_they_asked_for(backend: OpenAiBackend) -> None:
    """A server that dropped a running answer for the next request would show here."""
    sizing = calibrate(backend.endpoint, "s")
    assert sizing.measured
    assert 0.9 < sizing.per_word < 1.4
    load = Load(scenario="closed", concurrency=2, requests=4)
    logs = carry_out(backend.endpoint, Script(load, Shape(24, 8), "s", sizing))
    assert [log.failure for log in logs] == [None] * 4
    assert [log.count().tokens for log in logs] == [8] * 4
    assert {log.count().source for log in logs} == {"finish"}, "its streams have no usage"
    assert all(1 <= len(log.chunks) <= 8 for log in logs)
