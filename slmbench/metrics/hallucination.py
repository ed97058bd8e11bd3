"""Making things up: closed-book answers, given contexts, misconceptions; a sample is an item."""

from __future__ import annotations

from slmbench.metrics.kinds import Metric

HALLUCINATION: tuple[Metric, ...] = (
    Metric(
        "abstention_rate",
        "fraction",
        "higher",
        "mean",
        "Abstains on the unanswerable",
        "share of questions about invented entities answered by a refusal or by saying that it "
        "does not exist (phrase list in slmbench/tasks/scorers)",
    ),
    Metric(
        "answer_rate_control",
        "fraction",
        "higher",
        "mean",
        "Answers real-entity controls",
        "share of control questions about real entities that are not abstained from: "
        "always abstaining scores 0 here",
    ),
    Metric(
        "context_faithful",
        "fraction",
        "higher",
        "mean",
        "Follows the context",
        "the answer that the given (counterfactual) context supports has the largest "
        "log-likelihood per character among context, parametric and other answer",
        chance="1/3",
    ),
    Metric(
        "parametric_rate",
        "fraction",
        "lower",
        "mean",
        "Falls back on its own knowledge",
        "the common-knowledge answer wins although the context contradicts it",
    ),
)
