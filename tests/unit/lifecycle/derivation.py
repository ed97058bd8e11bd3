"""A variant with a recipe, its identity and its parent, for tests of derivation."""

from __future__ import annotations

from pathlib import Path

from slmbench.content import content_of
from slmbench.lifecycle import Artefact
from slmbench.spec import Recipe, Variant, VariantRef
from slmbench.spec.identity import recipe_digest
from slmbench.spec.recipe import GgufQuantize

PARENT_DIGEST = "a" * 64


def child(recipe: Recipe | None = None, name: str = "child", format_: str = "gguf") -> Variant:
    recipe = recipe or GgufQuantize(technique="gguf_quantize", type="Q8_0")
    return Variant(
        name=name,
        format=format_,
        stage="quantized",
        technique=recipe.technique,
        parent="parent",
        licence="MIT",
        recipe=recipe,
    )


def ref_of(variant: Variant, parent_digest: str = PARENT_DIGEST) -> VariantRef:
    assert variant.recipe is not None
    return VariantRef(
        name=variant.name,
        digest=recipe_digest(variant.recipe, parent_digest),
        format=variant.format,
        stage=variant.stage,
        technique=variant.technique,
        parent=variant.parent,
        parent_digest=parent_digest,
        licence=variant.licence,
    )


def artefact_at(path: Path) -> Artefact:
    content = content_of(path)
    return Artefact(path, content.sha256, content.bytes, None)
