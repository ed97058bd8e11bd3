"""What can be said about how close a variant is to its parent: names, units and definitions.

None of it is quality. A variant can change many answers and lose no point, and near the floor
these numbers do not order variants by how good they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from slmbench.analysis.statistics import Estimate


@dataclass(frozen=True, slots=True)
class Measure:
    """One kind of distance or agreement."""

    name: str
    unit: str
    """As in the metrics table."""
    label: str
    definition: str


@dataclass(frozen=True, slots=True)
class Found:
    """One measure of one pair, or the reason why there is none."""

    measure: str
    estimate: Estimate
    reason: str = ""


_TABLE: tuple[Measure, ...] = (
    # on a text that is read to both, p the parent's distribution and q the variant's
    Measure("kld_mean", "nats", "KL divergence, mean", "mean of KL(p || q) per scored token"),
    Measure("kld_median", "nats", "KL divergence, median", "median over scored tokens"),
    Measure("kld_p99", "nats", "KL divergence, p99", "99th percentile over scored tokens"),
    Measure("kld_max", "nats", "KL divergence, largest", "largest over scored tokens"),
    Measure(
        "top1_agreement", "fraction", "Same likeliest token", "share of tokens: argmax p = argmax q"
    ),
    Measure(
        "prob_rms", "fraction", "Change of probability", "root mean square of q - p, true token"
    ),
    Measure(
        "log_ppl_ratio", "nats", "Log perplexity ratio", "ln(PPL_q / PPL_p) = mean(log p - log q)"
    ),
    Measure(
        "logprob_abs_delta",
        "nats",
        "Change of log-probability",
        "mean of |log q - log p|, true token: what a sound conversion keeps small",
    ),
    Measure(
        "text_bpb_delta",
        "bits/byte",
        "Change in bits per byte",
        "(-sum log2 q + sum log2 p) / bytes of the scored text, mean of windows",
    ),
    # on the answers to the items of one task
    Measure("flips_down", "fraction", "Became wrong", "share of items: score fell"),
    Measure("flips_up", "fraction", "Became right", "share of items: score rose"),
    Measure("flips", "fraction", "Flips", "share of items whose score changed (arXiv 2407.09141)"),
    Measure("answers_changed", "fraction", "Answers changed", "share of items: other choice"),
    Measure("wrong_to_wrong", "fraction", "Wrong, otherwise", "changed without a flip"),
    Measure("answers_agree", "fraction", "Same answer", "1 - answers changed"),
    Measure(
        "choice_logprob_shift",
        "nats",
        "Shift of log-likelihoods",
        "mean over items of the mean |difference| of a choice's summed log-likelihood",
    ),
    Measure(
        "changed_at_small_margin",
        "fraction",
        "Changed answers below the median margin",
        "share of the changed answers where the parent's lead of its best choice over the second "
        "is below the median of the task; 0.5 if margins did not matter",
    ),
    Measure("outputs_identical", "fraction", "Identical outputs", "share: all token ids equal"),
    Measure(
        "first_divergent_token",
        "count",
        "First divergent token",
        "median index of the first token id that differs, over outputs that differ",
    ),
)
MEASURES: Mapping[str, Measure] = {m.name: m for m in _TABLE}
"""By name."""
TEXT_MEASURES = tuple(MEASURES)[:9]
"""Those of the text."""
