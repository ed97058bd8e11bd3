"""Random weights: reproducible, loadable, and told apart from trained ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("transformers", reason="needs transformers")

import torch
from derivation import ref_of
from pydantic import ValidationError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from slmbench.backends.protocol import LoadJob
from slmbench.content import content_of
from slmbench.errors import ArtefactError
from slmbench.lifecycle import materialise, random_init
from slmbench.lifecycle.workbench import Workbench
from slmbench.made import RandomInitFacts
from slmbench.spec import Target, Variant
from slmbench.spec.recipe import RandomInit
from tiny_llama import save_tiny_llama

pytestmark = [
    pytest.mark.engine,
    # transformers looks for Mamba's kernels, which use a decorator that torch is giving up
    pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning"),
]

KINDS = ("llama", "gpt_neox", "mamba", "mamba2")


def recipe(kind: str = "llama", **changes: Any) -> RandomInit:
    sizes = {"hidden_size": 64, "layers": 2, "context": 256}
    return RandomInit(technique="random_init", architecture=kind, **{**sizes, **changes})


def made(asked: RandomInit, out: Path, parent: Path | None = None) -> tuple[Path, RandomInitFacts]:
    out.mkdir()
    product = random_init.make(asked, Workbench(parent, out, 1, lambda _: None))
    assert isinstance(product.facts, RandomInitFacts)
    return product.path, product.facts


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_of_each_kind_loads_with_the_seeds_weights(kind: str, tmp_path: Path) -> None:
    first, facts = made(recipe(kind, vocab_size=300), tmp_path / "1")
    again, _ = made(recipe(kind, vocab_size=300), tmp_path / "2")
    other, _ = made(recipe(kind, vocab_size=300, seed=1), tmp_path / "3")
    assert content_of(first).sha256 == content_of(again).sha256
    assert content_of(first).sha256 != content_of(other).sha256
    model = AutoModelForCausalLM.from_pretrained(first)
    assert model.config.model_type == kind
    assert model.num_parameters() == facts.parameters
    assert model.get_input_embeddings().num_embeddings == facts.vocab_size == 300
    assert (facts.tokenizer, facts.note[:14]) == ("bytes", "random weights")
    tokenizer = AutoTokenizer.from_pretrained(first)
    assert tokenizer.decode(tokenizer.encode("Grüße")) == "Grüße"
    assert len(tokenizer.encode("abc")) == 3


def test_sizes_and_types_are_the_recipes(tmp_path: Path) -> None:
    asked = recipe(hidden_size=128, kv_heads=1, dtype="bfloat16", intermediate_size=192)
    path, facts = made(asked, tmp_path / "m")
    model = AutoModelForCausalLM.from_pretrained(path, dtype="auto")
    assert model.dtype is torch.bfloat16
    config = model.config
    assert (config.num_attention_heads, config.num_key_value_heads) == (2, 1)
    assert (config.intermediate_size, config.max_position_embeddings) == (192, 256)
    assert facts.vocab_size == 258


def test_gpt_neox_is_the_published_kind(tmp_path: Path) -> None:
    path, facts = made(recipe("gpt_neox", hidden_size=128, intermediate_size=192), tmp_path / "m")
    config = AutoConfig.from_pretrained(path)
    assert config.use_parallel_residual
    assert config.rope_parameters["partial_rotary_factor"] == 0.25
    assert (config.num_attention_heads, config.intermediate_size) == (2, 192)
    layer = AutoModelForCausalLM.from_pretrained(path).gpt_neox.layers[0]
    assert type(layer.input_layernorm) is torch.nn.LayerNorm
    per_layer = 4 * 128 * 128 + 4 * 128 + 2 * 128 * 192 + 192 + 128 + 4 * 128
    assert facts.parameters == 258 * 128 + 2 * per_layer + 2 * 128


def test_mamba2_says_the_same_in_chunks_of_any_size(tmp_path: Path) -> None:
    """And a recipe from before there was a choice keeps its digest."""
    ids = torch.arange(70).unsqueeze(0)
    found = []
    for name, chunk in (("a", None), ("b", 16)):
        path, _ = made(recipe("mamba2", chunk=chunk, state_size=32), tmp_path / name)
        model = AutoModelForCausalLM.from_pretrained(path).eval()
        assert model.config.chunk_size == (chunk or 256)
        with torch.inference_mode():
            found.append(model(input_ids=ids, use_cache=False).logits)
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-5)
    assert "chunk" not in recipe("mamba2").model_dump(mode="json")


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("llama", {"hidden_size": 192, "kv_heads": 2}, "kv_heads 2 does not divide the 3 heads"),
        ("gpt_neox", {"kv_heads": 1}, "kv_heads is a setting of llama: leave it out"),
        ("mamba2", {"intermediate_size": 128}, "intermediate_size is a setting of llama, gpt_neox"),
        ("llama", {"state_size": 16}, "state_size is a setting of mamba, mamba2"),
    ],
)
def test_settings_that_an_architecture_lacks_are_refused(
    kind: str, changes: dict[str, int], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        recipe(kind, **changes)


def test_a_parent_lends_its_tokenizer_and_nothing_else(tmp_path: Path) -> None:
    parent = save_tiny_llama(tmp_path / "parent")
    path, facts = made(recipe(), tmp_path / "m", parent)
    assert facts.tokenizer == "the parent's"
    assert (path / "tokenizer.json").read_bytes() == (parent / "tokenizer.json").read_bytes()
    with pytest.raises(ArtefactError, match="257"):
        made(recipe().model_copy(update={"vocab_size": 257}), tmp_path / "n", parent)


def test_it_is_made_by_the_maker_without_a_parent(tmp_path: Path) -> None:
    variant = Variant(
        name="r", format="hf", stage="base", technique="random_init", licence="MIT", recipe=recipe()
    )
    ref = ref_of(variant).model_copy(update={"parent_digest": None})
    artefact = materialise(variant, ref, None, base=tmp_path, report=lambda _: None)
    assert artefact.made is not None
    assert (artefact.made.parent, artefact.made.parent_sha256) == (None, None)
    assert (artefact.path / "config.json").is_file()


@pytest.mark.parametrize("kind", KINDS)
def test_the_backend_decodes_it_as_the_whole_sequence_does(kind: str, tmp_path: Path) -> None:
    """Greedy tokens step by step are those of evaluating everything again each time."""
    from slmbench.backends.transformers import TransformersBackend

    path, _ = made(recipe(kind), tmp_path / "m")
    backend = TransformersBackend()
    job = LoadJob(path, "0" * 64, Target(name="t", backend="transformers", threads=1, context=128))
    info = backend.load(job)
    prompt = [5, 9, 77, 30, 200, 41]
    (output,) = backend.generate_ids([prompt], 5)
    model, ids = AutoModelForCausalLM.from_pretrained(path), list(prompt)
    with torch.inference_mode():
        for _ in range(5):
            logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits
            ids.append(int(logits[0, -1].argmax()))
    assert list(output.token_ids) == ids[len(prompt) :]
    assert (info.kv_bytes_per_token is None) == kind.startswith("mamba")
    backend.close()
