"""Merging: the two formulas, and every way in which two models do not fit."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("transformers", reason="needs transformers")

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from shape_bench import backend_logits, bench, family, load, write

from slmbench.content import content_of
from slmbench.errors import ArtefactError, PrerequisiteError
from slmbench.lifecycle import merge
from slmbench.lifecycle.mergekit import configuration, find_program
from slmbench.made import MergeFacts
from slmbench.spec.recipe import Merge

pytestmark = pytest.mark.engine


def recipe(**changes: Any) -> Merge:
    return Merge(technique="merge", other="other", **changes)


def moved(model: Any, by: float, seed: int = 11) -> Any:
    """The model with noise on every weight."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:  # a norm's ones stay
                weight.add_(by * torch.randn_like(weight))
    return model


def make(parent: Path, other: Path, out: Path, **changes: Any) -> tuple[Path, MergeFacts]:
    product = merge.make(recipe(**changes), bench(parent, out, other=other))
    assert isinstance(product.facts, MergeFacts)
    return product.path, product.facts


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return (
        write(family("llama"), tmp_path / "a"),
        write(moved(family("llama"), 0.2), tmp_path / "b"),
    )


def test_linear_is_the_mean_of_each_weight(pair: tuple[Path, Path], tmp_path: Path) -> None:
    path, facts = make(*pair, tmp_path / "o", t=0.25)
    a, b = (load(p).state_dict() for p in pair)
    for name, found in load(path).state_dict().items():
        torch.testing.assert_close(found, 0.75 * a[name] + 0.25 * b[name])
    apart = sum(float((a[n] - b[n]).double().square().sum()) for n in a if n != "lm_head.weight")
    size = sum(float(a[n].double().square().sum()) for n in a if n != "lm_head.weight")
    assert facts.distance == pytest.approx(math.sqrt(apart / size), rel=1e-5)
    assert (facts.tensors, facts.tool) == (20, "slmbench")
    info, backend = backend_logits(path)
    assert info.parameters == load(pair[0]).num_parameters()
    backend.close()


def test_slerp_goes_along_the_arc(pair: tuple[Path, Path], tmp_path: Path) -> None:
    path, facts = make(*pair, tmp_path / "o", method="slerp", t=0.5)
    line, _ = make(*pair, tmp_path / "line", t=0.5)
    name = "model.layers.0.mlp.up_proj.weight"
    a, b, found, straight = (load(p).state_dict()[name] for p in (*pair, path, line))
    angle = math.acos(merge.cosine(a, b))
    wanted = (a + b) * (math.sin(angle / 2) / math.sin(angle))
    torch.testing.assert_close(found, wanted)
    assert found.norm() > straight.norm()
    assert (facts.tensors, facts.nearly_parallel) == (20, 5)  # the norms' weights


@pytest.mark.parametrize("method", ["linear", "slerp"])
def test_the_ends_are_the_two_models(method: str, pair: tuple[Path, Path], tmp_path: Path) -> None:
    for t, expected in ((0.0, pair[0]), (1.0, pair[1])):
        path, _ = make(*pair, tmp_path / f"{t}", method=method, t=t)
        for name, found in load(path).state_dict().items():
            torch.testing.assert_close(found, load(expected).state_dict()[name])


def test_the_same_recipe_gives_the_same_bytes_in_the_parents_type(tmp_path: Path) -> None:
    a = write(family("llama").to(torch.bfloat16), tmp_path / "a")
    b = write(moved(family("llama"), 0.1), tmp_path / "b")
    first, _ = make(a, b, tmp_path / "1", method="slerp")
    again, _ = make(a, b, tmp_path / "2", method="slerp")
    assert content_of(first).sha256 == content_of(again).sha256
    assert load(first).dtype is torch.bfloat16


@settings(max_examples=60, deadline=None)
@given(st.floats(0.05, 3.0), st.floats(0, 1), st.integers(0, 50))
def test_slerp_of_unit_vectors_has_length_one_and_the_share_of_the_angle(
    angle: float, t: float, seed: int
) -> None:
    torch.manual_seed(seed)
    a = torch.nn.functional.normalize(torch.randn(30).double(), dim=0)
    across = torch.randn(30).double()
    across = torch.nn.functional.normalize(across - (across @ a) * a, dim=0)
    b = math.cos(angle) * a + math.sin(angle) * across
    found = merge.fuse(recipe(method="slerp", t=t), "w", a.float(), b.float()).double()
    assert float(found.norm()) == pytest.approx(1, abs=1e-4)
    assert math.acos(max(-1, min(1, float(found @ a)))) == pytest.approx(t * angle, abs=2e-3)


