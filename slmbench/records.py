"""What a run produced. A sealed record holds raw samples; statistics are computed on reading."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from slmbench.spec.base import Frozen, Grown


class Status(StrEnum):
    """How a cell ended. Endings are results, not exceptions."""

    OK = "ok"
    OOM = "oom"
    TIMEOUT = "timeout"
    CRASHED = "crashed"
    UNSUPPORTED = "unsupported"
    INVALID = "invalid"


class Provenance(StrEnum):
    """How a number was obtained, weakest last."""

    MEASURED = "measured"
    DERIVED = "derived"
    ESTIMATED = "estimated"
    UNAVAILABLE = "unavailable"


Method = Literal["counter", "sampled", "modelled", "derived"]


class Measurement(Frozen):
    """Raw readings of one metric. Never a mean."""

    metric: str
    """Key of the metrics table, which holds the unit."""
    samples: tuple[float, ...]
    """Raw readings in the metric's unit, in the order taken; empty when unavailable."""
    provenance: Provenance
    method: Method
    point: str = ""
    """Workload point it belongs to, e.g. ``pp128+tg32``."""
    scope: str = ""
    """What the number covers: ``process``, ``gpu0 board`` …"""
    reason: str = ""
    """Why it is unavailable or only estimated; mandatory then."""

    @model_validator(mode="after")
    def _honest(self) -> Self:
        if self.provenance is Provenance.UNAVAILABLE and self.samples:
            raise ValueError("an unavailable measurement has no samples")
        if self.provenance is not Provenance.UNAVAILABLE and not self.samples:
            raise ValueError("no samples: say unavailable and why")
        if self.provenance in (Provenance.UNAVAILABLE, Provenance.ESTIMATED) and not self.reason:
            raise ValueError(f"{self.provenance} needs a reason")
        return self


ObservationKind = Literal[
    "load_average",
    "other_load",
    "cpu_wait",
    "involuntary_switches",
    "steal",
    "cgroup_throttled",
    "gpu_throttled",
    "gpu_shared",
    "power_over_limit",
    "swap",
    "prefix_cache",
    "short_window",
    "shared_prefix",
    "batched_answers",
    "acceptance_rate",
    "precision_reached",
    "precision_not_reached",
    "generator_lag",
    "failed_requests",
]


class Observation(Frozen):
    """Interference that a meter saw while a phase ran; a warning, stored with the phase."""

    kind: ObservationKind
    value: float
    """Magnitude in ``unit``."""
    unit: str
    message: str
    """For people: what was seen and what it does to the numbers."""


class ProbeEnding(Frozen):
    """One try of the search for what fits below a memory limit."""

    limit_bytes: int
    enforced_by: str
    """``cgroup v1``, ``cgroup v2``, ``address space`` (RLIMIT_AS) or ``CUDA fraction``."""
    context: int
    """KV cells of one sequence, all of them filled [tokens]."""
    batch: int
    """Sequences at a time."""
    status: Status
    """ok: it fitted."""
    reason: str = ""


class PhaseRecord(Grown):
    """One phase of a cell with everything that the meters read in it."""

    later: ClassVar[frozenset[str]] = frozenset({"process", "round", "probe"})

    phase: str
    """load, warm_up, items, prefill, decode, window, idle_before, idle_after."""
    started_utc: str
    """ISO 8601 label; never used for a duration."""
    duration_ns: int
    """perf_counter_ns difference."""
    measurements: tuple[Measurement, ...] = ()
    observations: tuple[Observation, ...] = ()
    process: int = 0
    """Which of the run's processes it ran in: 0, 1, 2 …"""
    round: str = ""
    """Phases of other runs with the same round ran next to it in time, in random order."""
    probe: ProbeEnding | None = None
    """OOM frontier: what was tried, and how it ended."""


