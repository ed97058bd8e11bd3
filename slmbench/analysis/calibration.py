"""Does a multiple-choice run know what it knows? Calibration from the stored answers.

The confidence of an item is the largest probability among its choices, softmax over the raw
summed log-likelihoods (not divided by length), and the answer is the choice that has it, so
accuracy here is ``acc``. Where outputs were not kept, the score rows give what they can.

What ranks items (AUROC, selective accuracy, risk and coverage) takes confidence among items with
equally many choices (``reliability.among_alike``): fewer choices alone make a guess surer and
oftener right.

The calibration error of few items is biased upwards: a perfectly calibrated model shows about
0.10 on 100 items and 0.03 on 1000. So it is reported with its simulated null.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from slmbench.analysis import reliability as rel
from slmbench.analysis.answers import Answers, ChoiceAnswer
from slmbench.analysis.reliability import Numbers, Sorted
from slmbench.analysis.rows import Judged, MetricRow
from slmbench.analysis.special import normal_quantile
from slmbench.analysis.statistics import LEVEL, Estimate, mean_estimate, wilson
from slmbench.records import Provenance
from slmbench.requests import ItemSet
from slmbench.store import StoredRun

FEWEST = 20
"""Items below which nothing is said about calibration."""
COVERAGES = (0.5, 0.8)
_TAIL = (1 - LEVEL) / 2
_Z = normal_quantile(1 - _TAIL)
_RECENTRED = (
    "cluster bootstrap; the lower end has the whole null taken off, the upper end none of it"
)
NO_OUTPUTS = "the log-likelihoods were not kept, only scores"


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """One equal-mass bin of the reliability diagram."""

    confidence: float
    """Mean confidence."""
    accuracy: float
    low: float
    high: float
    """Wilson interval of the accuracy."""
    n: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the answers of one run say about its confidence."""

    run: StoredRun
    rows: tuple[MetricRow, ...]
    """One per measure, in a fixed order; a measure that the data do not allow says why."""
    bins: tuple[ReliabilityBin, ...] = ()
    risk: tuple[tuple[float, float], ...] = ()
    """(coverage, error among the most confident): the risk-coverage curve, at most 100 points."""

    def value(self, metric: str) -> float | None:
        """Value of one measure."""
        return next((r.estimate.value for r in self.rows if r.metric == metric), None)

    def doubted(self, row: MetricRow | None) -> Calibration:
        """The same, its rows flagged as suspect for the reason of that row."""
        if row is None:
            return self
        rows = [
            replace(r, flags=(*r.flags, "suspect"), reason=r.reason or row.reason)
            for r in self.rows
        ]
        return replace(self, rows=tuple(rows))

    @property
    def within_null(self) -> bool | None:
        """Whether the ECE is one that a perfectly calibrated model shows at this n."""
        found, limit = self.value("ece"), self.value("ece_null_q95")
        return None if found is None or limit is None else found <= limit


@dataclass(frozen=True, slots=True)
class Confident:
    """Answers as arrays over items."""

    clusters: tuple[str, ...]
    confidence: Numbers
    credit: Numbers
    brier: tuple[float, ...] | None
    nll: tuple[float, ...] | None
    scores: Numbers | None = None
    """Log-likelihoods (n, k), -inf where an item has fewer choices; None without outputs."""
    gold: NDArray[np.intp] | None = None
    choices: NDArray[np.intp] | None = None
    """How many choices each item has; None where that is not known: they count as alike."""

    @property
    def ranked(self) -> Sorted:
        """The items by what ranks them: confidence among those with as many choices."""
        by, credit = self.confidence, self.credit
        if self.choices is not None:
            by, credit = rel.among_alike(by, credit, self.choices)
        return rel.by_confidence(by, credit, self.clusters)


def calibrate(
    run: StoredRun,
    answers: Answers | None,
    judged: Mapping[str, Judged] | None,
    items: ItemSet | None = None,
) -> Calibration | None:
    """Calibration of a run; None when it is no multiple-choice run or nothing was kept of it.

    ``items`` tell the number of choices where only judgements were kept.
    """
    found = from_answers(answers.choices) if answers is not None else None
    if found is None:
        counts = {i.item_id: len(i.choices) for i in items.items} if items is not None else {}
        found = from_judged(judged or {}, counts)
    return None if found is None else measured(run, found)


