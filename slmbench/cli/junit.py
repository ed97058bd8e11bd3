"""Gate checks as JUnit XML, which continuous-integration services show as tests."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.sax.saxutils import quoteattr

from slmbench.analysis.checks import Check

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, not even escaped."""
NAME = "slmbench compare"


def junit(checks: Sequence[Check], told: Sequence[str]) -> str:
    """One test case a check; an inconclusive one is skipped, with its message.

    ``told`` says for each check what was found. A check that was inconclusive and is mapped to
    pass or fail keeps its reason in the message.
    """
    failed = sum(c.outcome == "fail" for c in checks)
    skipped = sum(c.outcome == "inconclusive" for c in checks)
    counts = f'tests="{len(checks)}" failures="{failed}" errors="0" skipped="{skipped}"'
    cases = [_case(c, text) for c, text in zip(checks, told, strict=True)]
    return "\n".join(
        (
            '<?xml version="1.0" encoding="UTF-8"?>',
            f"<testsuites name={_quoted(NAME)} {counts}>",
            f"<testsuite name={_quoted(NAME)} {counts}>",
            *cases,
            "</testsuite>",
            "</testsuites>",
        )
    )


def _case(check: Check, told: str) -> str:
    place = " ".join(p for p in (check.suite, check.task, check.point, check.target) if p)
    name = f"{check.gate.text} on {place}"
    head = f"<testcase classname={_quoted(f'{check.variant} vs {check.reference}')}"
    head += f" name={_quoted(name)}"
    if check.outcome == "fail":
        return f'{head}><failure type="gate" message={_quoted(told)}/></testcase>'
    if check.outcome == "inconclusive":
        return f"{head}><skipped message={_quoted('inconclusive: ' + told)}/></testcase>"
    return f"{head}/>"


def _quoted(text: str) -> str:
    return quoteattr(_NOT_XML.sub("\ufffd", text))
