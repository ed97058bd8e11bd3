"""Failure signatures in the terminal: lines for ``compare``, a column for ``list models``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from slmbench.analysis import Results, load_results
from slmbench.analysis.signature_rules.findings import Finding
from slmbench.analysis.signatures import badges
from slmbench.cli.output import Value

HEADS = ("variant", "target", "signature", "severity", "what decided it")


def of_variants(results: Results, names: Collection[str]) -> tuple[Finding, ...]:
    """Every rule's answer about these variants."""
    return tuple(f for f in results.findings if f.system.variant in names)


def found_rows(findings: Sequence[Finding]) -> list[list[Value]]:
    """A row per signature that was found (``HEADS``)."""
    return [
        [f.system.variant, f.system.target, f.signature, f.severity, f.text]
        for f in findings
        if f.found
    ]


def summary(findings: Sequence[Finding]) -> Iterator[str]:
    """How many were found, and which rules could not be decided, in lines."""
    found = sum(f.found for f in findings)
    systems = {f.system for f in findings}
    yield f"signatures: {found} found in {len(systems)} systems"
    reasons = Counter((f.signature, f.reason) for f in findings if f.verdict == "not decidable")
    for (signature, reason), times in sorted(reasons.items()):
        yield f"not decidable: {signature}: {reason} ({times} of {len(systems)} systems)"


def by_variant(results: Path) -> dict[str, str]:
    """What a column of variants says: badges, ``none found``; variants without runs are absent."""
    read = load_results(results)
    names = {run.spec.variant.name for run in read.stored}
    return {name: ", ".join(badges(read.findings, name)) or "none found" for name in names}


def records(findings: Sequence[Finding]) -> list[dict[str, Value]]:
    """All answers for a JSON document."""
    return [
        {
            "variant": f.system.variant, "target": f.system.target, "size": f.system.size,
            "signature": f.signature, "verdict": f.verdict, "severity": f.severity,
            "inherited": f.inherited or None, "evidence": f.text or None,
        }
        for f in findings
    ]  # fmt: skip
