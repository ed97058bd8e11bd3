"""What identifies a variant before it exists: pure functions, no file is read.

A source is identified by the digest of its artefact where the models file gives one; a derived
variant by its recipe (technique, settings, implementation version) and its parent's identity.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from slmbench.spec.recipe import Recipe
from slmbench.spec.variant import Source


def recipe_digest(
    recipe: Recipe, parent_digest: str | None, other_digests: Sequence[str] = ()
) -> str:
    """SHA-256 over the canonical JSON of recipe and parent identity, 64 hexadecimal digits.

    Changes with every setting, with the recipe's ``version``, and with anything up the lineage.
    ``parent_digest`` is None for what is made of nothing; ``other_digests`` are the identities of
    ``recipe.others()``, in their order.
    """
    settings = recipe.model_dump(mode="json")
    document: dict[str, object] = {"parent": parent_digest, "recipe": settings}
    if other_digests:
        document["others"] = list(other_digests)
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def source_digest(source: Source) -> str:
    """The artefact's own SHA-256 where it is given, else that of the place it comes from.

    Without a digest only the address is identified (``hub:owner/name@revision:file``,
    ``wheel:<sha256>:member``, ``file:path``); give ``sha256`` to identify the content.
    """
    if source.sha256 is not None:
        return source.sha256
    if source.hub is not None:
        part = f":{source.hub.file}" if source.hub.file else ""
        address = f"hub:{source.hub.repo}@{source.hub.revision}{part}"
    elif source.wheel is not None:
        address = f"wheel:{source.wheel.sha256}:{source.wheel.member}"
    else:
        address = f"file:{source.file}"
    return hashlib.sha256(address.encode()).hexdigest()
