"""Experiments under construction: runs, records of making and the declaration, in a real store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import builders as b
from slmbench.analysis import load_results
from slmbench.analysis.experiments import Told, tell
from slmbench.analysis.experiments.material import Material, gather
from slmbench.made import CurvePoint, MadeRecord, Measured, TextFacts, TrainFacts, Training
from slmbench.records import ScoreRow
from slmbench.report.experiments import spoken
from slmbench.spec import RunSpec, Variant
from slmbench.spec.experiment import Experiment
from slmbench.store import FinishedRun, VariantRecord, save_items, save_variant, seal
from slmbench.store.experiments import KeptExperiment, MemberVariant, save_experiment

BYTES = 100.0
"""Of every text."""


def text(n: int) -> TextFacts:
    """Some text."""
    return TextFacts(sources=("made up",), sha256=b.sha("text"), texts=n, tokens=10 * n, bytes=n)


def training(losses: Sequence[float], *, tokens: int = 1000) -> Training:
    """A run of the loop with these validation losses at equal distances [nats/byte]."""
    steps = len(losses) - 1
    curve = tuple(
        CurvePoint(step=i, tokens=tokens * i // steps, seconds=float(i), loss=None, validation=loss)
        for i, loss in enumerate(losses)
    )
    return Training(
        update="lora", trained_parameters=10, steps=steps, tokens=tokens, sequences=steps,
        text=text(10), validation_text=text(2), curve=curve, interruptions=0,
    )  # fmt: skip


@dataclass(slots=True)
class Laboratory:
    """One experiment in one results folder."""

    root: Path
    shelf: b.Shelf = field(init=False)
    members: list[MemberVariant] = field(default_factory=list)
    cells: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """An empty store."""
        self.shelf = b.Shelf(self.root)

    def variant(
        self,
        name: str,
        parent: str | None = None,
        *,
        losses: Sequence[float] = (),
        rate: float = 1e-4,
        seed: int = 1234,
        noise: float | None = None,
        bits: float = 32.0,
        parameters: int = 1000,
        kernel: str = "real",
        failure: str = "",
        technique: str = "",
    ) -> None:
        """A member; with a parent it is derived, with losses by training, with noise by that."""
        recipe: dict[str, Any] = {"technique": "cast", "dtype": "bfloat16"}
        if losses:
            recipe = {"technique": "train", "learning_rate": rate, "seed": seed}
        elif noise is not None:
            recipe = {"technique": "perturb", "relative_norm": noise, "seed": seed}
        source = {"hub": {"repo": "o/n", "revision": "1"}}
        made = {"parent": parent, "recipe": recipe} if parent else {"source": source}
        variant = Variant.model_validate(
            {
                "name": name, "format": "hf", "stage": "finetuned" if losses else "exported",
                "technique": technique or name, "licence": "Apache-2.0", **made,
            }
        )  # fmt: skip
        self.members.append(MemberVariant(variant=variant, digest=b.sha(name)))
        ref = b.variant(name, parent=parent, technique=variant.technique)
        record = None
        if parent and not failure:
            record = self._made(variant, losses, bits, parameters, kernel)
        save_variant(self.root, VariantRecord(variant=ref, made=record, failure=failure))

    def _made(
        self, variant: Variant, losses: Sequence[float], bits: float, parameters: int, kernel: str
    ) -> MadeRecord:
        assert variant.recipe is not None
        facts: Any = {"technique": "cast", "tensors": 1, "rounded_weights": 0}
        if losses:
            facts = TrainFacts(
                training=training(losses), parameters=parameters, reload_max_logit_difference=0.0
            )
        return MadeRecord(
            variant=variant.name, identity=b.sha(variant.name), recipe=variant.recipe,
            parent=variant.parent, parent_identity=None, parent_sha256=None, artefact="hf",
            artefact_sha256=b.sha("a"), artefact_bytes=int(parameters * bits / 8), facts=facts,
            tools={}, started_utc="2026-01-01T00:00:00+00:00", duration_s=60.0, threads=2,
            peak_memory_bytes=10**9,
            measured=Measured(
                parameters=parameters, weight_bytes=int(parameters * bits / 8),
                bits_per_weight=bits, zero_share=0.0, kernel=kernel, kernel_reason="for a test",
            ),
        )  # fmt: skip

    def answers(self, name: str, scores: Sequence[float | None], task: str = "arc_easy") -> None:
        """Right and wrong answers of a member to the items of a task."""
        spec = self._spec(name, b.task(task))
        self.shelf.task(spec, b.choice_items(task, len(scores)), {"acc": scores}, **self._model())
        self.cells.append(spec.digest)

    def reads(self, name: str, losses: Sequence[float]) -> None:
        """Bits per byte of a member on so many texts."""
        task = "slm_text_boolq_rolling"
        spec = self._spec(name, b.task(task, primary="bpb_rolling"), suite="perplexity")
        items = b.choice_items(task, len(losses)).model_copy(update={"scorer": "perplexity"})
        digest = save_items(self.root, items)
        rows = tuple(
            ScoreRow(
                item_id=item.item_id, cluster=item.cluster, group="", metric="bpb_rolling",
                value=loss, weight=BYTES,
            )
            for item, loss in zip(items.items, losses, strict=True)
        )  # fmt: skip
        record = b.record(spec, item_set=digest, items_total=len(losses), **self._model())
        seal(self.root, FinishedRun(spec, b.environment(), record, (), rows, "perplexity"))
        self.cells.append(spec.digest)

    def diverges(self, name: str, parent: str, windows: Sequence[Sequence[float]]) -> None:
        """KL divergence of a member from its parent, by window."""
        from slmbench.spec import Reference

        work = b.workload("fidelity").model_copy(
            update={
                "reference": Reference(variant=b.variant(parent), target=b.target()),
                "text": b.sha("text"),
            }
        )
        spec = self._spec(name, work, suite="fidelity")
        others = ("top1_agreement", "logprob_true_delta", "prob_true_delta", "text_bpb_delta")
        phases = [
            b.phase(
                "window",
                b.measurement("kld", *window),
                *(b.measurement(metric, *([0.0] * len(window))) for metric in others),
            )
            for window in windows
        ]
        self.shelf.load(spec, *phases, **self._model())
        self.cells.append(spec.digest)

    def _model(self) -> dict[str, Any]:
        return {"model": b.model(32.0)}

    def _spec(self, name: str, work: Any, suite: str = "accuracy") -> RunSpec:
        member = next(m for m in self.members if m.variant.name == name)
        parent = member.variant.parent
        return b.cell(b.variant(name, parent=parent, technique=name), work, suite=suite)

    def declare(
        self, section: str, arms: Sequence[Mapping[str, Any]], **changes: Any
    ) -> KeptExperiment:
        """Keep the experiment beside its results."""
        experiment = Experiment.model_validate(
            {
                "name": "toy", "title": "A toy", "question": "Is it better?", "models": "demo",
                "section": section, "suites": [{"suite": "accuracy"}], "arms": list(arms),
                "budget": {"minutes": 1, "memory_mb": 1}, **changes,
            }
        )  # fmt: skip
        kept = KeptExperiment(
            experiment=experiment, members=tuple(self.members), cells=tuple(self.cells)
        )
        save_experiment(self.root, kept)
        return kept

    def tell(self, section: str, arms: Sequence[Mapping[str, Any]], **changes: Any) -> Told:
        """What the experiment comes to."""
        kept = self.declare(section, arms, **changes)
        return tell(load_results(self.root), kept)

    def material(self, section: str, arms: Sequence[Mapping[str, Any]]) -> Material:
        """What its section reads."""
        return gather(load_results(self.root), self.declare(section, arms))


def sentences(told: Told) -> list[tuple[str, str]]:
    """Verdict and sentence of every conclusion."""
    return [(c.verdict, spoken(c)) for c in told.findings.conclusions]


def coin(right: int, n: int) -> list[float | None]:
    """``right`` right answers, then wrong ones."""
    return [1.0] * right + [0.0] * (n - right)
