"""Speculative decoding in every engine that offers it: the target's own text, and honest counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("transformers", reason="needs transformers")

from slmbench.backends import BACKENDS, CAPABILITIES
from slmbench.backends.protocol import BackendError, LoadJob
from slmbench.lifecycle.workbench import Workbench
from slmbench.records import Status
from slmbench.requests import GenerateRequest, LoglikelihoodRequest
from slmbench.spec import Target
from slmbench.spec.recipe import GgufExport
from tiny_llama import byte_tokenizer
from tiny_onnx import save_tiny_onnx
from tiny_smollm import save_tiny_smollm

pytestmark = pytest.mark.engine

CONTEXT = 256
PROMPTS = ("The capital of France is", "One", "in the wood and on the water")


def _as_gguf(folder: Path, out: Path) -> Path:
    pytest.importorskip("llama_cpp", reason="needs llama-cpp-python")
    pytest.importorskip("gguf", reason="needs gguf")
    from slmbench.lifecycle import gguf_export

    out.mkdir(parents=True)
    bench = Workbench(folder, out, 1, lambda _: None)
    return gguf_export.make(GgufExport(technique="gguf_export"), bench).path


MAKERS: dict[str, Callable[[Path, Path], Path]] = {
    "llama_cpp": _as_gguf,
    "onnxruntime": save_tiny_onnx,
    "transformers": lambda folder, _: folder,
}


@dataclass(frozen=True)
class Engine:
    """A backend and three artefacts of one vocabulary: a model, a near copy, a stranger."""

    name: str
    model: Path
    near: Path
    stranger: Path

    def start(self, draft: Path | None, **options: Any) -> Any:
        backend = BACKENDS.load(self.name)()
        always = {"kv_type": "f32"} if self.name == "llama_cpp" else {}
        named = {} if draft is None else {"draft": "other"}
        target = Target(
            name="t",
            backend=self.name,
            threads=2,
            context=CONTEXT,
            options={**always, **named, **options},
        )
        backend.load(LoadJob(self.model, "ab" * 32, target, draft=draft))
        return backend


@pytest.fixture(scope="module", params=sorted(MAKERS))
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    tmp = tmp_path_factory.mktemp("spec")
    make = MAKERS[request.param]
    folders = {
        "model": save_tiny_smollm(tmp / "model"),
        "near": _disturbed(tmp),
        "stranger": save_tiny_smollm(tmp / "stranger", seed=8),
    }
    made = {name: make(path, tmp / f"made-{name}") for name, path in folders.items()}
    return Engine(request.param, **made)


def _disturbed(tmp: Path) -> Path:
    """The model with a little noise on its weights."""
    import torch
    from transformers import AutoModelForCausalLM

    folder = save_tiny_smollm(tmp / "near")
    model = AutoModelForCausalLM.from_pretrained(folder)
    draws = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.03 * torch.randn(weight.shape, generator=draws)
    model.save_pretrained(folder)
    return folder


def ids_of(backend: Any, n: int = 40) -> list[tuple[int, ...]]:
    prompts = [backend.encode(prompt, special=True) for prompt in PROMPTS]
    return [backend.generate_ids([prompt], n)[0].token_ids for prompt in prompts]


def texts_of(backend: Any) -> list[tuple[str, str]]:
    requests = [GenerateRequest(prompt=p, max_tokens=30, stop=("zz",)) for p in PROMPTS]
    return [(o.text, o.finish) for o in map(backend.generate, requests)]


@pytest.mark.parametrize("draft", ["near", "stranger", "model"])
def test_a_draft_changes_no_greedy_text(engine: Engine, draft: str) -> None:
    plain = engine.start(None)
    wanted, texts = ids_of(plain), texts_of(plain)
    plain.close()
    backend = engine.start(getattr(engine, draft), draft_tokens=3)
    assert ids_of(backend) == wanted
    assert texts_of(backend) == texts
    assert ids_of(backend) == wanted, "nothing is left of earlier answers"
    backend.close()


def test_counts_tell_drafts_apart(engine: Engine) -> None:
    rates = {}
    for name in ("model", "near", "stranger"):
        backend = engine.start(getattr(engine, name))
        prompt = backend.encode(PROMPTS[2], special=True)
        (output,) = backend.generate_ids([prompt], 41)
        assert 0 <= output.accepted <= output.drafted
        assert output.drafted >= 32, "four at a time, most"
        rates[name] = output.accepted / output.drafted
        assert len(output.token_ids) == len(output.token_ns) == 41
        assert output.evaluated_tokens == len(prompt)
        assert 0 < output.engine_ns <= output.token_ns[-1] - output.token_ns[0]
        assert backend.generate(GenerateRequest(prompt="One", max_tokens=9)).drafted > 0
        backend.close()
    assert rates["model"] == 1.0
    assert rates["model"] > rates["near"] > rates["stranger"]


def test_it_goes_on_to_the_end_of_the_context(engine: Engine) -> None:
    plain, backend = engine.start(None), engine.start(engine.near, draft_tokens=7)
    prompt = list(range(20, 120))
    n = CONTEXT - len(prompt)
    wanted, found = (b.generate_ids([prompt], n)[0].token_ids for b in (plain, backend))
    assert found == wanted
    deep = backend.generate_ids([prompt], 8, depth=60)[0]
    assert deep.token_ids == wanted[:8]
    assert deep.evaluated_tokens == 40
    for one in (plain, backend):
        one.close()


def test_what_a_draft_has_no_part_in_stays_as_it_is(engine: Engine) -> None:
    plain, backend = engine.start(None), engine.start(engine.near)
    asked = [LoglikelihoodRequest(context="The sky is", continuation=c) for c in (" blue", " a")]
    drawn = GenerateRequest(prompt="One", max_tokens=12, temperature=1.0, seed=4)
    answers = [
        ([o.logprob for o in b.loglikelihood(asked)], b.generate(drawn)) for b in (plain, backend)
    ]
    assert answers[0][0] == pytest.approx(answers[1][0], abs=1e-4)
    assert answers[0][1].token_ids == answers[1][1].token_ids
    assert answers[1][1].drafted == 0
    assert backend.batching().rows == 1
    assert "draft" in backend.batching().reason
    with pytest.raises(BackendError, match="batch of 2") as caught:
        backend.generate_ids([[20, 21], [22, 23]], 2)
    assert caught.value.status is Status.UNSUPPORTED
    for one in (plain, backend):
        one.close()


def test_load_tells_of_both_caches(engine: Engine) -> None:
    target = Target(
        name="t",
        backend=engine.name,
        threads=1,
        context=CONTEXT,
        options={"draft": "d"},
    )
    alone, with_it = BACKENDS.load(engine.name)(), BACKENDS.load(engine.name)()
    one = alone.load(LoadJob(engine.model, "0" * 64, target))
    two = with_it.load(LoadJob(engine.model, "0" * 64, target, draft=engine.near))
    assert two.kv_bytes_per_token == 2 * one.kv_bytes_per_token
    assert two.decode_weight_bytes is None
    assert CAPABILITIES[engine.name].drafts
    for backend in (alone, with_it):
        backend.close()


def test_a_draft_of_another_vocabulary_is_refused(engine: Engine, tmp_path: Path) -> None:
    other = save_tiny_smollm(tmp_path / "other")
    tokenizer = byte_tokenizer()
    for file in other.glob("*token*"):
        file.unlink()
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_pretrained(other)
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(other)
    tokenizer.add_special_tokens({"eos_token": "</s>"})
    tokenizer.save_pretrained(other)
    if engine.name == "llama_cpp":
        pytest.skip("the export of this tokenizer is refused: llama.cpp's is tried below")
    made = MAKERS[engine.name](other, tmp_path / "made")
    with pytest.raises(BackendError, match="the draft other has another vocabulary") as caught:
        engine.start(made)
    assert caught.value.status is Status.INVALID
    assert "tokenizer" in caught.value.hint


def test_llama_cpp_compares_every_token() -> None:
    pytest.importorskip("llama_cpp", reason="needs llama-cpp-python")
    from slmbench.backends.llama_draft import _check_vocabulary

    class Vocabulary:
        def __init__(self, *pieces: bytes) -> None:
            self.pieces, self.vocab_size = pieces, len(pieces)

        def piece(self, token: int) -> bytes:
            return self.pieces[token]

    target: Any = Vocabulary(b"a", b"b", b"c")
    _check_vocabulary("d", target, target)
    for other, why in (
        (Vocabulary(b"a", b"x", b"c"), "token 1 is b'x'"),
        (Vocabulary(b"a"), "1 tok"),
    ):
        draft: Any = other
        with pytest.raises(BackendError, match=why):
            _check_vocabulary("d", draft, target)
