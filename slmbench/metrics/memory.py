"""Memory beyond a phase's own readings: what is the model's, what a token costs, what fits."""

from __future__ import annotations

from slmbench.metrics.kinds import Metric

MEMORY: tuple[Metric, ...] = (
    Metric(
        "model_memory",
        "bytes",
        "lower",
        "max",
        "Memory of the model",
        "peak_memory - runtime_overhead: weights, cache and buffers without interpreter and engine",
    ),
    Metric(
        "cgroup_peak",
        "bytes",
        "lower",
        "max",
        "Peak of the control group",
        "memory.peak (version 2) or memory.max_usage_in_bytes (version 1) of a group that holds "
        "the worker alone: anonymous, page cache and kernel memory",
    ),
    Metric(
        "cgroup_anon",
        "bytes",
        "lower",
        "max",
        "Anonymous memory of the control group",
        "anon (version 2) or total_rss (version 1) of memory.stat at the end of the phase",
    ),
    Metric(
        "cgroup_file",
        "bytes",
        "none",
        "max",
        "Page cache of the control group",
        "file (version 2) or total_cache (version 1) of memory.stat: evictable, and charged to "
        "the group that touched it first",
    ),
    Metric(
        "gpu_memory_delta",
        "bytes",
        "lower",
        "max",
        "GPU memory of the model",
        "gpu_memory at its largest - at the first phase's begin: context, kernels and allocator, "
        "if nothing else used the device",
    ),
    Metric(
        "major_faults",
        "count",
        "lower",
        "max",
        "Major page faults",
        "pages of the phase that had to be read from disk: weights that were evicted",
    ),
    Metric(
        "memory_fixed",
        "bytes",
        "lower",
        "single",
        "Memory at no context",
        "a of M(T) = a + bT, least squares over contexts and processes",
    ),
    Metric(
        "memory_per_token",
        "bytes/token",
        "lower",
        "single",
        "Memory per token of context",
        "b of M(T) = a + bT",
    ),
    Metric(
        "kv_ratio",
        "ratio",
        "none",
        "single",
        "Memory per token over the KV formula",
        "b / (2 x layers x KV heads x head size x bytes per value); 1 where the cache is all that "
        "grows with the context",
        ideal=1.0,
    ),
    Metric(
        "max_context",
        "tokens",
        "higher",
        "single",
        "Largest context that fits",
        "largest filled context of one sequence that answered under a hard limit, by bisection "
        "with a process per try",
    ),
    Metric(
        "max_batch",
        "count",
        "higher",
        "single",
        "Largest batch that fits",
        "most sequences of the given context that answered at a time under a hard limit",
    ),
)