class ModelInfo(Grown):
    """What the backend found when it loaded the artefact."""

    later: ClassVar[frozenset[str]] = frozenset(
        {"decode_weight_bytes", "matmul_parameters", "attention_width"}
    )

    artefact_sha256: str
    """Digest of the file, or of the sorted list of a folder's files and digests."""
    artefact_bytes: int
    """Bytes on disk: weights and everything needed to load."""
    weight_bytes: int
    """Bytes of weight tensors as stored (scales included)."""
    parameters: int
    """Logical parameters, tied weights once."""
    bits_per_weight: float
    """8 × weight_bytes / parameters: effective, with scales, embeddings and head."""
    layers: int
    hidden_size: int
    vocab_size: int
    context_train: int
    """Context length that the model was trained for [tokens]."""
    kv_bytes_per_token: int | None
    """Keys and values per token and sequence [bytes]."""
    kernel: Literal["real", "simulated"] = "real"
    """``simulated`` variants get no latency or memory credit."""
    adds_bos: bool
    first_ids: tuple[int, ...] = ()
    """First token ids of a fixed probe text, to see BOS and tokenizer differences."""
    engine_version: str = ""
    """``llama-cpp-python 0.3.36 (AVX512 = 1 …)``."""
    decode_weight_bytes: int | None = None
    """Weight bytes that one decoding step reads, as stored: scales included, an untied input
    embedding left out, a tied head once."""
    matmul_parameters: int | None = None
    """Parameters that every token is multiplied with (without embedding look-up)."""
    attention_width: int | None = None
    """Query heads × size of a head, for the operations of attention."""


class CpuInfo(Frozen):
    """The processor as the kernel describes it."""

    model: str
    flags: tuple[str, ...]
    """Instruction-set flags that matter to the engines."""
    cores: int
    """Logical processors of the machine."""
    usable_cores: int
    """Those that this process may run on (affinity and cgroup quota)."""


class Environment(Frozen):
    """Fingerprint of the machine and software of a run."""

    machine: str
    """16 hex digits over CPU, cores, memory, GPUs, cgroup limits and kernel."""
    hostname_sha256: str
    """Tells two equal machines apart without naming them."""
    cpu: CpuInfo
    memory_bytes: int
    cgroup_version: Literal[0, 1, 2]
    """0: not in a cgroup."""
    cgroup_memory_bytes: int | None
    cgroup_cpus: float | None
    """CPU quota in cores; null: unlimited."""
    kernel: str
    python: str
    libraries: tuple[str, ...]
    """``name==version`` of what can change a number, sorted."""
    git_commit: str | None
    gpus: tuple[str, ...] = ()
    """``name, memory, driver`` per device."""
    thread_settings: tuple[str, ...] = ()
    """``OMP_NUM_THREADS=2`` … as the worker saw them."""


class Look(Frozen):
    """One look at the difference from the parent while items were being asked."""

    asked: int
    """Items asked until then."""
    pairs: int
    """Those of them that variant and parent both answered."""
    estimate: float | None = None
    """Mean difference, variant minus parent; null when too few pairs could be judged."""
    low: float | None = None
    high: float | None = None
    """Interval with this look's share of the error rate, in the metric's unit."""
    p: float | None = None
    """Two-sided p of no difference, adjusted for this look's share."""


class AdaptiveStop(Frozen):
    """What became of a task that was to stop when its difference from the parent is known."""

    rule: Literal["haybittle-peto 1"] = "haybittle-peto 1"
    """How the looks share the error rate, and the version of it."""
    parent_run: str | None
    """Run id of the parent's run that was compared with; null when there was none."""
    asked: int
    """Items asked."""
    available: int
    """Items that there were."""
    reason: str
    """Why it stopped, or why every item was asked."""
    looks: tuple[Look, ...] = ()

    @property
    def saved(self) -> int:
        """Items that were not asked. They are neither failed nor wrong."""
        return self.available - self.asked


