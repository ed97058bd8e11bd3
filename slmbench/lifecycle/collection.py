"""The artefacts that a campaign needs, made once and parents first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from slmbench.errors import DiskSpaceError, SlmbenchError
from slmbench.lifecycle.costs import estimate
from slmbench.lifecycle.derive import find, materialise
from slmbench.lifecycle.job import Artefact, OtherInput
from slmbench.lifecycle.memory_room import available, refuse_too_large
from slmbench.lifecycle.shapes import shape_of
from slmbench.plan import identify
from slmbench.spec import ModelsFile, RunSpec, VariantRef


class Artefacts:
    """The artefacts of the variants that are needed, made parents first."""

    def __init__(
        self, models: ModelsFile, report: Callable[[str], None], *, force: bool = False
    ) -> None:
        """``force``: also make what is estimated to need more memory than there is."""
        self._models, self._report, self._force = models, report, force
        self.refs = identify(models)
        self._made: dict[str, Artefact | SlmbenchError] = {}

    def make(self, names: Iterable[str]) -> None:
        """Make these and what they descend from; a failure is kept and takes its children."""
        for name in sorted(names, key=[v.name for v in self._models.variants].index):
            self.of(name)

    def of(self, name: str) -> Artefact | SlmbenchError:
        """The artefact, or why there is none."""
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def look(self, names: Iterable[str]) -> None:
        """Find these and what they descend from, where they are on this machine; makes nothing."""
        wanted = list(names)
        while wanted:
            variant = self._models.variant(wanted.pop())
            if variant.name not in self._made and variant.format != "fake":
                found = find(variant, self.refs[variant.name], base=Path())
                if found is not None:
                    self._made[variant.name] = found
            wanted += [] if variant.parent is None else [variant.parent]
            wanted += () if variant.recipe is None else variant.recipe.others()

    def known(self) -> tuple[tuple[VariantRef, Artefact | SlmbenchError], ...]:
        """What was made, found or failed so far, in the order of the models file; no fakes."""
        variants = [v for v in self._models.variants if v.format != "fake"]
        return tuple(
            (self.refs[v.name], self._made[v.name]) for v in variants if v.name in self._made
        )

    def serving(self, spec: RunSpec) -> Artefact | SlmbenchError:
        """The artefact of a cell, with its draft where the target has one; or why there is none."""
        found = self.of(spec.variant.name)
        if spec.draft is None or isinstance(found, SlmbenchError):
            return found
        draft = self.of(spec.draft.name)
        if isinstance(draft, SlmbenchError):
            why = f"its draft {spec.draft.name} could not be made: {draft.message}"
            return SlmbenchError(why, hint=draft.hint)
        return replace(found, draft=draft.path)

    def _needed(self, part: str, name: str) -> Artefact:
        found = self.of(name)
        if isinstance(found, SlmbenchError):
            message = f"its {part} {name} could not be made: {found.message}"
            raise SlmbenchError(message, hint=found.hint)
        return found

    def _other(self, name: str) -> OtherInput:
        found = self._needed("other variant", name)
        return OtherInput(
            name=name,
            identity=self.refs[name].digest,
            sha256=found.sha256,
            path=str(found.path),
            format=self._models.variant(name).format,
        )

    def _make(self, name: str) -> Artefact | SlmbenchError:
        try:
            return self._made_of(name)
        except DiskSpaceError:
            raise
        except SlmbenchError as error:
            return error

    def _made_of(self, name: str) -> Artefact:
        variant = self._models.variant(name)
        parent: Artefact | None = None
        others: list[OtherInput] = []
        if variant.recipe is not None:
            if variant.parent is not None:
                parent = self._needed("parent", variant.parent)
            others = [self._other(needed) for needed in variant.recipe.others()]
        if variant.format == "fake":
            return Artefact(path=Path(), sha256=self.refs[name].digest, bytes=0, made=None)
        if variant.recipe is not None and find(variant, self.refs[name]) is None:
            self._check_memory(name, parent, others)
        return materialise(
            variant, self.refs[name], parent, base=Path(), report=self._report, others=others
        )

    def _check_memory(
        self, name: str, parent: Artefact | None, others: Sequence[OtherInput]
    ) -> None:
        recipe = self._models.variant(name).recipe
        if recipe is None or self._force:
            return
        shapes = [shape_of(Path(other.path)) for other in others]
        expected = estimate(recipe, None if parent is None else shape_of(parent.path), shapes)
        refuse_too_large(name, expected, available())