def from_answers(answers: Sequence[ChoiceAnswer]) -> Confident | None:
    """Arrays from log-likelihoods; items without a usable gold index are left out."""
    usable = [(a, g) for a in answers if (g := _gold(a)) is not None]
    if not usable:
        return None
    widest = max(len(a.logprobs) for a, _ in usable)
    scores = np.full((len(usable), widest), -np.inf)
    for row, (answer, _) in enumerate(usable):
        scores[row, : len(answer.logprobs)] = answer.logprobs
    gold = np.asarray([g for _, g in usable], dtype=np.intp)
    log_p = rel.log_softmax(scores)
    p, items = np.exp(log_p), np.arange(len(usable))
    wins = scores == scores.max(axis=1, keepdims=True)
    right = np.zeros_like(p)
    right[items, gold] = 1
    return Confident(
        tuple(a.item.cluster for a, _ in usable),
        p.max(axis=1),
        wins[items, gold] / wins.sum(axis=1),
        tuple(((p - right) ** 2).sum(axis=1).tolist()),
        tuple((-log_p[items, gold]).tolist()),
        scores,
        gold,
        np.asarray([len(a.logprobs) for a, _ in usable], dtype=np.intp),
    )


def _gold(answer: ChoiceAnswer) -> int | None:
    gold = answer.item.gold
    count = len(answer.logprobs)
    return gold if gold is not None and count > 1 and 0 <= gold < count else None


def from_judged(
    judged: Mapping[str, Judged], counts: Mapping[str, int] = MappingProxyType({})
) -> Confident | None:
    """Arrays from the score rows ``confidence`` and ``acc`` (``brier`` and ``choice_nll``).

    ``counts``: how many choices each item has, where that is known.
    """
    sure, right = judged.get("confidence"), judged.get("acc")
    if sure is None or right is None or sure.items != right.items:
        return None
    pairs = zip(sure.values, right.values, strict=True)
    kept = [i for i, (c, a) in enumerate(pairs) if c is not None and a is not None]
    if not kept:
        return None

    def column(name: str) -> tuple[float, ...] | None:
        found = judged.get(name)
        if found is None or found.items != sure.items:
            return None
        values = [v for i in kept if (v := found.values[i]) is not None]
        return tuple(values) if len(values) == len(kept) else None

    return Confident(
        tuple(sure.clusters[i] for i in kept),
        np.asarray([sure.values[i] for i in kept], dtype=float),
        np.asarray([right.values[i] for i in kept], dtype=float),
        column("brier"),
        column("choice_nll"),
        choices=np.asarray([counts[sure.items[i]] for i in kept], dtype=np.intp)
        if all(sure.items[i] in counts for i in kept)
        else None,
    )


def measured(run: StoredRun, found: Confident) -> Calibration:
    """All measures of one run."""
    n = len(found.credit)
    if n < FEWEST:
        nothing = Estimate(None, n, method="no value")
        why = f"{n} items are too few to say anything about calibration ({FEWEST} at least)"
        row = MetricRow(run, "ece_debiased", nothing, Provenance.UNAVAILABLE, reason=why)
        return Calibration(run, (row,))
    data = rel.by_confidence(found.confidence, found.credit, found.clusters)
    values: dict[str, Estimate | str] = {
        "brier": _mean(found.brier, found.clusters) or NO_OUTPUTS,
        "choice_nll": _mean(found.nll, found.clusters) or NO_OUTPUTS,
        **errors_of(data),
        **_scaled(found),
        "overconfidence": mean_estimate((found.confidence - found.credit).tolist(), found.clusters),
        **_ranking(ranked := found.ranked),
        **_decomposition(data),
    }
    rows = tuple(_row(run, name, value, n) for name, value in values.items())
    return Calibration(run, rows, _bins(data), _risk(ranked))


def _row(run: StoredRun, name: str, value: Estimate | str, n: int) -> MetricRow:
    if isinstance(value, str):
        nothing = Estimate(None, n, method="no value")
        return MetricRow(run, name, nothing, Provenance.UNAVAILABLE, reason=value)
    return MetricRow(run, name, value, Provenance.DERIVED, method="derived")


def _mean(values: Sequence[float] | None, clusters: Sequence[str]) -> Estimate | None:
    return None if values is None else mean_estimate(values, clusters)


def errors_of(data: Sorted, prefix: str = "ece") -> dict[str, Estimate]:
    """ECE, its null (mean and 95 % quantile) and their difference.

    Subtracting the mean of the null is right for a calibrated model and takes off too much
    from a miscalibrated one; so the interval of the true error reaches from the debiased value
    down and from the raw value up, each by 1.96 bootstrap standard errors.
    """
    n, error = data.n, rel.calibration_error(data)
    null = rel.null_errors(data.confidence)
    mean = float(null.mean())
    spread = [rel.calibration_error(again) for again in rel.resampled(data)]
    se = float(np.std(spread, ddof=1))
    low, high = error - mean - _Z * se, error + _Z * se
    return {
        prefix: Estimate(error, n, max(0.0, low), high, se, _RECENTRED),
        f"{prefix}_null": Estimate(mean, n, method=f"{len(null)} simulated runs, seeded"),
        f"{prefix}_null_q95": Estimate(
            float(np.quantile(null, 0.95)), n, method=f"{len(null)} simulated runs, seeded"
        ),
        f"{prefix}_debiased": Estimate(error - mean, n, low, high, se, _RECENTRED),
    }


