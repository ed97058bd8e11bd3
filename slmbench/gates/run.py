"""Run the gates for the variants of a models file and keep what they found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import slmbench
from slmbench.errors import (
    MissingEngineError,
    SlmbenchError,
    UnknownNameError,
    UnsupportedModelError,
)
from slmbench.gates import measuring
from slmbench.gates.asking import Subject
from slmbench.gates.material import Material, choice_items, suite_items, texts_of
from slmbench.gates.result import TITLES, GateResult, failed, not_applicable
from slmbench.gates.stock import Stock, missing_engine, plain_llama_types
from slmbench.gates.strings import strings
from slmbench.records import Environment
from slmbench.runner.environment import LIBRARIES, fingerprint
from slmbench.runner.phases import utc_label
from slmbench.spec import ModelsFile, Target, Variant, VariantRef
from slmbench.store.gates import TASKS, GateRecord, save_gate

_FAKE = VariantRef(
    name="sentinels", digest="0" * 64, format="fake", stage="base", technique="none", parent=None,
    parent_digest=None, licence="Apache-2.0",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is asked."""

    strings: int = 1200
    """Strings for G1, at least."""
    items: int = 20
    """Items of each of two tasks for G2 and G3."""
    sentinel_items: int = 200
    """Items of every task for G4."""


class GateRun:
    """One round of gates; material is prepared when a gate first needs it."""

    def __init__(
        self,
        models: ModelsFile,
        results: Path,
        *,
        effort: Effort | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._models, self._results = models, results
        self._effort, self._say = effort or Effort(), say
        self._stock = Stock(models, say)
        self._encode = measuring.EncoderOnce({})

    def records(self, variants: Sequence[str] = ()) -> Iterator[GateRecord]:
        """Every gate of every variant (or of those named), each kept the moment it is known.

        Raises UnknownNameError for a variant that the file does not list.
        """
        known = {v.name: v for v in self._models.variants}
        for name in variants:
            if name not in known:
                raise UnknownNameError("variant", name, known)
        for variant in self._models.variants:
            if not variants or variant.name in variants:
                for target in self._stock.targets(variant):
                    yield from self._of(variant, target)
        yield self._sentinels()

    def _of(self, variant: Variant, target: Target) -> Iterator[GateRecord]:
        ref = self._stock.refs[variant.name]
        gates: dict[str, Callable[[Subject], GateResult]] = {
            "G1": partial(self._tokenizer, variant),
            "G2": partial(self._logprobs, variant),
            "G3": self._floor,
        }
        subject: Subject | None = None
        for gate, measure in gates.items():
            self._say(f"{gate} {TITLES[gate]}: {variant.name} in {target.backend}")
            try:
                if lacking := missing_engine(target.backend):
                    result = not_applicable(gate, lacking)
                else:
                    subject = subject or self._stock.subject(variant, target)
                    result = measure(subject)
            except SlmbenchError as error:
                result = failed(gate, error.message)
            yield self._keep(ref, target.backend, result, subject.sha256 if subject else "")

    def _tokenizer(self, variant: Variant, subject: Subject) -> GateResult:
        if variant.format == "fake":
            return not_applicable("G1", "a fake has no tokenizer of its own")
        try:
            relative = self._stock.relative(variant)
        except (UnsupportedModelError, MissingEngineError) as error:
            why = error.message.replace(f"{subject.path}: ", "")
            return not_applicable("G1", f"no relative in another format: {why}")
        if lacking := missing_engine(relative.target.backend):
            return not_applicable("G1", lacking)
        return measuring.tokenizer_parity(subject, relative, self._texts, self._encode)

    def _logprobs(self, variant: Variant, subject: Subject) -> GateResult:
        if variant.format == "fake":
            return not_applicable("G2", "a fake has no weights")
        try:
            if variant.format == "hf":
                folder, exported = subject, self._stock.exported(variant)
            elif plain_llama_types(subject.path):
                folder, exported = self._stock.dequantized(variant), subject
            else:
                return not_applicable(
                    "G2",
                    "quantized weights: no other engine computes with the same ones; "
                    "the float folder of its lineage is compared",
                )
        except (UnsupportedModelError, MissingEngineError) as error:
            why = error.message.replace(f"{subject.path}: ", "")
            return not_applicable("G2", f"no float32 pair of these weights: {why}")
        for one in (folder, exported):
            if lacking := missing_engine(one.target.backend):
                return not_applicable("G2", lacking)
        return measuring.logprob_parity(folder, exported, self._items.item_sets)

    def _floor(self, subject: Subject) -> GateResult:
        if not self._items.sets:
            return failed("G3", f"no items to ask: {'; '.join(self._items.missing)}")
        return measuring.noise_floor(subject, self._items.item_sets, self._items.label)

    def _sentinels(self) -> GateRecord:
        self._say(f"G4 {TITLES['G4']}: every task of the suites")
        target = Target(name="sentinels", backend="fake", threads=1)
        subject = Subject(_FAKE, Path(), _FAKE.digest, target)
        try:
            tasks = suite_items(self._effort.sentinel_items)
            result = measuring.sentinels(subject, tasks.sets, tasks.missing)
        except SlmbenchError as error:
            result = failed("G4", error.message)
        return self._keep(None, "fake", result, "")

    @cached_property
    def _items(self) -> Material:
        return choice_items(self._effort.items)

    @cached_property
    def _texts(self) -> list[str]:
        return strings(
            self._effort.strings,
            more=texts_of(self._items.item_sets)[: self._effort.strings // 4],
        )

    @cached_property
    def _here(self) -> Environment:
        return fingerprint(LIBRARIES)

    def _keep(
        self, ref: VariantRef | None, backend: str, result: GateResult, artefact: str
    ) -> GateRecord:
        record = GateRecord(
            gate=result.gate,
            title=TITLES[result.gate],
            subject=ref.digest if ref else TASKS,
            variant=ref.name if ref else "(tasks)",
            backend=backend,
            verdict=result.verdict,
            reason=result.reason,
            numbers=result.numbers,
            details=result.details,
            artefact_sha256=artefact,
            machine=self._here.machine,
            libraries=self._here.libraries,
            slmbench_version=slmbench.__version__,
            measured_utc=utc_label(),
        )
        save_gate(self._results, record)
        return record
