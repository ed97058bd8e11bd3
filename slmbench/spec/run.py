"""RunSpec: one cell, frozen and fully resolved; its digest is its only key."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from slmbench.spec.base import Frozen, Grown, Name, canonical_json
from slmbench.spec.recipes.technique import Format, Stage
from slmbench.spec.serving import Load, Slo
from slmbench.spec.suite import Perturbation, Size, Until
from slmbench.spec.target import Target


class VariantRef(Frozen):
    """A variant as a run knows it: identity and lineage, no path of this machine."""

    name: Name
    digest: str
    """SHA-256 of the artefact for a source, of recipe and parent digest for a derived one."""
    format: Format
    stage: Stage
    technique: str
    parent: Name | None
    parent_digest: str | None
    licence: str
    note: str = ""


class TaskSpec(Grown):
    """A task with its resolved settings."""

    later: ClassVar[frozenset[str]] = frozenset(
        {"item_ids", "shared_prefix", "until", "choices_only", "perturb"}
    )

    kind: Literal["task"] = "task"
    task: Name
    primary: str
    num_fewshot: int
    chat_template: bool
    items: int | None
    """Sample size; None means every item."""
    seed: int
    definition: str = ""
    """Digest of the task's YAML, its data's revision and lm-eval's version."""
    item_ids: tuple[str, ...] | None = None
    """The very items to ask, in this order; null: a sample of ``items``."""
    shared_prefix: bool = True
    """Evaluate what requests have in common once."""
    until: Until | None = None
    """Adaptive stop; null: every item is asked."""
    choices_only: bool = False
    """Its choices are scored without the question: a baseline, see :attr:`RunSpec.is_baseline`."""
    perturb: Perturbation | None = None
    """Its items are disturbed in this way; the ids stay those of the plain items."""

    def without_question(self) -> TaskSpec:
        """The baseline of this task: the same items, their choices alone, and all of them.

        There is no prompt to show examples in or to render, hence no few-shot examples and no
        chat template. A baseline's baseline is itself.
        """
        plain = {"num_fewshot": 0, "chat_template": False, "until": None, "choices_only": True}
        return self.model_copy(update=plain)

    def disturbed(self, how: Perturbation) -> TaskSpec:
        """The same items, all of them, asked in another way."""
        return self.model_copy(update={"until": None, "perturb": how})


class WorkloadPoint(Grown):
    """One point of a workload grid."""

    later: ClassVar[frozenset[str]] = frozenset({"depth"})

    prompt_tokens: int = Field(ge=1)
    output_tokens: int = Field(ge=1)
    batch: int = Field(default=1, ge=1)
    depth: int = Field(default=0, ge=0)
    """Tokens that stand in the KV cache before the prompt; evaluated before the clock starts."""

    @property
    def label(self) -> str:
        """Name in the manner of llama-bench, see :func:`slmbench.spec.points.parse_point`."""
        prompt, output = f"pp{self.prompt_tokens}", f"tg{self.output_tokens}"
        name = f"{prompt}+{output}"
        if self.output_tokens == 1:
            name = prompt
        elif self.prompt_tokens == 1:
            name = output
        depth = f"@d{self.depth}" if self.depth else ""
        batch = f"×b{self.batch}" if self.batch > 1 else ""
        return f"{name}{depth}{batch}"

    @property
    def tokens(self) -> int:
        """KV cells of one sequence at its end."""
        return self.depth + self.prompt_tokens + self.output_tokens


class Reference(Frozen):
    """Whom a variant is compared with, token by token."""

    variant: VariantRef
    target: Target
    """Loads the reference; not always the target of the variant."""


class WorkloadSpec(Grown):
    """A synthetic load, or a text that is read out, with its resolved grid and protocol."""

    later: ClassVar[frozenset[str]] = frozenset(
        {
            "text", "reference", "processes", "max_processes", "precision", "loads", "slo",
            "memory_limits",
        }
    )  # fmt: skip

    kind: Literal["workload"] = "workload"
    workload: Name
    points: tuple[WorkloadPoint, ...]
    repeats: int
    warmup: int
    budget_s: float | None = None
    """Time after which no further repetition of a point begins [s]; null: no bound."""
    window_s: float
    idle_s: float
    seed: int
    text: str = ""
    """SHA-256 of the text that is read out; empty: random tokens."""
    reference: Reference | None = None
    """Fidelity: the model whose predictions are the standard."""
    processes: int = Field(default=1, ge=1)
    """Fresh processes that repeat the whole cell, in rounds with the other cells of the suite."""
    max_processes: int | None = Field(default=None, ge=1)
    """Rounds go on up to here while ``precision`` is not reached; null: ``processes`` is all."""
    precision: float | None = Field(default=None, gt=0, lt=1)
    """Half-width of the 95 % interval of each point's median, relative to it, that is enough."""
    loads: tuple[Load, ...] = ()
    """Serving: who sends requests, and how many."""
    slo: Slo | None = None
    """Serving: what makes a request good."""
    memory_limits: tuple[int, ...] = ()
    """OOM frontier: limits to search under [bytes]."""

    @property
    def timed(self) -> bool:
        """Whether its speed, memory or energy is what is measured."""
        return self.workload != "fidelity"


class RunSpec(Grown):
    """One resolved cell: variant × target × (task or workload)."""

    later: ClassVar[frozenset[str]] = frozenset({"draft"})

    schema_version: Literal[1] = 1
    suite: Name
    size: Size
    variant: VariantRef
    target: Target
    work: Annotated[TaskSpec | WorkloadSpec, Field(discriminator="kind")]
    timeout_s: float
    """Hard limit for the cell, or for each process of a timed one [s], model load included."""
    draft: VariantRef | None = None
    """The variant that the target's option ``draft`` names."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, 64 hexadecimal digits."""
        return hashlib.sha256(canonical_json(self).encode()).hexdigest()

    @property
    def key(self) -> str:
        """The digest's first 16 digits: the folder name."""
        return self.digest[:16]

    @property
    def work_name(self) -> str:
        """Task or workload name; ``arc_easy (choices only)`` for a baseline."""
        if isinstance(self.work, WorkloadSpec):
            return self.work.workload
        beside = "choices only" if self.work.choices_only else self.work.perturb
        return f"{self.work.task} ({beside})" if beside else self.work.task

    @property
    def is_baseline(self) -> bool:
        """Whether it stands beside a task's score: a shortcut through it, or disturbed items.

        No score, rank or verdict comes of it; results keep such runs apart from all others.
        """
        work = self.work
        return isinstance(work, TaskSpec) and (work.choices_only or work.perturb is not None)

    @property
    def loads(self) -> tuple[Name, ...]:
        """The variants that a process of it loads."""
        return (self.variant.name,) if self.draft is None else (self.variant.name, self.draft.name)

    @property
    def label(self) -> str:
        """For people: ``accuracy/hellaswag · smollm2-q8_0 · llama_cpp-cpu``."""
        label = f"{self.suite}/{self.work_name} · {self.variant.name} · {self.target.name}"
        reference = None if isinstance(self.work, TaskSpec) else self.work.reference
        return f"{label} (against {reference.variant.name})" if reference else label
