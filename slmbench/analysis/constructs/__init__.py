"""What one construct (hallucination, bias, privacy, robustness) says beyond means over items.

Means of what scorers write are made elsewhere, for every metric alike. Here are the numbers that
are no mean: ratios, differences between conditions, areas under curves, by group. One module a
scorer; it gets a :class:`JudgedRun` and gives metric rows whose ``scope`` is the group ("" is all
items).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from slmbench.analysis.constructs.judged_run import JudgedRun
from slmbench.analysis.rows import MetricRow
from slmbench.registry import Registry

Derive = Callable[[JudgedRun], Iterable[MetricRow]]

CONSTRUCTS: Registry[Derive] = Registry(
    "construct",
    "slmbench.constructs",
    {
        "abstention": "slmbench.analysis.constructs.abstention:derive",
        "bbq": "slmbench.analysis.constructs.bbq:derive",
        "canary_exposure": "slmbench.analysis.constructs.canaries:derive_exposure",
        "canary_extraction": "slmbench.analysis.constructs.canaries:derive_extraction",
        "context_faithful": "slmbench.analysis.constructs.context:counterfactual",
        "inconsistent_context": "slmbench.analysis.constructs.context:inconsistent",
        "coreference": "slmbench.analysis.constructs.coreference:derive",
        "crows_pairs": "slmbench.analysis.constructs.preferences:crows_pairs",
        "membership": "slmbench.analysis.constructs.membership:derive",
        "name_swap": "slmbench.analysis.constructs.preferences:name_swap",
        "open_ended": "slmbench.analysis.constructs.open_ended:derive",
        "pii_leak": "slmbench.analysis.constructs.personal:derive",
        "position": "slmbench.analysis.constructs.position:derive",
        "retrieval": "slmbench.analysis.constructs.retrieval:derive",
        "self_consistency": "slmbench.analysis.constructs.self_consistency:derive",
        "short_answer": "slmbench.analysis.constructs.short_answer:derive",
        "stereoset": "slmbench.analysis.constructs.stereoset:derive",
        "stereotype_pairs": "slmbench.analysis.constructs.preferences:minimal_pairs",
        "swap_answers": "slmbench.analysis.constructs.preferences:swap_answers",
        "unanswerable_score": "slmbench.analysis.constructs.context:unanswerable",
    },
)
"""Scorer name -> what derives numbers from its rows; scorers that need none are not listed."""


def derived(run: JudgedRun) -> tuple[MetricRow, ...]:
    """All derived numbers of one run; none where its scorer has no construct."""
    if run.scorer not in CONSTRUCTS.targets():
        return ()
    return tuple(CONSTRUCTS.load(run.scorer)(run))
