"""Timed decoding in transformers: other caches than plain ones, other attention, what is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers", reason="needs transformers")

import torch
from transformers import LlamaConfig, Mamba2Config, MambaConfig, RwkvConfig

from slmbench.backends import transformers_kv
from slmbench.backends.protocol import BackendError, LoadJob
from slmbench.backends.transformers import TransformersBackend
from slmbench.records import ModelInfo, Status
from slmbench.requests import LoglikelihoodRequest
from slmbench.spec import Target
from tiny_llama import save_tiny_llama, sizes

pytestmark = pytest.mark.engine

PROMPTS = [list(range(20, 60)), list(range(70, 110))]
SMALL = {"vocab_size": 258, "hidden_size": 32, "num_hidden_layers": 2}


def start(path: Path, **options: Any) -> tuple[TransformersBackend, ModelInfo]:
    backend = TransformersBackend()
    target = Target(name="t", backend="transformers", threads=1, context=256, options=options)
    return backend, backend.load(LoadJob(path, "0" * 64, target))


def by_one_pass(backend: TransformersBackend, n: int) -> list[tuple[int, ...]]:
    """The tokens that whole passes without any cache choose."""
    ids = torch.tensor(PROMPTS)
    with torch.inference_mode():
        for _ in range(n):
            logits = backend._model(input_ids=ids, use_cache=False).logits
            ids = torch.cat((ids, logits[:, -1].argmax(-1)[:, None]), 1)
    return [tuple(row) for row in ids[:, 40:].tolist()]


@pytest.mark.parametrize(
    ("config", "depths"),
    [
        pytest.param(MambaConfig(**SMALL, state_size=8), (0, 39), id="mamba"),
        pytest.param(
            Mamba2Config(**SMALL, state_size=8, num_heads=8, head_dim=8, n_groups=2, chunk_size=16),
            (0, 1, 20, 39),
            id="mamba2",
        ),
    ],
)
def test_a_running_state_is_carried_from_step_to_step(
    config: Any, depths: tuple[int, ...], tmp_path: Path
) -> None:
    backend, info = start(save_tiny_llama(tmp_path / "m", config=config))
    expected = by_one_pass(backend, 5)
    for depth in depths:
        outputs = backend.generate_ids(PROMPTS, 5, depth=depth)
        assert [o.token_ids for o in outputs] == expected, f"depth {depth}"
        assert [o.evaluated_tokens for o in outputs] == [40 - depth] * 2
    assert (info.kv_bytes_per_token, info.attention_width) == (None, None)
    with pytest.raises(BackendError, match="different lengths") as caught:
        backend.generate_ids([[5, 6], [7]], 2)
    assert caught.value.status is Status.UNSUPPORTED


def test_a_prompt_that_would_forget_the_state_is_refused(tmp_path: Path) -> None:
    backend, _ = start(save_tiny_llama(tmp_path / "m", config=MambaConfig(**SMALL, state_size=8)))
    with pytest.raises(BackendError, match="from an empty state") as caught:
        backend.generate_ids(PROMPTS, 2, depth=20)
    assert caught.value.status is Status.UNSUPPORTED


def test_a_model_without_a_known_cache_is_refused(tmp_path: Path) -> None:
    backend, _ = start(save_tiny_llama(tmp_path / "m", config=RwkvConfig(**SMALL)))
    with pytest.raises(BackendError, match="takes no cache") as caught:
        backend.generate_ids(PROMPTS, 2)
    assert caught.value.status is Status.UNSUPPORTED


@pytest.fixture(scope="module")
def untied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = LlamaConfig(**{**sizes(), "tie_word_embeddings": False})
    return save_tiny_llama(tmp_path_factory.mktemp("untied"), config=config)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_attention_of_both_kinds_at_a_depth(untied: Path, attention: str) -> None:
    backend, _ = start(untied, attention=attention)
    assert backend._model.config._attn_implementation == attention
    expected = by_one_pass(backend, 4)
    for depth in (0, 30):
        outputs = backend.generate_ids(PROMPTS, 4, depth=depth)
        assert [o.token_ids for o in outputs] == expected


def test_attention_that_cannot_be_had_is_unsupported(untied: Path) -> None:
    with pytest.raises(BackendError, match="flash_attention_2") as caught:
        start(untied, attention="flash_attention_2")
    assert caught.value.status is Status.UNSUPPORTED
    assert "eager" in caught.value.hint


def test_an_untied_embedding_is_not_read(untied: Path) -> None:
    _, info = start(untied)
    embedding = 258 * 64
    assert info.decode_weight_bytes == info.weight_bytes - 4 * embedding
    assert info.matmul_parameters == info.parameters - embedding


def test_a_quantized_cache_needs_a_package(untied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transformers_kv, "_is_installed", lambda _: False)
    with pytest.raises(BackendError, match="not installed") as caught:
        start(untied, kv_type="quantized")
    assert caught.value.status is Status.UNSUPPORTED
    assert "optimum-quanto" in caught.value.hint
    monkeypatch.setattr(transformers_kv, "_is_installed", lambda module: "quanto" in module)
    with pytest.raises(BackendError, match="in 3 bits"):
        start(untied, kv_type="quantized", kv_bits=3)


def test_a_quantized_cache_is_used_and_never_shared(
    untied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers.cache_utils import DynamicCache

    made: list[Any] = []

    def cache(config: Any, bits: int) -> Any:
        def make() -> DynamicCache:
            made.append(bits)
            return DynamicCache(config=config)

        return make

    monkeypatch.setattr("slmbench.backends.transformers.quantized_cache", cache)
    backend, info = start(untied, kv_type="quantized", kv_bits=2)
    assert info.kv_bytes_per_token is None
    assert not backend.sharing().exact
    assert backend.batching().rows == 1
    backend.generate_ids(PROMPTS, 2, depth=3)
    list(backend.loglikelihood([LoglikelihoodRequest(context="a b", continuation=" c")]))
    assert made == [2, 2]


def test_a_quantized_cache_of_a_running_state_is_refused(tmp_path: Path) -> None:
    path = save_tiny_llama(tmp_path / "m", config=MambaConfig(**SMALL, state_size=8))
    with pytest.raises(BackendError, match="running state") as caught:
        start(path, kv_type="quantized")
    assert caught.value.status is Status.UNSUPPORTED
