"""What makes a number shaky: seen by a meter while it was taken, or inferred from the samples.

Observed things are stored in the record; inferred ones are computed on reading. Both become
short flags that stand beside the number in every table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from slmbench.analysis.processes import spread_of
from slmbench.analysis.statistics import Estimate, trend_p
from slmbench.records import Observation, ObservationKind

Flag = Literal[
    "all equal",
    "backend differs",
    "below chance",
    "cached prefix",
    "dependent samples",
    "failed requests",
    "fails when long",
    "few samples",
    "few rounds",
    "gpu throttled",
    "implausible power",
    "imprecise",
    "inside noise floor",
    "late generator",
    "llc resident",
    "loaded machine",
    "noisy",
    "not above chance",
    "one process",
    "preempted",
    "sequential",
    "shared gpu",
    "short window",
    "simulated kernel",
    "single reading",
    "steal",
    "stopped early",
    "suspect",
    "swapping",
    "throttled",
    "trend",
    "unknown metric",
    "unscored items",
]

NOISY_CV = 0.05
"""Coefficient of variation above which repetitions are called noisy."""
TREND_P = 0.01
"""Mann-Kendall p below which a drift during the run is reported."""


@dataclass(frozen=True, slots=True)
class FlagMeaning:
    """What a flag says, and what to do about it."""

    flag: Flag
    meaning: str
    advice: str
    observed: bool = False
    """Seen by a meter in the record; else inferred on reading."""


_MEANINGS: tuple[FlagMeaning, ...] = (
    FlagMeaning("all equal", "every sample is the same", "the spread is unknown, not zero"),
    FlagMeaning(
        "backend differs",
        "the parent ran on another backend, so the difference mixes engine and variant",
        "compare through a variant that both backends can run",
    ),
    FlagMeaning(
        "below chance", "the whole interval lies below guessing", "check the prompt and the labels"
    ),
    FlagMeaning(
        "cached prefix",
        "the engine evaluated fewer prompt tokens than it was given",
        "time to first token is too small; clear the cache between requests",
        observed=True,
    ),
    FlagMeaning(
        "dependent samples",
        "readings follow one another within a request, so no interval is given",
        "use the figure per request (TPOT) for comparisons",
    ),
    FlagMeaning(
        "few rounds",
        "the two ran in fewer than three rounds together, so slow changes of the machine between "
        "their processes do not cancel",
        "run both in one campaign with processes: 5 or more",
    ),
    FlagMeaning(
        "failed requests",
        "some requests under this load got no whole answer; times are those of the others",
        "see failed_requests for their kinds; attainment and goodput count them as not good",
        observed=True,
    ),
    FlagMeaning(
        "fails when long",
        "the model does worse on long texts than on short ones, beyond chance",
        "see Results.long_sequences() for what was seen; compare with the parent",
    ),
    FlagMeaning(
        "few samples",
        "too few repetitions for a 95 % interval of this statistic",
        "raise repeats in the suite: six give an interval for a median",
    ),
    FlagMeaning(
        "gpu throttled", "the GPU lowered its clocks", "cool down and run again", observed=True
    ),
    FlagMeaning(
        "implausible power",
        "the mean power lies above the part's own limit",
        "do not use the energy: the counter or its unit is wrong",
        observed=True,
    ),
    FlagMeaning(
        "imprecise",
        "the interval over processes is wider than the suite's precision, with all processes used",
        "more max_processes, or a quieter machine",
        observed=True,
    ),
    FlagMeaning(
        "inside noise floor",
        "the difference is no larger than what this machine shows between a variant and itself",
        "more rounds, or a quieter machine: the floor is what `slmbench doctor --noise` found",
    ),
    FlagMeaning(
        "late generator",
        "the load generator sent requests later than they were due, and latencies contain that",
        "a lower rate, or run the generator on cores or a machine that the server does not use",
        observed=True,
    ),
    FlagMeaning(
        "llc resident",
        "the weights fit into the last-level cache, so memory's bandwidth is no bound",
        "do not read the share as distance from a limit; it may pass 1",
    ),
    FlagMeaning(
        "loaded machine",
        "other work ran on the machine at the same time",
        "run again on an idle machine",
        observed=True,
    ),
    FlagMeaning(
        "noisy",
        "repetitions vary by more than 5 % (coefficient of variation)",
        "more repeats on a quieter machine",
    ),
    FlagMeaning(
        "not above chance",
        "the interval reaches down to guessing",
        "more items, or an easier task for this size of model",
    ),
    FlagMeaning(
        "one process",
        "timed in one process, so differences between processes are not covered",
        "raise processes in the suite",
    ),
    FlagMeaning(
        "preempted",
        "the kernel took the processor away from the worker",
        "fewer threads, or an idle machine",
        observed=True,
    ),
    FlagMeaning(
        "sequential",
        "differences were looked at while items were asked; interval and p allow for the looks",
        "take the interval as it is; another number of items would need another run",
    ),
    FlagMeaning(
        "shared gpu",
        "other processes computed on the same GPU",
        "run again with the GPU to yourself",
        observed=True,
    ),
    FlagMeaning(
        "short window",
        "the window is short for the counter's resolution",
        "raise window_s in the suite",
        observed=True,
    ),
    FlagMeaning(
        "simulated kernel",
        "the compression is simulated in dense arithmetic",
        "speed and memory of such a variant mean nothing and are not shown",
    ),
    FlagMeaning("single reading", "one reading only, so no interval", "raise repeats in the suite"),
    FlagMeaning(
        "steal",
        "the hypervisor gave processor time to another guest",
        "run again, or on a machine of your own",
        observed=True,
    ),
    FlagMeaning(
        "stopped early",
        "asked until its difference from the parent was known; the rest was not asked",
        "other runs saw more items: compare by paired differences, not score by score",
    ),
    FlagMeaning(
        "suspect",
        "the number is not plausible; the reason stands beside it",
        "find the cause before you use it: it is left out of rankings, fronts and verdicts",
    ),
    FlagMeaning("swapping", "memory was swapped", "free memory and run again", observed=True),
    FlagMeaning(
        "throttled",
        "the control group's processor quota was used up",
        "fewer threads, or a larger quota",
        observed=True,
    ),
    FlagMeaning(
        "trend",
        "repetitions drift in time (Mann-Kendall p < 0.01)",
        "more warm-up, or let the machine cool",
    ),
    FlagMeaning(
        "unknown metric",
        "the metrics table of this version does not hold it",
        "read these results with the slmbench that made them",
    ),
    FlagMeaning(
        "unscored items",
        "some answers could not be scored; they are counted, not scored as wrong",
        "see n_failed, and the failures in Results.items()",
    ),
)
MEANINGS: Mapping[Flag, FlagMeaning] = {m.flag: m for m in _MEANINGS}
"""Explanation of every flag."""

_OBSERVED: Mapping[ObservationKind, Flag] = {
    "failed_requests": "failed requests",
    "generator_lag": "late generator",
    "load_average": "loaded machine",
    "other_load": "loaded machine",
    "cpu_wait": "preempted",
    "involuntary_switches": "preempted",
    "steal": "steal",
    "cgroup_throttled": "throttled",
    "gpu_throttled": "gpu throttled",
    "gpu_shared": "shared gpu",
    "power_over_limit": "implausible power",
    "swap": "swapping",
    "prefix_cache": "cached prefix",
    "short_window": "short window",
    "precision_not_reached": "imprecise",
}
_NO_WARNING = frozenset[ObservationKind](
    {"shared_prefix", "batched_answers", "acceptance_rate", "precision_reached"}
)
"""Kinds that say how something was done and make no number shaky."""
if set(_OBSERVED) | _NO_WARNING != set(
    get_args(ObservationKind)
):  # pragma: no cover - typing slip above
    raise AssertionError("an observation kind has no flag")
if set(MEANINGS) != set(get_args(Flag)):  # pragma: no cover - typing slip above
    raise AssertionError("a flag has no meaning")

MOVED_BY_INTERFERENCE = frozenset(
    {"of peak", "s", "tok/s", "req/s", "J", "W", "Wh", "J·s", "J/token", "gCO2e"}
)
"""Units of metrics that other work on the machine changes."""
INTERFERENCE: frozenset[Flag] = frozenset(
    {
        "gpu throttled",
        "loaded machine",
        "preempted",
        "shared gpu",
        "steal",
        "swapping",
        "throttled",
    }
)
"""Flags of numbers that were taken while something else used or held back the machine."""
_ALWAYS_TELLING = frozenset[ObservationKind]({"swap"})


def observed_flags(unit: str, observations: Iterable[Observation]) -> tuple[Flag, ...]:
    """Flags of what a meter saw in the phase, for metrics that it can move (time and energy)."""
    moved = unit in MOVED_BY_INTERFERENCE
    kinds = {o.kind for o in observations if moved or o.kind in _ALWAYS_TELLING}
    return tuple(sorted(_OBSERVED[kind] for kind in kinds - _NO_WARNING))


def sample_flags(
    aggregate: str, unit: str, samples: Sequence[float], processes: Sequence[int] = ()
) -> tuple[Flag, ...]:
    """Flags that the raw repetitions of a measurement give away.

    ``processes``: which process each sample is from; none: all from one.
    """
    if len(samples) == 1:
        return ("single reading",)
    origin = processes or [0] * len(samples)
    flags: list[Flag] = []
    if aggregate == "median" and len(samples) < 6 and len(set(origin)) == 1:
        flags.append("few samples")
    if unit in MOVED_BY_INTERFERENCE:
        if spread_of(samples, origin).largest > NOISY_CV:
            flags.append("noisy")
        drift = trend_p(samples, origin)
        if drift is not None and drift < TREND_P:
            flags.append("trend")
    return tuple(flags)


def score_flags(estimate: Estimate, failed: int, chance: float | None) -> tuple[Flag, ...]:
    """Flags of a mean over judged items (of a metric where more is better, if chance is given)."""
    flags: list[Flag] = []
    if failed:
        flags.append("unscored items")
    if estimate.n == 1:
        flags.append("single reading")
    elif estimate.n > 1 and estimate.se == 0:
        flags.append("all equal")
    if chance is not None and estimate.low is not None and estimate.high is not None:
        if estimate.high < chance:
            flags.append("below chance")
        elif estimate.low <= chance:
            flags.append("not above chance")
    return tuple(flags)


def joined(flags: Iterable[Flag]) -> str:
    """The ``flags`` column: each flag once, in alphabetical order, joined by ``; ``."""
    return "; ".join(sorted(set(flags)))


def split(text: str) -> tuple[Flag, ...]:
    """The flags of a ``flags`` column.

    >>> split("noisy; trend")
    ('noisy', 'trend')
    """
    return tuple(flag for flag in MEANINGS if flag in text.split("; "))
