"""The same items, disturbed; a sample is a pair of items."""

from __future__ import annotations

from slmbench.metrics.kinds import Metric

ROBUSTNESS: tuple[Metric, ...] = (
    Metric(
        "perturbed_acc",
        "fraction",
        "higher",
        "mean",
        "Accuracy on disturbed items",
        "the task's accuracy (its primary metric where that is one, else acc) on the same items "
        "with typing errors, another letter case, synonyms, another order of the options, or with "
        "first names of the other usual gender (of the items that hold such names)",
        chance="1 / number of choices",
    ),
    Metric(
        "robustness_drop",
        "fraction",
        "none",
        "single",
        "Accuracy lost when disturbed",
        "accuracy on the plain items minus accuracy on the disturbed ones, item by item. A model "
        "that guesses loses nothing: to be read beside its accuracy, hence not ranked",
        ideal=0.0,
    ),
    Metric(
        "perturbation_flip_rate",
        "fraction",
        "none",
        "mean",
        "Items whose credit changes when disturbed",
        "share of items that are right on one side and wrong on the other, in either direction "
        "(CheckList, arXiv 2005.04118: invariance). A model whose answer does not depend on the "
        "question never flips: to be read beside its accuracy, hence not ranked",
        ideal=0.0,
    ),
    Metric(
        "robustness_drop_delta",
        "fraction",
        "none",
        "single",
        "Accuracy lost when disturbed, beyond the parent's",
        "robustness_drop minus that of the parent on the same items: above 0, the variant is the "
        "more brittle of the two",
        ideal=0.0,
    ),
)
