"""Latency beside the rows of ``cost``: loading cold, and starting."""

from __future__ import annotations

from slmbench.metrics.kinds import Metric

LATENCY: tuple[Metric, ...] = (
    Metric(
        "load_time_cold",
        "s",
        "lower",
        "median",
        "Load time, cold",
        "load_time of a process before which the artefact was dropped from the page cache; "
        "how much of it stayed is cached_share",
    ),
    Metric(
        "cached_share",
        "fraction",
        "none",
        "median",
        "Artefact in the page cache",
        "bytes of the artefact that were in memory just before a process loaded it / its bytes "
        "(mincore)",
    ),
    Metric(
        "start_time",
        "s",
        "lower",
        "median",
        "Start time",
        "from starting the process until the model can answer: interpreter, engine import, load",
    ),
    Metric(
        "start_time_cold",
        "s",
        "lower",
        "median",
        "Start time, cold",
        "start_time of a process before which the artefact was dropped from the page cache; "
        "libraries stay cached",
    ),
    Metric(
        "engine_share",
        "fraction",
        "higher",
        "median",
        "Engine's share of decoding",
        "time inside engine calls / (last - first token): the rest is Python's",
    ),
    Metric(
        "acceptance_rate",
        "fraction",
        "higher",
        "median",
        "Accepted draft tokens",
        "speculative decoding: proposed tokens that were the target's own greedy choice / "
        "proposed tokens; those after a refused one count as refused",
    ),
)