def test_nearly_parallel_and_empty_tensors_are_merged_along_the_line() -> None:
    a = torch.ones(5)
    for b in (a * 2, -a, torch.zeros(5)):
        found = merge.fuse(recipe(method="slerp"), "w", a, b)
        torch.testing.assert_close(found, (a + b) / 2)
    assert merge.fuse(recipe(), "n", torch.tensor([3]), torch.tensor([3])).tolist() == [3]
    with pytest.raises(ArtefactError, match="n holds whole numbers"):
        merge.fuse(recipe(), "n", torch.tensor([3]), torch.tensor([4]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"intermediate_size": 64}, r"layers\.0\.mlp\.down_proj\.weight is 64 x 96 in .* 64 x 64"),
        ({"num_hidden_layers": 3}, r"layers\.2\..* is missing in the parent"),
        ({"num_hidden_layers": 1}, r"layers\.1\..* is missing in the other"),
        ({"tie_word_embeddings": False}, r"tie_word_embeddings is True in .* and False"),
        ({"vocab_size": 300}, r"embed_tokens\.weight is 263 x 64 in the parent and 300 x 64"),
        ({"num_attention_heads": 2}, "num_attention_heads is 4 in the parent and 2"),
    ],
)
def test_the_first_difference_is_named(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    a = write(family("llama"), tmp_path / "a")
    b = write(family("llama", **changes), tmp_path / "b")
    with pytest.raises(ArtefactError, match=message):
        make(a, b, tmp_path / "o")
    assert not (tmp_path / "o" / "hf").exists()


def test_a_merge_with_the_same_weights_is_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="'other' has the parent's own weights"):
        make(pair[0], pair[0], tmp_path / "o")
    assert not (tmp_path / "o" / "hf").exists()


def test_other_families_and_vocabularies_are_refused(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    neox = write(family("gpt_neox"), tmp_path / "n")
    with pytest.raises(ArtefactError, match="model_type is llama in the parent and gpt_neox"):
        make(pair[0], neox, tmp_path / "1")
    file = pair[1] / "tokenizer.json"
    words = json.loads(file.read_text())
    vocabulary = words["model"]["vocab"]
    vocabulary["h"], vocabulary["i"] = vocabulary["i"], vocabulary["h"]
    file.write_text(json.dumps(words))
    with pytest.raises(ArtefactError, match="token 'h' has id"):
        make(*pair, tmp_path / "2")


def test_mergekit_is_asked_for_and_missing(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slmbench.lifecycle.mergekit.find_program", lambda: None)
    with pytest.raises(PrerequisiteError, match="no program mergekit-yaml") as error:
        make(*pair, tmp_path / "o", tool="mergekit")
    assert "slmbench[mergekit]" in str(error.value.hint)


def test_mergekit_is_given_both_folders(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "mergekit-yaml"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\ncp "$1" {tmp_path}/asked.json; mkdir -p "$2"; cp {pair[1]}/* "$2"\n'
        'echo "$1" > "$2/README.md"\n'
    )
    program.chmod(0o755)
    monkeypatch.setattr("slmbench.lifecycle.mergekit.find_program", lambda: str(program))
    path, facts = make(*pair, tmp_path / "o", tool="mergekit", method="slerp", t=0.3)
    asked = json.loads((tmp_path / "asked.json").read_text())
    assert [m["model"] for m in asked["models"]] == [str(p) for p in pair]
    assert (asked["base_model"], asked["merge_method"]) == (str(pair[0]), "slerp")
    assert asked["parameters"] == {"t": 0.3}
    assert facts.tool == "mergekit-yaml"
    assert (path / "tokenizer.json").is_file()
    assert not (path / "README.md").exists()
    assert asked["out_dtype"] == "float32"
    linear = configuration(recipe(t=0.3), *pair)
    assert [m["parameters"]["weight"] for m in linear["models"]] == [0.7, 0.3]
    program.write_text("#!/bin/sh\necho 'no such method' >&2; exit 3\n")
    with pytest.raises(ArtefactError, match="code 3: no such method"):
        make(*pair, tmp_path / "p", tool="mergekit")


@pytest.mark.parametrize("method", ["linear", "slerp"])
def test_mergekit_agrees(method: str, pair: tuple[Path, Path], tmp_path: Path) -> None:
    """An implementation by others, where it is installed."""
    if find_program() is None:
        pytest.skip("needs mergekit: pip install 'slmbench[mergekit]'")
    ours, _ = make(*pair, tmp_path / "1", method=method, t=0.3)
    theirs, facts = make(*pair, tmp_path / "2", method=method, t=0.3, tool="mergekit")
    assert facts.tool == "mergekit-yaml"
    for name, found in load(theirs).state_dict().items():
        torch.testing.assert_close(found, load(ours).state_dict()[name], rtol=1e-4, atol=1e-5)
