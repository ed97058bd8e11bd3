"""Quantized keys and values in llama.cpp: sizes, refusals, and that they answer alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("llama_cpp", reason="needs llama-cpp-python")

from slmbench.backends.llama_cpp import LlamaCppBackend
from slmbench.backends.protocol import BackendError, LoadJob
from slmbench.records import ModelInfo, Status
from slmbench.requests import LoglikelihoodRequest
from slmbench.spec import Target

pytestmark = pytest.mark.engine

REQUESTS = [
    LoglikelihoodRequest(context=c, continuation=t)
    for c in ("The capital of France is", "Water boils at 100 degrees")
    for t in (" Paris.", " Celsius.", " a large fish.")
]


@pytest.fixture(scope="module")
def gguf() -> Path:
    from slmbench.lifecycle import materialise
    from slmbench.plan import identify
    from slmbench.spec.load import load_models

    demo = load_models("demo")
    root = demo.variant("smollm2-q4_1")
    ref = identify(demo)[root.name]
    return materialise(root, ref, None, base=Path(), report=lambda _: None).path


def start(path: Path, **options: Any) -> tuple[LlamaCppBackend, ModelInfo]:
    backend = LlamaCppBackend()
    target = Target(name="t", backend="llama_cpp", threads=2, context=512, options=options)
    return backend, backend.load(LoadJob(path, "0" * 64, target))


@pytest.mark.parametrize(
    ("kv_type", "size"),
    [("f32", 46_080), ("f16", 23_040), ("q8_0", 12_240), ("q4_0", 6_480)],
)
def test_sizes_and_answers(gguf: Path, kv_type: str, size: int) -> None:
    """30 layers x 3 heads x (64 + 64) values; blocks of 32 in 34 and 18 bytes."""
    plain, _ = start(gguf, kv_type="f32")
    expected = [o.logprob for o in plain.loglikelihood(REQUESTS, share=False)]
    prompt = plain.encode("The capital of France is", special=True)
    plain.close()
    backend, info = start(gguf, kv_type=kv_type)
    assert info.kv_bytes_per_token == size
    assert backend.sharing().exact or backend.sharing().reason
    assert backend.batching().rows > 1 or backend.batching().reason
    found = [o.logprob for o in backend.loglikelihood(REQUESTS)]
    assert found == pytest.approx(expected, abs=1.5)
    (deep,) = backend.generate_ids([prompt], 3, depth=3)
    (whole,) = backend.generate_ids([prompt], 3)
    assert deep.token_ids[0] == whole.token_ids[0]
    backend.close()


def test_quantized_values_and_plain_attention_exclude_each_other(gguf: Path) -> None:
    with pytest.raises(BackendError, match="needs fused attention") as caught:
        start(gguf, kv_type="q8_0", flash_attn="off")
    assert caught.value.status is Status.UNSUPPORTED
    assert "f16" in caught.value.hint


def test_long_prompts_go_in_several_calls(gguf: Path) -> None:
    """The first call ends within the prompt, and within a batch's second row."""
    backend, _ = start(gguf, batch=64)
    backend._session.call_tokens = 48
    prompts = [list(range(100, 130)), list(range(200, 290))]
    parts = backend.generate_ids(prompts, 3)
    backend._session.call_tokens = 512
    assert [o.token_ids for o in parts] == [o.token_ids for o in backend.generate_ids(prompts, 3)]
    backend.close()
