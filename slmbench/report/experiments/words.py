"""Numbers of findings as people read them: in sentences, in tables."""

from __future__ import annotations

from slmbench.analysis.experiments.findings import Conclusion, Number
from slmbench.records import Provenance
from slmbench.report.cells import Cell
from slmbench.report.costs.entries import Change, Entry, Reading, Tone, Words
from slmbench.report.format import show, show_difference, show_range

TONES: dict[str, Tone] = {
    "better": "good",
    "non-inferior": "good",
    "worse": "bad",
    "unequal": "warn",
    "cannot be said": "warn",
    "in order": "good",
    "not in order": "warn",
    "collapses": "bad",
    "no collapse": "good",
    "gap smaller": "good",
    "gap wider": "bad",
    "stiff": "bad",
    "not stiff": "good",
    "ship": "good",
    "ruled out": "bad",
}

_WORDS: dict[str, Tone] = {
    "yes": "bad",
    "no": "good",
    "not decidable": "",
    "does not apply": "",
    "may ship": "good",
    "reference; may ship": "good",
    "ruled out": "bad",
    "reference; ruled out": "bad",
    "cannot be said": "warn",
    "reference; cannot be said": "warn",
}
"""Words of findings that stand as badges: ``yes`` and ``no`` are answers to "does it collapse?"."""


def spoken(conclusion: Conclusion) -> str:
    """The sentence with its numbers.

    >>> from slmbench.analysis.experiments.findings import Number
    >>> spoken(Conclusion("worse", "A is worse by {0}.", (Number(3.1, "pp", 1.2, 5.0),)))
    'A is worse by 3.1 pp (95 %: 1.2–5.0).'
    """
    return conclusion.text.format(*(in_words(number) for number in conclusion.numbers))


def in_words(number: Number) -> str:
    """Value, unit and interval."""
    shown = shown_of(number)
    ends = range_of(number)
    return f"{shown} (95 %: {ends})" if ends else shown


def shown_of(number: Number) -> str:
    """The value with its unit; differences with their sign."""
    if number.value is None:
        return show(None, number.unit)
    if number.signed:
        return show_difference(number.value, number.unit)
    return show(number.value, number.unit)


def range_of(number: Number) -> str:
    """The interval; empty without one."""
    if number.value is None:
        return ""
    return show_range(number.value, number.low, number.high, number.unit)


def entry_of(content: Number | str | None) -> Entry:
    """What stands in a table's cell."""
    if content is None:
        return None
    if isinstance(content, str):
        return _word(content)
    if content.value is None:
        return Words("no value", "", (), content.reason)
    if content.signed:
        return _change(content)
    return Reading(
        Cell(
            "", "", content.value, content.low, content.high, content.n, content.unit,
            content.provenance.value, detail=content.method,
        ),
        content.said,
    )  # fmt: skip


def plain(content: Number | str | None) -> str:
    """The cell in a terminal's table."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if content.value is None:
        return "–"
    ends = range_of(content)
    badge = " (estimated)" if content.provenance is Provenance.ESTIMATED else ""
    return (f"{shown_of(content)} [{ends}]" if ends else shown_of(content)) + badge


def _word(text: str) -> Words:
    return Words(text, _WORDS.get(text, ""), pill=text in _WORDS)


def _change(number: Number) -> Change:
    counted = f"n {number.n:,}".replace(",", " ") if number.n else ""
    basis = " · ".join((counted, *number.said)).strip(" ·")
    verdict = number.verdict or "no interval"
    return Change(
        shown_of(number), range_of(number), basis, verdict, "", (), f"derived; {number.method}"
    )
