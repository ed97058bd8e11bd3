"""One module per failure signature; the table of them is in ``analysis/signatures.py``."""

from slmbench.analysis.signature_rules.findings import (
    SIGNATURES,
    Answer,
    Definition,
    Evidence,
    Finding,
    Severity,
    Signature,
    Thresholds,
    Verdict,
)

__all__ = [
    "SIGNATURES",
    "Answer",
    "Definition",
    "Evidence",
    "Finding",
    "Severity",
    "Signature",
    "Thresholds",
    "Verdict",
]
