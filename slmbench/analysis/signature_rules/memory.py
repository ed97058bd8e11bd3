"""Edge out of memory: what does not answer below a device's limit."""

from __future__ import annotations

from collections.abc import Iterable

from slmbench.analysis.frontier import Edge
from slmbench.analysis.signature_rules.findings import (
    Answer,
    Definition,
    Evidence,
    no,
    unknown,
    yes,
)
from slmbench.analysis.signature_rules.material import Material
from slmbench.analysis.systems import System

DEFINITION = Definition(
    "edge out of memory",
    "out of memory",
    "memory up",
    "Severe: a run of any other workload was ended for want of memory, or the model answers with "
    "the wanted context below none of the memory limits that were tried (each stands for a "
    "device). Moderate: it does not fit below a limit that its parent fits below.",
    "A search below limits that the kernel enforces (docs/memory.md), not a sum of sizes.",
    "the workload oom_frontier with memory_limits of the devices (suite memory)",
)


def judge(material: Material, system: System) -> Answer:
    """The rule, applied to one system."""
    ended = [
        Evidence(
            f"{run.spec.suite} {run.spec.work_name}",
            None,
            unit="bytes",
            text=f"{run.spec.suite} {run.spec.work_name} ended for want of memory: "
            f"{run.record.reason}",
        )
        for run in material.out_of_memory(system)
    ]
    mine = [e for e in material.edges if System.of(e.run) == system]
    if ended:
        return yes(ended, "severe")
    if not mine:
        return unknown("no search below memory limits (oom_frontier of suite memory)")
    known = [e for e in mine if e.fits is not None]
    if not known:
        return unknown(f"the search did not end: {'; '.join(sorted({e.reason for e in mine}))}")
    if not any(e.fits for e in known):
        return yes([_edge(e) for e in known], "severe")
    lost = [_edge(e, parent) for e in known if (parent := _fits_in_parent(material, system, e))]
    return yes(lost, "moderate") if lost else no([_smallest(known)])


def _fits_in_parent(material: Material, system: System, edge: Edge) -> str:
    """Name of the parent if it fits where this does not."""
    parent = material.parent(system)
    if edge.fits or parent is None:
        return ""
    theirs = [
        e
        for e in material.edges
        if e.run.spec.variant.name == parent.name
        and (e.limit_bytes, e.at_context) == (edge.limit_bytes, edge.at_context)
        and e.run.record.machine == edge.run.record.machine
    ]
    return parent.name if any(e.fits for e in theirs) else ""


def _edge(edge: Edge, parent: str = "") -> Evidence:
    text = (
        f"below {edge.limit_bytes / 1e6:g} MB it does not answer with {edge.at_context} tokens "
        f"({edge.endings}; {edge.enforced_by})"
    )
    if parent:
        text += f", {parent} does"
    return Evidence(
        f"{edge.at_context} tokens below a limit",
        float(edge.max_context or 0),
        unit="tokens",
        threshold=float(edge.at_context),
        n=1,
        reference=parent,
        text=text,
    )


def _smallest(edges: Iterable[Edge]) -> Evidence:
    """The smallest limit that it answers below."""
    edge = min((e for e in edges if e.fits), key=lambda e: e.limit_bytes)
    return Evidence(
        f"{edge.at_context} tokens below a limit",
        float(edge.max_context or 0),
        unit="tokens",
        threshold=float(edge.at_context),
        n=1,
        text=f"answers with {edge.at_context} tokens below {edge.limit_bytes / 1e6:g} MB",
    )
