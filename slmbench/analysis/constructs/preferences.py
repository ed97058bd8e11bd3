"""Pairs and swaps by group: which sentence, continuation or answer is preferred, and for whom."""

from __future__ import annotations

from collections.abc import Iterator

from slmbench.analysis.constructs.groups import group_distances, group_means, scored
from slmbench.analysis.constructs.judged_run import JudgedRun, groups_of
from slmbench.analysis.rows import MetricRow
from slmbench.analysis.statistics import mean_estimate

NO_EQUAL_PAIR = "no pair has sentences of equally many tokens"


def minimal_pairs(run: JudgedRun) -> Iterator[MetricRow]:
    """Preference and its distance from none, by group (``stereotype_pairs``)."""
    yield from group_means(run, ("stereotype_preference", "pronoun_logratio"))
    yield from group_distances(run)


def crows_pairs(run: JudgedRun) -> Iterator[MetricRow]:
    """By kind of bias, and over the pairs whose sentences have equally many tokens."""
    yield from group_means(
        run,
        ("stereotype_preference", "crows_preference_per_token", "crows_preference_per_char",
         "crows_logratio", "unequal_tokens"),
    )  # fmt: skip
    yield from group_distances(run)
    unequal = scored(run.judged.get("unequal_tokens"))
    equal = {i for i, mark in zip(unequal.items, unequal.values, strict=True) if mark == 0}
    for group in groups_of(run.judged):
        mine = scored(run.judged.get("stereotype_preference"), group)
        kept = [k for k, item in enumerate(mine.items) if item in equal]
        estimate = mean_estimate(
            [mine.values[k] for k in kept], [mine.clusters[k] for k in kept], bounded=True
        )
        why = "" if kept else NO_EQUAL_PAIR
        yield run.row("crows_preference_equal_tokens", estimate, group, why)


def name_swap(run: JudgedRun) -> Iterator[MetricRow]:
    """Continuations under swapped names and pronouns, by kind of swap."""
    yield from group_means(run, ("stereotype_preference", "swap_logratio", "swap_flip"))
    yield from group_distances(run)


def swap_answers(run: JudgedRun) -> Iterator[MetricRow]:
    """Answers under swapped names, by kind of swap."""
    yield from group_means(run, ("swap_answer_change", "swap_acc", "swap_acc_gap"))
