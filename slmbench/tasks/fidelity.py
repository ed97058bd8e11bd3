"""The text that fidelity is measured on, how it is cut into windows, and against whom.

A window is the beginning of one document: some context that is not scored, then scored tokens.
Both cuts fall between words, so that the bytes of the scored part are known exactly.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

from slmbench.errors import ArtefactError
from slmbench.locations import suites_dir
from slmbench.spec import Frozen, ModelsFile, Reference, Target, VariantRef, WorkloadPoint

FIDELITY = "fidelity"
"""Name of the workload."""

Encode = Callable[[str], Sequence[int]]
"""Text to token ids, with BOS where the tokenizer adds it by default."""
Loads = Callable[[VariantRef, Target], bool]
"""Whether a target can load a variant."""


class Document(Frozen):
    """One document of the text."""

    id: str
    source: str
    """Data set that it was joined from."""
    licence: str
    text: str


class Window(Frozen):
    """What is read to a model at once."""

    context: str
    """Read, but not scored; the beginning of ``text``."""
    text: str
    ids: tuple[int, ...]
    """Token ids of ``text``."""
    first: int
    """Index of the first scored id: the number of ids of ``context``."""

    @property
    def scored(self) -> int:
        """How many ids are scored."""
        return len(self.ids) - self.first

    @property
    def scored_bytes(self) -> int:
        """UTF-8 bytes of the scored part."""
        return len(self.text.encode()) - len(self.context.encode())


def text_path() -> Path:
    """Where the text lies: one JSON document a line."""
    return suites_dir() / "tasks" / "data" / "slm_fidelity_text.jsonl"


@lru_cache(maxsize=1)
def text_digest() -> str:
    """SHA-256 of the text's file, 64 hexadecimal digits."""
    return hashlib.sha256(text_path().read_bytes()).hexdigest()


def documents(digest: str) -> tuple[Document, ...]:
    """The documents of the text with this digest; ArtefactError if the file is another."""
    content = text_path().read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise ArtefactError(
            f"{text_path()}: the text has changed: digest {found[:12]}, wanted {digest[:12]}",
            hint="plan the run again, with the slmbench that is to run it",
        )
    return tuple(Document.model_validate_json(line) for line in content.decode().splitlines())


def windows(
    encode: Encode, texts: Sequence[Document], point: WorkloadPoint, count: int
) -> tuple[Window, ...]:
    """The first ``count`` documents, each cut to at most the point's tokens.

    ``point.prompt_tokens`` bounds the context and ``point.output_tokens`` what is scored.
    ArtefactError when the text has fewer documents, or one cannot be cut.
    """
    if count > len(texts):
        raise ArtefactError(
            f"the fidelity text has {len(texts)} documents, {count} windows are wanted",
            hint="lower `repeats` in the suite's size",
        )
    return tuple(_window(encode, d, point) for d in islice(texts, count))


def _window(encode: Encode, document: Document, point: WorkloadPoint) -> Window:
    text, most = document.text, point.prompt_tokens + point.output_tokens
    cuts = [*(m.start() for m in re.finditer(r"(?<=\S)\s", text)), len(text)]
    fitting = bisect_right(cuts, most, key=lambda cut: len(encode(text[:cut])))
    ids = tuple(encode(text[: cuts[fitting - 1]])) if fitting else ()
    begin = bisect_right(cuts, point.prompt_tokens, key=lambda cut: len(encode(text[:cut])))
    for cut in reversed(cuts[: min(begin, fitting - 1)]):
        context = tuple(encode(text[:cut]))
        if context and context == ids[: len(context)]:
            return Window(
                context=text[:cut], text=text[: cuts[fitting - 1]], ids=ids, first=len(context)
            )
    raise ArtefactError(
        f"document {document.id} cannot be cut between words after {point.prompt_tokens} tokens",
        hint="raise prompt_tokens in the suite's size",
    )


@dataclass(frozen=True, slots=True)
class Pairing:
    """Against whom each variant is to be measured on each target."""

    models: ModelsFile
    refs: Mapping[str, VariantRef]
    variants: frozenset[str]
    """Names of the variants that were chosen."""
    targets: tuple[Target, ...]
    """Targets that were chosen, resolved."""
    loads: Loads
    resolve: Callable[[Target], Target]

    def of(self, variant: VariantRef, target: Target) -> tuple[Reference, ...]:
        """Its parent, and itself where it is the reference of others (the A/A floor)."""
        found = []
        if variant.parent is not None:
            parent = self._reference(self.refs[variant.parent], target)
            if parent is not None:
                found.append(parent)
        if any(r.target == target for r in self._asked_of(variant)):
            found.append(Reference(variant=variant, target=target))
        return tuple(found)

    def why_none(self, variant: VariantRef) -> str:
        """Reason of a skip."""
        if variant.parent is None:
            return "it has no parent to be compared with, token by token"
        return f"no target of the models file loads its parent {variant.parent}"

    def _asked_of(self, variant: VariantRef) -> list[Reference]:
        """The references that chosen children of the variant need."""
        children = [
            self.refs[v.name]
            for v in self.models.variants
            if v.parent == variant.name and v.name in self.variants
        ]
        found = [
            self._reference(variant, target)
            for child in children
            for target in self.targets
            if self.loads(child, target)
        ]
        return [r for r in found if r is not None]

    def _reference(self, parent: VariantRef, mine: Target) -> Reference | None:
        """The parent on the same target if it loads there, else on the first that loads it."""
        others = sorted(
            (self.resolve(t) for t in self.models.targets), key=lambda t: t.device != mine.device
        )
        for target in (mine, *others):
            if self.loads(parent, target):
                return Reference(variant=parent, target=target)
        return None
