"""The artefacts that gates compare: a models file's variants, and what is made of them to compare.

A variant in one format is compared with its nearest relative in the other, found along the
lineage; where there is none, a folder is exported to GGUF or a GGUF is dequantized.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

from slmbench.backends import BACKENDS, CAPABILITIES
from slmbench.gates.asking import Subject
from slmbench.lifecycle import Artefact, materialise
from slmbench.plan import identify, resolve_target
from slmbench.spec import ModelsFile, Target, Variant, VariantRef
from slmbench.spec.identity import recipe_digest
from slmbench.spec.recipe import Dequantize, GgufExport, Recipe
from slmbench.spec.recipes.technique import Format

_DEFAULTS = {
    "gguf": Target(name="gates-llama_cpp", backend="llama_cpp"),
    "hf": Target(name="gates-transformers", backend="transformers", dtype="float32"),
}
"""For a format that no target of the models file loads."""
_MODULES = {"llama_cpp": "llama_cpp", "transformers": "torch"}
"""What must be installed for a backend; looked for, not imported."""


class Stock:
    """Variants of one models file as things that can be asked; each is made once."""

    def __init__(self, models: ModelsFile, say: Callable[[str], None]) -> None:
        self.models, self._say = models, say
        self.refs = identify(models)
        self._artefacts: dict[str, Artefact] = {}

    def artefact(self, variant: Variant) -> Artefact:
        """The variant's file or folder, fetched or made (SlmbenchError where it cannot be)."""
        ref = self.refs[variant.name]
        if variant.format == "fake":
            return Artefact(path=Path(), sha256=ref.digest, bytes=0, made=None)
        if variant.name not in self._artefacts:
            parent = None
            if variant.recipe is not None and variant.parent is not None:
                parent = self.artefact(self.models.variant(variant.parent))
            self._artefacts[variant.name] = materialise(
                variant, ref, parent, base=Path(), report=self._say
            )
        return self._artefacts[variant.name]

    def subject(self, variant: Variant, target: Target) -> Subject:
        """The variant on that target."""
        found = self.artefact(variant)
        return Subject(self.refs[variant.name], found.path, found.sha256, resolve_target(target))

    def targets(self, variant: Variant) -> tuple[Target, ...]:
        """The targets of the file that load the variant, the first one of each backend."""
        first: dict[str, Target] = {}
        for target in self.models.targets:
            if variant.format in _formats(target.backend):
                first.setdefault(target.backend, target)
        return tuple(first.values())

    def target_for(self, format_: Format) -> Target:
        """The file's first target that loads the format, else one with default settings."""
        fitting = (t for t in self.models.targets if format_ in _formats(t.backend))
        return next(fitting, _DEFAULTS[format_])

    def relative(self, variant: Variant) -> Subject:
        """The nearest relative in the other format, made if there is none.

        Raises UnsupportedModelError where the variant cannot be converted.
        """
        other: Format = "hf" if variant.format == "gguf" else "gguf"
        for near in self._by_distance(variant):
            if near.format == other:
                return self.subject(near, self.target_for(other))
        return self.exported(variant) if variant.format == "hf" else self.dequantized(variant)

    def exported(self, variant: Variant) -> Subject:
        """The folder's weights in a float32 GGUF (UnsupportedModelError: not a plain Llama)."""
        recipe = GgufExport(technique="gguf_export", dtype="float32")
        return self._derived(variant, recipe, "gguf")

    def dequantized(self, variant: Variant) -> Subject:
        """The GGUF's weights in a float32 folder (UnsupportedModelError: not a Llama)."""
        return self._derived(variant, Dequantize(technique="dequantize"), "hf")

    def _derived(self, parent: Variant, recipe: Recipe, format_: Format) -> Subject:
        made = Variant(
            name=f"{parent.name[:60]}-{recipe.technique}",
            format=format_,
            stage="exported",
            technique=recipe.technique,
            parent=parent.name,
            licence=parent.licence,
            recipe=recipe,
        )
        above = self.refs[parent.name].digest
        ref = VariantRef(
            name=made.name,
            digest=recipe_digest(recipe, above),
            format=format_,
            stage=made.stage,
            technique=made.technique,
            parent=parent.name,
            parent_digest=above,
            licence=parent.licence,
        )
        found = materialise(made, ref, self.artefact(parent), base=Path(), report=self._say)
        return Subject(ref, found.path, found.sha256, resolve_target(self.target_for(format_)))

    def _by_distance(self, start: Variant) -> Iterator[Variant]:
        """The other variants, nearest in the lineage first; strangers are left out."""
        near: dict[str, list[str]] = {v.name: [] for v in self.models.variants}
        for variant in self.models.variants:
            if variant.parent is not None:
                near[variant.name].append(variant.parent)
                near[variant.parent].append(variant.name)
        seen, queue = {start.name}, deque([start.name])
        while queue:
            for name in near[queue.popleft()]:
                if name not in seen:
                    seen.add(name)
                    queue.append(name)
                    yield self.models.variant(name)


def missing_engine(backend: str) -> str:
    """Why the backend cannot be used here; empty when it can."""
    module = _MODULES.get(backend)
    if module is None or find_spec(module) is not None:
        return ""
    return f"the engine of {backend} is not installed"


def plain_llama_types(path: Path) -> bool:
    """Whether all tensors of a GGUF are float32 (ArtefactError: no readable GGUF)."""
    from slmbench.lifecycle.gguf_header import read_header

    return {name for name, _ in read_header(path).types} == {"F32"}


def _formats(backend: str) -> tuple[str, ...]:
    if backend in CAPABILITIES:
        return CAPABILITIES[backend].formats
    return BACKENDS.load(backend).capabilities.formats
