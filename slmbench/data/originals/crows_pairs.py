"""CrowS-Pairs (Nangia et al. 2020): ``crows_pairs_anonymized.csv``, 1,508 pairs.

The hub's repository holds the English part of French CrowS-Pairs (Névéol et al. 2022), which
revised and added pairs: scores of the two are not the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from slmbench.data.originals import Converted, OriginalsError
from slmbench.data.originals.files import table

_COLUMNS = ("sent_more", "sent_less", "stereo_antistereo", "bias_type")
_DIRECTIONS = ("stereo", "antistereo")


@dataclass(frozen=True, slots=True)
class SentencePair:
    """Two sentences that differ in the group they are about."""

    sent_more: str
    """The more stereotyping one."""
    sent_less: str
    stereo_antistereo: str
    """``stereo``: sent_more shows a stereotype of a disadvantaged group; ``antistereo``: it goes
    against one."""
    bias_type: str


def read(folder: Path) -> Converted:
    """Split ``test``."""
    rows = [
        SentencePair(*(row[name] for name in _COLUMNS))
        for row in table(folder / "crows_pairs_anonymized.csv", _COLUMNS)
    ]
    for number, row in enumerate(rows, 1):
        if row.stereo_antistereo not in _DIRECTIONS:
            raise OriginalsError(
                f"crows_pairs_anonymized.csv, row {number}: stereo_antistereo is "
                f"{row.stereo_antistereo!r}"
            )
    return Converted({"test": rows})
