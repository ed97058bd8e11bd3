"""The report's part about failure signatures: badges, what was found, and what nothing decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from slmbench.analysis import Results
from slmbench.analysis.signature_rules.findings import Definition, Finding, Severity, Verdict
from slmbench.analysis.signatures import RULES, badge, found_in
from slmbench.analysis.systems import System
from slmbench.report.leaderboard import LeaderboardRow

SYMBOLS: Mapping[Verdict, str] = {
    "yes": "yes",
    "no": "no",
    "not decidable": "?",
    "does not apply": "",
}
"""What stands in the matrix."""


@dataclass(frozen=True, slots=True)
class Badge:
    """A signature beside a variant's name."""

    text: str
    severity: Severity
    why: str


@dataclass(frozen=True, slots=True)
class Mark:
    """One rule's answer about one system."""

    symbol: str
    verdict: Verdict
    severity: Severity | None
    why: str


@dataclass(frozen=True, slots=True)
class SignatureRow:
    """One system with the answer of every rule."""

    variant: str
    target: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """One signature that a system has, in sentences."""

    variant: str
    target: str
    signature: str
    severity: Severity
    told: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SignaturePart:
    """All of it, in the leaderboard's order."""

    definitions: tuple[Definition, ...]
    rows: tuple[SignatureRow, ...]
    found: tuple[Found, ...]
    missing: tuple[tuple[str, str], ...]
    """Rules that no system has results for, each with what would decide it."""
    by_system: Mapping[System, tuple[Badge, ...]]

    def of(self, row: LeaderboardRow) -> tuple[Badge, ...]:
        """Badges of a row of the leaderboard."""
        return self.by_system.get(row.system, ())


def signature_part(results: Results, rows: Sequence[LeaderboardRow]) -> SignaturePart:
    """Arrange the findings; ``rows`` give the systems their names and order."""
    findings = results.findings
    names = {row.system: row.label for row in rows}
    by_system: dict[System, list[Finding]] = {system: [] for system in names}
    for finding in findings:
        by_system.setdefault(finding.system, []).append(finding)
    found = [
        Found(
            names.get(system, system.variant),
            system.target,
            f.signature,
            f.severity or "moderate",
            tuple(e.text for e in f.evidence) + _beside(f),
        )
        for system in by_system
        for f in found_in(findings, system)
    ]
    return SignaturePart(
        tuple(definition for definition, _ in RULES.values()),
        tuple(
            SignatureRow(names.get(system, system.variant), system.target, _marks(mine))
            for system, mine in by_system.items()
        ),
        tuple(found),
        _missing(findings),
        {system: badges_of(findings, system) for system in by_system},
    )


def badges_of(findings: Sequence[Finding], system: System) -> tuple[Badge, ...]:
    """What stands beside a system's name, severe ones first."""
    return tuple(
        Badge(badge(f), f.severity or "moderate", f"{f.signature}: {f.text}")
        for f in found_in(findings, system)
    )


def _beside(finding: Finding) -> tuple[str, ...]:
    if not finding.inherited:
        return ()
    return (f"{finding.inherited}, which it was made from, shows the same",)


def _marks(mine: Sequence[Finding]) -> tuple[Mark, ...]:
    by_rule = {f.signature: f for f in mine}
    return tuple(
        Mark(SYMBOLS[f.verdict], f.verdict, f.severity, f"{f.verdict}: {f.text}".rstrip(": "))
        for rule in RULES
        if (f := by_rule.get(rule)) is not None
    )


def _missing(findings: Sequence[Finding]) -> tuple[tuple[str, str], ...]:
    """Rules that could be decided of nothing here."""
    return tuple(
        (signature, definition.needs)
        for signature, (definition, _) in RULES.items()
        if all(f.verdict == "not decidable" for f in findings if f.signature == signature)
    )
