"""How far timings are from what the machine could do."""

from __future__ import annotations

from slmbench.metrics.kinds import Metric

ROOFLINE: tuple[Metric, ...] = (
    Metric(
        "mbu",
        "of peak",
        "none",
        "median",
        "Memory bandwidth used by decoding (MBU)",
        "(decode weight bytes + batch x KV bytes at the mean position) / TPOT / measured read "
        "bandwidth; above 1 where weights stay in a cache",
    ),
    Metric(
        "mfu",
        "of peak",
        "none",
        "median",
        "Arithmetic used by prefill (MFU)",
        "(2 x weights x tokens, head once, + 2 x layers x width x tokens², causal) / TTFT / "
        "largest measured matrix product of the type named in the scope",
    ),
    Metric(
        "decode_overhead",
        "s",
        "lower",
        "median",
        "Decoding outside the engine",
        "TPOT x (1 - engine_share): Python's time per token",
    ),
)
