"""One greedy answer and several sampled ones: do they agree, and is the greedy one right?

Request 0 is greedy, the others are samples. Agreement is read off texts (``agreement.py``): no
model judges. Wordings of one meaning that differ after normalisation count as different, so that
entropies are upper bounds. Where a clusterer is installed (entry point
``slmbench.answer_clusterers``), ``semantic_entropy_estimated`` stands beside them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from slmbench.records import ScoreRow
from slmbench.requests import GenerateOutput, GenerateRequest, Item, ItemOutput, ItemSet
from slmbench.tasks.scorers.agreement import CLUSTERERS, by_form, entropy, largest, surprises
from slmbench.tasks.scorers.answers import Answered, UnscorableError, Values, judge
from slmbench.tasks.scorers.grading import Key, confidence, spoken
from slmbench.tasks.scorers.short_answer import applicable

FEWEST_SAMPLES = 2
METRICS = ("greedy_correct", "greedy_contains", "not_attempted", "semantic_entropy", "consistency",
           "majority_correct", "selfcheck_ngram", "selfcheck_ngram_max", "answer_confidence",
           "sample_failure_rate", "output_tokens", "truncation_rate")  # fmt: skip
_ESTIMATED = "semantic_entropy_estimated"


def score(item_set: ItemSet, outputs: Sequence[ItemOutput]) -> list[ScoreRow]:
    """Rows per item; ``greedy_correct`` and ``greedy_contains`` only where greedy attempts one.

    Samples that failed or say nothing are left out and counted (``sample_failure_rate``). A
    failed greedy answer, or fewer than two samples that say something, makes all rows null.
    """
    installed = bool(CLUSTERERS.targets())
    names = (*METRICS, _ESTIMATED) if installed else METRICS
    return applicable(judge(item_set, outputs, lambda _: names, _values))


def _values(answered: Answered) -> Values:
    greedy, *sampled = answered.generations()
    key = Key.read(answered.item.target)
    answer = spoken(greedy, key)
    samples = [text for output in sampled if (text := _said(output, key)) is not None]
    if len(samples) < FEWEST_SAMPLES:
        raise UnscorableError("too_few_samples")
    clusters, grade = by_form(samples), key.grade(answer)
    attempted, surprise = grade != "not_attempted", surprises(answer, samples)
    return {
        "greedy_correct": float(grade == "correct") if attempted else None,
        "greedy_contains": float(key.occurs_in(answer)) if attempted else None,
        "not_attempted": float(not attempted),
        "semantic_entropy": entropy(clusters),
        "consistency": clusters.count(largest(clusters)[0]) / len(clusters),
        "majority_correct": _majority(key, samples, clusters),
        "selfcheck_ngram": math.fsum(surprise) / len(surprise) if surprise else None,
        "selfcheck_ngram_max": max(surprise, default=None),
        "answer_confidence": confidence(greedy) if attempted else None,
        "sample_failure_rate": 1 - len(samples) / len(sampled),
        "output_tokens": float(len(greedy.token_ids)),
        "truncation_rate": float(greedy.finish == "length"),
        _ESTIMATED: _estimated(answered.item, samples),
    }


def _said(output: GenerateOutput, key: Key) -> str | None:
    try:
        return spoken(output, key)
    except UnscorableError:
        return None


def _majority(key: Key, samples: Sequence[str], clusters: Sequence[int]) -> float:
    """Share of the largest clusters that are right: 0 or 1 unless several tie.

    A cluster is right when its first answer is: all its answers have one normalised form.
    """
    first = [samples[clusters.index(number)] for number in largest(clusters)]
    return fmean(float(key.matches(text)) for text in first)


def _estimated(item: Item, samples: Sequence[str]) -> float | None:
    names = CLUSTERERS.names()
    if not names:
        return None
    return entropy(tuple(CLUSTERERS.load(names[0])(_question(item), samples)))


def _question(item: Item) -> str:
    request = item.requests[0]
    if not isinstance(request, GenerateRequest):
        return ""
    return request.prompt if isinstance(request.prompt, str) else request.prompt[-1].content
