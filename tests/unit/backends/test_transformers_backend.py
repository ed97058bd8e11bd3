"""The transformers backend on a tiny model: ways to score agree, bad folders are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers", reason="needs transformers")

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig

from slmbench.backends.protocol import BackendError, Batching, LoadJob, Sharing
from slmbench.backends.transformers import TransformersBackend
from slmbench.backends.transformers_load import endings
from slmbench.backends.transformers_packed import nudged
from slmbench.records import ModelInfo, Status
from slmbench.requests import GenerateRequest, LoglikelihoodRequest
from slmbench.spec import Target
from tiny_llama import save_tiny_llama, sizes

pytestmark = pytest.mark.engine

REQUESTS = [
    LoglikelihoodRequest(context=c, continuation=t)
    for c in ("A context of some length:", "B")
    for t in (" x", " a longer continuation", " mid", " " + "very long " * 20)
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_llama(tmp_path_factory.mktemp("tiny"))


def start(path: Path, **target: Any) -> tuple[TransformersBackend, ModelInfo]:
    backend = TransformersBackend()
    made = Target(name="t", backend="transformers", **{"threads": 1, "context": 400, **target})
    return backend, backend.load(LoadJob(path, "0" * 64, made))


def logprobs(path: Path, **target: Any) -> list[float]:
    backend, _ = start(path, **target)
    found = [o.logprob for o in backend.loglikelihood(REQUESTS)]
    assert None not in found
    backend.close()
    return [value for value in found if value is not None]


def test_logprobs_are_those_of_a_plain_forward_pass(tiny: Path) -> None:
    backend, _ = start(tiny)
    model = AutoModelForCausalLM.from_pretrained(tiny, local_files_only=True).eval()
    for request, output in zip(REQUESTS, backend.loglikelihood(REQUESTS), strict=True):
        assert isinstance(request.context, str)
        before = backend.encode(request.context, special=True)
        ids = backend.encode(request.context + request.continuation, special=True)
        with torch.inference_mode():
            table = model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
        rows = range(len(before), len(ids))
        assert output.logprob == pytest.approx(
            sum(float(table[at - 1, ids[at]]) for at in rows), abs=1e-3
        )
        assert output.greedy == all(int(table[at - 1].argmax()) == ids[at] for at in rows)
        assert (output.context_tokens, output.tokens) == (len(before), len(rows))


@pytest.mark.parametrize("options", [{"fast_kernels": False}, {"pack_tokens": 1}])
def test_every_way_to_score_gives_the_same(tiny: Path, options: dict[str, Any]) -> None:
    backend, _ = start(tiny)
    assert backend.sharing() == Sharing(True)
    naive = [o.logprob for o in backend.loglikelihood(REQUESTS, share=False)]
    assert logprobs(tiny) == pytest.approx(naive, abs=1e-3)
    assert logprobs(tiny, options=options) == pytest.approx(naive, abs=1e-3)


def test_noise_on_embeddings_is_seeded_and_goes_away(tiny: Path) -> None:
    backend, _ = start(tiny)
    model, ids = backend._model, torch.tensor([backend.encode("A text", special=True)])
    with torch.inference_mode():
        still = model(ids).logits
        found = []
        for _ in range(2):
            with nudged(model, 1e-6):
                found.append(model(ids).logits)
        after = model(ids).logits
    assert torch.equal(found[0], found[1])
    assert 0 < float((found[0] - still).abs().max()) < 1e-3
    assert torch.equal(after, still)


def test_long_trunks_are_causal_and_their_branches_see_them(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slmbench.backends.transformers_attention.CAUSAL", 4)
    backend, _ = start(tiny)
    long = "A context that is longer than the bound for dense attention, and then some"
    asked = [LoglikelihoodRequest(context=long, continuation=c) for c in (" one", " only", " two")]
    asked += [LoglikelihoodRequest(context="Short", continuation=" one")]
    naive = [o.logprob for o in backend.loglikelihood(asked, share=False)]
    assert [o.logprob for o in backend.loglikelihood(asked)] == pytest.approx(naive, abs=1e-3)


def test_sliding_windows_are_scored_the_plain_way(tmp_path: Path) -> None:
    config = MistralConfig(**sizes(), sliding_window=8)
    folder = save_tiny_llama(tmp_path, config=config)
    backend, info = start(folder)
    assert backend.sharing() == Sharing(False, "a layer has a sliding window or a running state")
    assert info.kv_bytes_per_token is None
    naive = [o.logprob for o in backend.loglikelihood(REQUESTS, share=False)]
    assert logprobs(folder) == naive
    draws = [GenerateRequest(prompt="A", max_tokens=12, temperature=1.0, seed=s) for s in (1, 2, 1)]
    found = [o.token_ids for o in backend.generate_many(draws)]
    assert found[0] == found[2] != found[1]
    assert backend.batching() == Batching(1, "a layer has a sliding window or a running state")


def test_a_model_that_breaks_in_a_batch_is_asked_one_by_one(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, _ = start(tiny)
    plain = backend._model.forward

    def unpadded(**inputs: Any) -> Any:
        if inputs.get("attention_mask") is not None:
            raise TypeError("no mask, please")
        return plain(**inputs)

    monkeypatch.setattr(backend._model, "forward", unpadded)
    assert backend.batching() == Batching(1, "this model cannot be batched: no mask, please")
    asked = [GenerateRequest(prompt=p, max_tokens=3) for p in ("One", "Another")]
    assert len(list(backend.generate_many(asked))) == 2


def test_model_info_counts_tied_weights_once(tiny: Path) -> None:
    _, info = start(tiny)
    layer = 64 * 64 * 2 + 64 * 32 * 2 + 3 * 64 * 96 + 2 * 64
    assert info.parameters == 258 * 64 + 2 * layer + 64
    assert (info.weight_bytes, info.bits_per_weight) == (4 * info.parameters, 32.0)
    assert info.kv_bytes_per_token == 2 * 2 * 2 * 16 * 4
    assert (info.context_train, info.layers, info.hidden_size) == (512, 2, 64)
    assert info.adds_bos is False


def test_compute_type_is_the_targets(tiny: Path) -> None:
    half, info = start(tiny, dtype="bfloat16")
    assert (info.weight_bytes, info.bits_per_weight) == (4 * info.parameters, 32.0), "as stored"
    assert info.kv_bytes_per_token == 2 * 2 * 2 * 16 * 2
    grouped = [o.logprob for o in half.loglikelihood(REQUESTS)]
    alone = [next(half.loglikelihood([r])).logprob for r in REQUESTS]
    assert grouped == alone, "16-bit results must not depend on the group at all"
    half.close()


def test_an_int8_folder_of_torchao_loads_like_any_other(tiny: Path, tmp_path: Path) -> None:
    pytest.importorskip("torchao", reason="needs torchao")
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig
    from transformers import TorchAoConfig

    model = AutoModelForCausalLM.from_pretrained(
        tiny, quantization_config=TorchAoConfig(Int8DynamicActivationInt8WeightConfig())
    )
    model.save_pretrained(tmp_path)
    for file in tiny.glob("*token*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    backend, info = start(tmp_path)
    assert info.parameters == start(tiny)[1].parameters
    assert 8 < info.bits_per_weight < 24
    grouped = [o.logprob for o in backend.loglikelihood(REQUESTS)]
    alone = [next(backend.loglikelihood([r])) for r in REQUESTS]
    tokens = sum(o.tokens for o in alone)
    apart = [abs(one - o.logprob) for one, o in zip(grouped, alone, strict=True)]
    assert sum(apart) / tokens < 0.1, "activations are rounded to 8 bits: noise, not more"
    assert len(backend.generate_ids([[1, 2, 3]], 3)[0].token_ids) == 3


def test_end_tokens_stop_a_generation_and_stay_out_of_the_text(tiny: Path) -> None:
    backend, _ = start(tiny)
    free = backend.generate(GenerateRequest(prompt="Start", max_tokens=8))
    third = free.token_ids[2]
    backend._ends = frozenset({third})
    cut = backend.generate(GenerateRequest(prompt="Start", max_tokens=8))
    end = free.token_ids.index(third)
    assert cut.token_ids == free.token_ids[: end + 1]
    assert cut.text == backend.decode(free.token_ids[:end])
    assert cut.finish == "stop"
    backend.close()


def refused(path: Path, **target: Any) -> BackendError:
    with pytest.raises(BackendError) as caught:
        start(path, **target)
    return caught.value


def test_missing_tensors_are_not_made_up(tiny: Path, tmp_path: Path) -> None:
    copied = _copy(tiny, tmp_path)
    tensors = load_file(copied / "model.safetensors")
    gone = next(name for name in tensors if "down_proj" in name)
    del tensors[gone]
    save_file(tensors, copied / "model.safetensors", metadata={"format": "pt"})
    error = refused(copied)
    assert error.status is Status.INVALID
    assert f"1 tensors are missing from the weights, e.g. {gone}" in error.reason


def test_weights_of_another_shape_are_invalid(tiny: Path, tmp_path: Path) -> None:
    copied = _copy(tiny, tmp_path)
    config = json.loads((copied / "config.json").read_text())
    config["intermediate_size"] = 80
    (copied / "config.json").write_text(json.dumps(config))
    error = refused(copied)
    assert error.status is Status.INVALID
    assert "transformers cannot load it" in error.reason


def test_code_in_the_folder_never_runs(tiny: Path, tmp_path: Path) -> None:
    copied = _copy(tiny, tmp_path)
    (copied / "evil.py").write_text("raise SystemExit('this ran')")
    config = json.loads((copied / "config.json").read_text())
    config |= {"model_type": "evil", "auto_map": {"AutoConfig": "evil.E", "AutoModel": "evil.E"}}
    (copied / "config.json").write_text(json.dumps(config))
    assert refused(copied).status is Status.INVALID


def test_unknown_devices(tiny: Path) -> None:
    assert refused(tiny, device="cuda:99").status is Status.UNSUPPORTED
    assert refused(tiny, device="abacus").status is Status.UNSUPPORTED


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MemoryError(), Status.OOM),
        (torch.OutOfMemoryError("CUDA out of memory"), Status.OOM),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), Status.OOM),
        (OSError(12, "Cannot allocate memory"), Status.OOM),
        (OSError("no such weights"), Status.INVALID),
    ],
)
def test_how_errors_of_loading_end(error: Exception, status: Status) -> None:
    with pytest.raises(BackendError) as caught, endings(loading="folder"):
        raise error
    assert caught.value.status is status


def test_errors_that_are_bugs_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="shapes"), endings():
        raise RuntimeError("shapes do not match")


def test_a_batch_longer_than_memory_allows_is_oom(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, _ = start(tiny)

    def full(**_: Any) -> None:
        raise RuntimeError(
            "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"
        )

    monkeypatch.setattr(backend._model, "forward", full)
    for call in (
        lambda: list(backend.loglikelihood(REQUESTS)),
        lambda: backend.generate_ids([[1]], 1),
    ):
        with pytest.raises(BackendError) as caught:
            call()
        assert caught.value.status is Status.OOM


@pytest.mark.gpu
def test_cuda_agrees_with_the_cpu(tiny: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA build of torch")
    assert logprobs(tiny, device="cuda") == pytest.approx(logprobs(tiny), abs=5e-3)
    backend, _ = start(tiny, device="cuda")
    (output,) = backend.generate_ids([list(range(64))], 4)
    assert output.evaluated_tokens == output.prompt_tokens == 64
    assert list(output.token_ns) == sorted(output.token_ns)
    backend.close()


def test_untied_models_count_their_head(tmp_path: Path, tiny: Path) -> None:
    config = LlamaConfig(**(sizes() | {"tie_word_embeddings": False}))
    _, info = start(save_tiny_llama(tmp_path, config=config))
    assert info.parameters == start(tiny)[1].parameters + 258 * 64


def _copy(source: Path, target: Path) -> Path:
    for file in source.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    return target
