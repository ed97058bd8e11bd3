"""A server under load: what its clients get, and how well they were imitated."""

from __future__ import annotations

from slmbench.metrics.kinds import Metric

SERVING: tuple[Metric, ...] = (
    Metric(
        "chunk_gap",
        "s",
        "lower",
        "median",
        "Gap between chunks",
        "between successive chunks of a stream whose tokens per chunk are not known; no ITL",
    ),
    Metric(
        "output_throughput",
        "tok/s",
        "higher",
        "median",
        "Output throughput",
        "output tokens that arrived in the steady window / its length. Steady window: from the "
        "end of the first answer to the sending of the last request; of single_stream and "
        "offline, or where that is less than half of the load, from first request to last answer",
    ),
    Metric(
        "request_rate",
        "req/s",
        "higher",
        "median",
        "Completed requests per second",
        "whole answers that ended in the steady window / its length",
    ),
    Metric(
        "goodput",
        "req/s",
        "higher",
        "median",
        "Goodput",
        "whole answers that met every SLO and ended in the steady window / its length",
    ),
    Metric(
        "slo_attainment",
        "fraction",
        "higher",
        "mean",
        "SLO attainment",
        "requests that were answered and met every SLO / all requests, failed ones included; a "
        "sample is 1 or 0 for each request",
    ),
    Metric(
        "saturation_rate",
        "req/s",
        "higher",
        "median",
        "Saturation rate",
        "of a sweep: the highest Poisson rate with an SLO attainment of 90 % or more",
    ),
    Metric(
        "offered_rate",
        "req/s",
        "none",
        "median",
        "Offered rate",
        "(requests - 1) / (last - first scheduled time) of an open loop, as drawn",
    ),
    Metric(
        "failed_requests",
        "count",
        "lower",
        "sum",
        "Failed requests",
        "requests without a whole answer; the scope names the kind of failure",
    ),
    Metric(
        "send_lag",
        "s",
        "none",
        "median",
        "Lag of the load generator",
        "sent - scheduled: inside TTFT and E2E, and none of the server's doing",
    ),
    Metric(
        "arrival_time",
        "s",
        "none",
        "median",
        "Scheduled arrivals",
        "scheduled time of each request after the first one's; of answered requests in the order "
        "of their ttft and e2e samples",
    ),
    Metric(
        "served_prompt_tokens",
        "count",
        "none",
        "median",
        "Prompt tokens (server's count)",
        "usage.prompt_tokens of each answer",
    ),
    Metric(
        "served_output_tokens",
        "count",
        "none",
        "median",
        "Output tokens",
        "of each answer: usage.completion_tokens; else max_tokens where the server says that it "
        "stopped for length; else the number of chunks, an estimate",
    ),
    Metric(
        "cached_prompt_tokens",
        "count",
        "none",
        "median",
        "Prompt tokens from a cache",
        "usage.prompt_tokens_details.cached_tokens of each answer (gate G6)",
    ),
)
