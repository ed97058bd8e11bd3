"""What a long context does to a model: keys found in long texts, likelihood by position."""

from __future__ import annotations

from slmbench.metrics.kinds import Metric

_TEXT = "a long text of our own with the codes of locks in it"

SCALING: tuple[Metric, ...] = (
    Metric(
        "retrieval_correct", "fraction", "higher", "mean", "Key found",
        f"share of questions about {_TEXT} whose answer's first number is the code asked for "
        "(passkey after arXiv 2305.16300, multi-key after arXiv 2404.06654)",
    ),
    Metric(
        "retrieval_choice", "fraction", "higher", "mean", "Key chosen",
        f"share of questions about {_TEXT} in which the code asked for is the likeliest of four "
        "(sum of log-likelihoods, ties share the credit)",
        chance="1 / number of choices",
    ),
    Metric(
        "other_key_rate", "fraction", "lower", "mean", "Another lock's key",
        "share of questions about a text with several codes answered with another lock's code",
    ),
    Metric(
        "no_number_rate", "fraction", "lower", "mean", "No number in the answer",
        "share of questions for a code answered without any number",
    ),
    Metric(
        "context_tokens", "tokens", "none", "mean", "Tokens of the prompt",
        "what text and question came to in the model's own tokens",
    ),
    Metric(
        "effective_length", "tokens", "higher", "single", "Effective length",
        "tokens of the longest texts up to which every length keeps 0.85 of the shortest's share "
        "of keys found, above chance (RULER, arXiv 2404.06654, with a threshold of the model's "
        "own); at most the longest length that was asked",
    ),
    Metric(
        "position_nll", "nats/token", "lower", "pooled", "Nats per token by position",
        "-sum ln p(token) / tokens over a range of positions in the context; texts of independent "
        "sentences, so that positions differ by what stands before them only",
    ),
    Metric(
        "position_rise", "nats/token", "lower", "single", "Rise with position",
        "largest mean difference of nats per token, window by window, of a later range of "
        "positions over the best earlier one; interval with Bonferroni over all pairs of ranges",
    ),
)  # fmt: skip