def _scaled(found: Confident) -> dict[str, Estimate | str]:
    """Temperature, and the calibration error that is left after scaling with it."""
    names = ("temperature", "ece_scaled", "ece_scaled_null_q95", "ece_scaled_debiased")
    if found.scores is None or found.gold is None:
        return dict.fromkeys(names, NO_OUTPUTS)
    n = len(found.credit)
    index = {name: i for i, name in enumerate(dict.fromkeys(found.clusters))}
    codes = np.asarray([index[name] for name in found.clusters], dtype=np.intp)
    fitted = rel.fit_temperature(found.scores, found.gold, codes)
    if fitted is None:
        why = "no temperature fits: the log-likelihoods never or always point to the right answer"
        return dict.fromkeys(names, why)
    values: dict[str, Estimate | str] = {
        "temperature": Estimate(fitted.value, n, fitted.low, fitted.high, None,
                                "likelihood, standard error by cluster, mapped from 1/T")
        if fitted.high is not None
        else Estimate(fitted.value, n, method="the data do not bound it from above")
    }  # fmt: skip
    confidence = rel.cross_fitted(found.scores, found.gold, codes)
    if confidence is None:
        return values | dict.fromkeys(names[1:], "too few clusters to fit without the own fold")
    errors = errors_of(rel.by_confidence(confidence, found.credit, found.clusters), "ece_scaled")
    return values | {name: e for name, e in errors.items() if name in names}


def _ranking(data: Sorted) -> dict[str, Estimate | str]:
    """Whether confidence tells right from wrong, and what answering less buys."""
    values: dict[str, Estimate | str] = {
        "confidence_auroc": _bootstrapped(data, rel.auroc)
        or "all answers are right, or all are wrong",
    }
    for coverage in COVERAGES:
        credit, clusters = rel.most_confident(data, coverage)
        names = [str(c) for c in clusters]
        name = f"selective_acc_{round(100 * coverage)}"
        values[name] = mean_estimate(credit.tolist(), names, bounded=True)
    values["aurc"] = _bootstrapped(data, rel.aurc) or "no value"
    return values


def _bootstrapped(data: Sorted, statistic: Callable[[Sorted], float | None]) -> Estimate | None:
    """The statistic with the percentile interval of the cluster bootstrap."""
    value = statistic(data)
    if value is None:
        return None
    draws = [v for again in rel.resampled(data) if (v := statistic(again)) is not None]
    low, high = np.quantile(draws, [_TAIL, 1 - _TAIL])
    se = float(np.std(draws, ddof=1))
    return Estimate(value, data.n, float(low), float(high), se, "cluster bootstrap")


def _decomposition(data: Sorted) -> dict[str, Estimate | str]:
    parts = rel.decomposed(data)
    names = ("brier_reliability", "brier_resolution", "brier_uncertainty")
    if parts is None:
        return dict.fromkeys(names, "a bin holds fewer than two items")
    draws = [d for again in rel.resampled(data) if (d := rel.decomposed(again)) is not None]
    found: dict[str, Estimate | str] = {}
    for name in names:
        part = name.removeprefix("brier_")
        value = float(getattr(parts, part))
        half = _Z * (se := float(np.std([getattr(d, part) for d in draws], ddof=1)))
        found[name] = Estimate(value, data.n, value - half, value + half, se, "cluster bootstrap")
    return found


def _bins(data: Sorted) -> tuple[ReliabilityBin, ...]:
    """Bins for the eye: about 20 items in each, three to ten of them."""
    starts = rel.bin_starts(data.n, min(rel.BINS, max(3, data.n // 20)))
    bins = []
    for start, end in zip(starts, [*starts[1:], data.n], strict=True):
        accuracy = float(data.credit[start:end].mean())
        low, high = wilson(accuracy, int(end - start))
        confidence = float(data.confidence[start:end].mean())
        bins.append(ReliabilityBin(confidence, accuracy, low, high, int(end - start)))
    return tuple(bins)


def _risk(data: Sorted, most: int = 100) -> tuple[tuple[float, float], ...]:
    accuracy = rel.cumulative_accuracy(data)
    step = max(1, -(-data.n // most))
    ends = sorted({*range(step, data.n + 1, step), data.n})
    return tuple((k / data.n, 1 - float(accuracy[k - 1])) for k in ends)
