"""Accuracy and what goes with it; a sample is an item."""

from __future__ import annotations

from slmbench.metrics.kinds import Metric

QUALITY: tuple[Metric, ...] = (
    Metric(
        "acc",
        "fraction",
        "higher",
        "mean",
        "Accuracy",
        "argmax over choices of the summed log-likelihood equals gold (lm-eval acc); "
        "ties share the credit",
        chance="1 / number of choices",
    ),
    Metric(
        "acc_norm",
        "fraction",
        "higher",
        "mean",
        "Accuracy (char-normalised)",
        "as acc, each sum divided by the choice's length in characters (lm-eval acc_norm)",
        chance="1 / number of choices",
    ),
    Metric(
        "acc_bytes",
        "fraction",
        "higher",
        "mean",
        "Accuracy (byte-normalised)",
        "as acc, each sum divided by the choice's length in UTF-8 bytes",
        chance="1 / number of choices",
    ),
    Metric(
        "gold_bpb",
        "bits/byte",
        "lower",
        "mean",
        "Gold answer bits per byte",
        "-log2 p(gold choice | context) / UTF-8 bytes of the gold choice",
    ),
    Metric(
        "margin",
        "nats",
        "higher",
        "mean",
        "Gold margin",
        "log p(gold) minus the largest log p of another choice",
    ),
    Metric(
        "brier",
        "score",
        "lower",
        "mean",
        "Brier score",
        "sum over choices of (p - y)^2, from 0 to 2, with p the softmax over choices of the raw "
        "summed log-likelihoods, not divided by length (lm-eval brier_score), and y = 1 for gold",
    ),
    Metric(
        "choice_nll",
        "nats",
        "lower",
        "mean",
        "Choice NLL",
        "-ln p(gold), p as for brier",
    ),
    Metric(
        "confidence",
        "fraction",
        "none",
        "mean",
        "Confidence",
        "largest p over the choices, p as for brier; to be read beside acc",
    ),
    Metric(
        "straddle_rate",
        "fraction",
        "none",
        "mean",
        "Straddling tokens",
        "share of an item's requests in which a token reaches from the context into the "
        "continuation; it is scored with the continuation. A property of the tokenizer",
    ),
    Metric(
        "exact_match",
        "fraction",
        "higher",
        "mean",
        "Exact match",
        "extracted answer equals the reference",
    ),
    Metric(
        "exact_match_flexible",
        "fraction",
        "higher",
        "mean",
        "Exact match (lenient)",
        "as exact_match after the task's flexible filter (lm-eval flexible-extract); for tasks "
        "without filters after lower-casing and dropping punctuation and English articles",
    ),
    Metric(
        "extraction_failure_rate",
        "fraction",
        "lower",
        "mean",
        "No answer extracted",
        "share of answers in which the extraction behind exact_match found nothing (the task's "
        "first or strict filter; without one: nothing but white space)",
    ),
    Metric(
        "extraction_failure_rate_flexible",
        "fraction",
        "lower",
        "mean",
        "No answer extracted (lenient)",
        "the same for the extraction behind exact_match_flexible",
    ),
    Metric(
        "output_tokens", "count", "none", "mean", "Output length", "generated tokens per answer"
    ),
    Metric(
        "truncation_rate",
        "fraction",
        "lower",
        "mean",
        "Truncated outputs",
        "share of answers that ended at the token limit",
    ),
)
