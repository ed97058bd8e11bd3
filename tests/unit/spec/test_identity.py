"""Identities: the same recipe on the same parent is the same variant, anything else is not."""

from __future__ import annotations

import hashlib

import pytest

from slmbench.spec import HubSource, Source, WheelSource
from slmbench.spec.identity import recipe_digest, source_digest
from slmbench.spec.recipe import DepthPrune, Dequantize, GgufQuantize

PARENT = "a" * 64


def test_a_recipe_digest_is_pinned() -> None:
    """The key of every user's cache: changing it makes all variants anew."""
    text = (
        '{"parent":"' + PARENT + '","recipe":{"technique":"gguf_quantize","type":"Q8_0",'
        '"version":1}}'
    )
    found = recipe_digest(GgufQuantize(technique="gguf_quantize", type="Q8_0"), PARENT)
    assert found == hashlib.sha256(text.encode()).hexdigest()


def test_every_setting_and_the_parent_count() -> None:
    prune = DepthPrune(technique="depth_prune", drop_layers=4)
    digests = {
        recipe_digest(prune, PARENT),
        recipe_digest(prune, "b" * 64),
        recipe_digest(prune.model_copy(update={"drop_layers": 3}), PARENT),
        recipe_digest(prune.model_copy(update={"seed": 1}), PARENT),
        recipe_digest(prune.model_copy(update={"version": 2}), PARENT),
        recipe_digest(Dequantize(technique="dequantize"), PARENT),
    }
    assert len(digests) == 6


def test_a_given_artefact_digest_is_the_identity() -> None:
    source = Source(hub=HubSource(repo="o/n", revision="main"), sha256=PARENT)
    assert source_digest(source) == PARENT


@pytest.mark.parametrize(
    ("source", "address"),
    [
        (Source(hub=HubSource(repo="o/n", revision="r")), "hub:o/n@r"),
        (Source(hub=HubSource(repo="o/n", revision="r", file="m.gguf")), "hub:o/n@r:m.gguf"),
        (Source(file="m.gguf"), "file:m.gguf"),
        (
            Source(wheel=WheelSource(package="p", version="1", member="m", sha256=PARENT)),
            f"wheel:{PARENT}:m",
        ),
    ],
)
def test_without_a_digest_the_address_is(source: Source, address: str) -> None:
    assert source_digest(source) == hashlib.sha256(address.encode()).hexdigest()