class MachinePeaks(Grown):
    """What the machine can do, measured with the threads of a target on the same cores."""

    later: ClassVar[frozenset[str]] = frozenset({"device", "cpus", "disturbed"})

    threads: int
    read_bandwidth: float
    """Best read-only reduction over arrays of four times the last-level cache or more [bytes/s]."""
    gemm_flops: dict[str, float]
    """Largest rate of a matrix product by type, over a sweep of shapes [FLOP/s]."""
    llc_bytes: int | None
    """Last-level cache [bytes]."""
    measured_utc: str
    method: str
    """Kernels and libraries, and what could not be measured, for people."""
    device: str = "cpu"
    """``cpu``, or the device that was measured instead: ``cuda:0``."""
    cpus: tuple[int, ...] = ()
    """Logical processors that the threads were bound to."""
    disturbed: float | None = None
    """Share of the cores' time that other work took meanwhile, which makes peaks too small; null:
    hardly any."""


class ObserverCost(Frozen):
    """What watching a run cost: none of it is inside a timed window unless it says so."""

    supervisor_cpu_s: float
    """Processor time of the supervisor while the workers ran [s]."""
    supervisor_rss_bytes: int
    """Its resident memory at the end [bytes]."""
    wall_s: float
    """From a worker's start to its end, summed over the run's processes [s]."""
    meters_s: float
    """Time that starting and stopping meters took in the workers, outside the phases [s]."""


class ProcessRecord(Frozen):
    """A process that ended ok, of a cell that needs more of them: kept until the cell is sealed."""

    schema_version: Literal[1] = 1
    digest: str
    """RunSpec digest of the cell."""
    process: int = Field(ge=0)
    """Its number: round × slots + slot."""
    started_utc: str
    seconds: float
    environment: Environment
    model: ModelInfo
    phases: tuple[PhaseRecord, ...]
    """With ``process`` and ``round`` set."""
    observer: ObserverCost


class RunRecord(Grown):
    """The sealed outcome of one cell."""

    later: ClassVar[frozenset[str]] = frozenset({"peaks", "observer"})

    schema_version: Literal[1] = 1
    run_id: str
    """``YYYYmmddTHHMMSSffffffZ-<machine>``: when and where."""
    digest: str
    """RunSpec digest: what."""
    machine: str
    started_utc: str
    ended_utc: str
    status: Status
    reason: str = ""
    """One line for people; mandatory when status is not ok."""
    signal: str | None = None
    """Name of the signal that ended the worker, e.g. SIGILL."""
    hint: str = ""
    """What to try next."""
    stderr_tail: tuple[str, ...] = ()
    """Last lines of the worker's stderr when it failed."""
    model: ModelInfo | None = None
    item_set: str | None = None
    """Digest of the item set (``results/items/<digest>.json``)."""
    items_total: int = 0
    """Items asked: the first so many of the item set."""
    items_failed: int = 0
    """Items with at least one failed answer."""
    phases: tuple[PhaseRecord, ...] = ()
    adaptive: AdaptiveStop | None = None
    """Tasks with ``until`` only."""
    peaks: MachinePeaks | None = None
    """Timed workloads: what the machine can do, as measured before or kept from before."""
    observer: ObserverCost | None = None
    """Timed workloads: what watching cost."""
    slmbench_version: str = Field(default="")

    @model_validator(mode="after")
    def _says_why(self) -> Self:
        if self.status is not Status.OK and not self.reason:
            raise ValueError(f"status {self.status} needs a reason")
        return self


class ScoreRow(Grown):
    """One judged fact about one item: ``scores/<scorer>.jsonl``, derived, can be made again."""

    later: ClassVar[frozenset[str]] = frozenset({"weight"})

    item_id: str
    """The item's id; for a window of a text ``<item id>/<number of the window>``."""
    cluster: str
    group: str
    metric: str
    value: float | None
    """Null when the item failed; ``failure`` says why."""
    failure: str | None = None
    weight: float | None = Field(default=None, gt=0)
    """Of a pooled metric: what ``value`` is per (tokens, bytes), so that the pooled value is
    sum(value x weight) / sum(weight); null: items count alike."""


class SkipRecord(Frozen):
    """A cell that was not planned, and why."""

    suite: str
    variant: str
    target: str
    work: str
    reason: str
