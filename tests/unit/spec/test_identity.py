"""Identities of variants: they change with everything that can change the artefact."""

from __future__ import annotations

from slmbench.spec.identity import recipe_digest, source_digest
from slmbench.spec.recipe import DepthPrune, GgufQuantize
from slmbench.spec.variant import Source

SHA = "a" * 64
OTHER = "b" * 64


def test_recipes_are_told_apart_by_every_setting_and_by_their_parent() -> None:
    recipes = [
        GgufQuantize(technique="gguf_quantize", type="Q2_K"),
        GgufQuantize(technique="gguf_quantize", type="Q8_0"),
        DepthPrune(technique="depth_prune", drop_layers=2),
        DepthPrune(technique="depth_prune", drop_layers=2, seed=5),
    ]
    digests = {recipe_digest(r, parent) for r in recipes for parent in (SHA, OTHER)}
    assert len(digests) == 8
    assert all(len(d) == 64 for d in digests)
    same = GgufQuantize.model_validate({"type": "Q2_K", "technique": "gguf_quantize"})
    assert recipe_digest(same, SHA) == recipe_digest(recipes[0], SHA)


def test_a_source_is_its_content_where_that_is_known() -> None:
    one = Source.model_validate({"file": "a.gguf", "sha256": SHA})
    moved = Source.model_validate({"file": "b.gguf", "sha256": SHA})
    assert source_digest(one) == source_digest(moved) == SHA


def test_otherwise_a_source_is_its_address() -> None:
    wheel = {"package": "p", "version": "1", "member": "m", "sha256": SHA}
    sources = [
        {"file": "a.gguf"},
        {"file": "b.gguf"},
        {"hub": {"repo": "o/n", "revision": "r"}},
        {"hub": {"repo": "o/n", "revision": "r", "file": "x.gguf"}},
        {"hub": {"repo": "o/n", "revision": "s"}},
        {"wheel": wheel},
        {"wheel": wheel | {"member": "n"}},
        {"wheel": wheel | {"sha256": OTHER}},
    ]
    assert len({source_digest(Source.model_validate(s)) for s in sources}) == len(sources)
