"""Two engines, one model: the demo's float32 folder against its GGUF twin in float32 (gate G2)."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers", reason="needs transformers")
pytest.importorskip("llama_cpp", reason="needs llama-cpp-python")

from slmbench.backends import BACKENDS
from slmbench.backends.protocol import LoadJob
from slmbench.lifecycle import Artefact, materialise
from slmbench.plan import identify
from slmbench.requests import ChatMessage, GenerateRequest, LoglikelihoodRequest
from slmbench.spec import Target
from slmbench.spec.load import load_models

pytestmark = pytest.mark.engine

QUESTIONS = (
    ("The capital of France is", (" Paris.", " London.", " a large fish.")),
    ("Baking bread: She kneads the dough, lets it rise and", (" bakes it.", " reads it aloud.")),
    ("Water at sea level boils at 100 degrees", (" Celsius.", " Fahrenheit.", " of freedom.")),
    ("\u00dcber den Wolken muss die Freiheit", (" wohl grenzenlos sein.", " gekocht werden.")),
)
LARGEST_DIFFERENCE = 2e-3
"""Nats per choice; 60 HellaSwag items had a mean of 0.0003 and a maximum of 0.0006."""


def _artefacts() -> tuple[Artefact, Artefact]:
    demo = load_models("demo")
    refs = identify(demo)

    def make(name: str, parent: Artefact | None) -> Artefact:
        variant = demo.variant(name)
        return materialise(variant, refs[name], parent, base=Path(), report=lambda _: None)

    root = make("smollm2-q4_1", None)
    return root, make("smollm2-f32", root)


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    import llama_cpp.llama_cpp as api

    root, folder = _artefacts()
    gguf = tmp_path_factory.mktemp("gguf") / "f32.gguf"
    params = api.llama_model_quantize_default_params()
    params.nthread, params.ftype, params.allow_requantize = 2, 0, True
    code = api.llama_model_quantize(
        str(root.path).encode(), str(gguf).encode(), ctypes.byref(params)
    )
    assert code == 0
    paths = {"transformers": folder.path, "llama_cpp": gguf}
    loaded = {}
    for name, path in paths.items():
        options: Any = {"kv_type": "f32"} if name == "llama_cpp" else {}
        target = Target(name="t", backend=name, threads=2, context=512, options=options)
        loaded[name] = BACKENDS.load(name)()
        loaded[name].load(LoadJob(path, "0" * 64, target))
    yield loaded
    for backend in loaded.values():
        backend.close()
    gguf.unlink()


def test_both_engines_give_the_same_log_likelihoods(engines: dict[str, Any]) -> None:
    for context, choices in QUESTIONS:
        requests = [LoglikelihoodRequest(context=context, continuation=c) for c in choices]
        left, right = (list(engines[name].loglikelihood(requests)) for name in sorted(engines))
        for a, b in zip(left, right, strict=True):
            assert a.logprob == pytest.approx(b.logprob, abs=LARGEST_DIFFERENCE)
            assert (a.greedy, a.tokens, a.context_tokens) == (b.greedy, b.tokens, b.context_tokens)
        if context.isascii():
            assert left[0].logprob == max(o.logprob for o in left), (
                "the sensible choice comes first"
            )


@pytest.mark.parametrize(
    ("context", "continuation", "straddles", "tokens"),
    [
        ("see http:", "//x.org", True, 4),
        ("The num", "ber is", True, 2),
        ("na\u00efve caf", "\u00e9 au lait", True, 4),
        ("\u65e5\u672c", "\u8a9e\u3067\u3059", False, 6),
        ('He said "', 'Hello" to', False, 3),
        ("don", "'t do", False, 2),
    ],
)
def test_both_engines_cut_at_the_same_characters(
    engines: dict[str, Any], context: str, continuation: str, straddles: bool, tokens: int
) -> None:
    request = LoglikelihoodRequest(context=context, continuation=continuation)
    for name, backend in engines.items():
        (output,) = backend.loglikelihood([request])
        assert (output.straddle, output.tokens) == (straddles, tokens), name
        whole = backend.encode(context + continuation, special=True)
        assert output.context_tokens == len(whole) - tokens, "no token is lost or read twice"


def test_both_engines_write_the_same_answer(engines: dict[str, Any]) -> None:
    turns = (ChatMessage(role="user", content="What is the capital of France?"),)
    request = GenerateRequest(prompt=turns, max_tokens=24)
    left, right = (engines[name].generate(request) for name in sorted(engines))
    assert left.text == right.text == "The capital of France is Paris."
    assert (left.finish, left.token_ids) == ("stop", right.token_ids)
    assert left.prompt_tokens == right.prompt_tokens
    assert engines["llama_cpp"].render(turns) == engines["transformers"].render(turns)
