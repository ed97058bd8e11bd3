"""Suites: which tasks and workloads, with every knob. The only place for knobs."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from slmbench.spec.base import Frozen, Name
from slmbench.spec.serving import Load, Slo

Size = Literal["demo", "standard", "full"]
Count = Annotated[int, Field(ge=1)]
Items = Count | Literal["all"]
Perturbation = Literal["typos", "case", "synonyms", "option_order", "names"]
"""How the same items are asked again: see :mod:`slmbench.tasks.perturbed`."""


class SizeKnobs(Frozen):
    """What differs between a minute's look and a night's run."""

    items: Items | None = None
    """Items per task: a seeded stratified sample, or all."""
    repeats: int | None = Field(default=None, ge=1)
    """Timed repetitions per workload point."""
    warmup: int | None = Field(default=None, ge=0)
    """Untimed repetitions before them."""
    budget_s: float | None = Field(default=None, gt=0)
    """No further repetition of a workload point begins after this long [s], so that a busy
    machine ends with fewer samples (flagged) instead of hours later."""
    window_s: float | None = Field(default=None, gt=0)
    """Least length of an energy window [s]."""
    idle_s: float | None = Field(default=None, ge=0)
    """Idle observed before and after an energy window [s]."""
    prompt_tokens: tuple[Count, ...] | None = None
    """Grid: prompt lengths [tokens]."""
    output_tokens: tuple[Count, ...] | None = None
    """Grid: generated lengths [tokens]."""
    points: tuple[str, ...] | None = None
    """Workload points by name instead of the grid: ``pp512``, ``tg128``, ``pp512+tg128@d2048``."""
    depths: tuple[Annotated[int, Field(ge=0)], ...] | None = None
    """Grid: tokens that stand in the KV cache before the prompt [tokens]; null: none."""
    batches: tuple[Count, ...] | None = None
    """Grid: sequences at a time; null: one."""
    threads: tuple[Count, ...] | None = None
    """Run timed workloads with each of these thread counts, as targets of their own; null: with
    the target's."""
    processes: int | None = Field(default=None, ge=1)
    """Fresh processes per timed cell, in rounds with the suite's other cells; null: one."""
    max_processes: int | None = Field(default=None, ge=1)
    """Most of them, while ``precision`` is not reached."""
    precision: float | None = Field(default=None, gt=0, lt=1)
    """Enough when the 95 % interval of each point's median is this narrow, relative to it."""
    loads: tuple[Load, ...] | None = None
    """Serving: who sends requests, and how many."""
    slo: Slo | None = None
    """Serving: what makes a request good."""
    memory_limits_mb: tuple[Count, ...] | None = None
    """OOM frontier: memory limits to search under [10^6 bytes]."""
    timeout_s: float | None = Field(default=None, gt=0)
    """Hard limit per cell, or per process of a timed one [s]."""


class Until(Frozen):
    """Stop asking when the paired difference from the parent is known well enough."""

    metric: Literal["acc_delta", "acc_norm_delta"] = "acc_delta"
    """Difference from the parent in this metric, item by item."""
    halfwidth: float = Field(gt=0, lt=1)
    """Stop when the interval is this far to either side, in the metric's unit."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Coverage of the interval over all looks together."""
    every: Count = 50
    """Look after every so many items."""


class Scoring(Frozen):
    """How log-likelihoods are computed; the answers are the same within rounding."""

    shared_prefix: bool = True
    """Evaluate what requests have in common once; false is the naive path, a request at a time."""
    cache: bool = False
    """Keep answers by model, backend and token ids, and score only what is new."""


class SuiteTask(Frozen):
    """One lm-eval task (stock or ours) in a suite."""

    task: Name
    primary: str
    """The metric that stands for the task in the leaderboard."""
    num_fewshot: int = Field(default=0, ge=0)
    chat_template: bool = False
    """Render contexts with the model's own chat template."""
    items: Count | Literal["all"] | tuple[str, ...] | dict[Size, Count | Literal["all"]] | None = (
        None
    )
    """Overrides the size's item count; a list names the very items by their ids; counts by size
    leave the task out at a size that they do not name."""
    margin: float | None = Field(default=None, gt=0, lt=1)
    """Largest loss of the primary metric that still counts as none; null: 0.01."""
    until: Until | None = None
    """Overrides the suite's."""
    choices_only: bool = False
    """Ask the same items a second time with the choices alone, no question: a baseline that
    stands beside the task and never counts as its score."""
    perturb: tuple[Perturbation, ...] = ()
    """Ask the same items again in each of these ways; what changes is robustness, not a score."""

    def asked_at(self, size: Size) -> bool:
        """Whether the task belongs to this size of its suite."""
        return not isinstance(self.items, dict) or size in self.items


class SuiteWorkload(Frozen):
    """One synthetic load in a suite."""

    workload: Name
    """Registered workload: latency, memory, energy."""
    sizes: dict[Size, SizeKnobs] | None = None
    """Knobs that override the suite's, for a workload that needs points or processes of its own;
    it is left out at a size that they do not name. Null: the suite's, at every size."""

    def asked_at(self, size: Size) -> bool:
        """Whether the workload belongs to this size of its suite."""
        return self.sizes is None or size in self.sizes

    def knobs(self, size: Size, of_suite: SizeKnobs) -> SizeKnobs:
        """Its own knobs where it has any, else the suite's; own points replace a grid."""
        own = None if self.sizes is None else self.sizes.get(size)
        if own is None:
            return of_suite
        named = {name: getattr(own, name) for name in own.model_fields_set}
        if own.points is not None:
            grid = ("prompt_tokens", "output_tokens", "depths", "batches")
            named = dict.fromkeys(grid) | named
        elif own.prompt_tokens or own.output_tokens:
            named = {"points": None} | named
        return of_suite.model_copy(update=named)


class Suite(Frozen):
    """A suite file."""

    name: Name
    title: str
    description: str
    """What it measures, and what it does not."""
    seed: int = 1234
    """Seeds subsets, choice orders and random prompts."""
    sizes: dict[Size, SizeKnobs]
    scoring: Scoring = Scoring()
    until: Until | None = None
    """Adaptive stop of every task; null: all items are asked."""
    tasks: tuple[SuiteTask, ...] = ()
    workloads: tuple[SuiteWorkload, ...] = ()

    @model_validator(mode="after")
    def _has_work(self) -> Self:
        if not self.tasks and not self.workloads:
            raise ValueError("a suite needs tasks or workloads")
        return self
