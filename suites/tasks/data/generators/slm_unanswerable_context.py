"""Write ``slm_unanswerable_context.jsonl``: a passage that answers one question and not another.

    python suites/tasks/data/generators/slm_unanswerable_context.py

Twelve kinds of passages, fifteen of each. A passage states four of its kind's five attributes and
is asked for one of them and for the fifth. Every question is asked as often where the passage
answers it as where it does not, so the question alone gives nothing away.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

from passages import KINDS, Kind

SEED = 20250301
NO_ANSWER = "The passage does not say."
"""The option that declines, in the task by log-likelihood."""


def rows() -> list[dict[str, object]]:
    """360 items: 180 passages with an answerable and an unanswerable question each."""
    rng = random.Random(SEED)  # noqa: S311 - a seeded draw, no secret
    found = []
    for name, kind in KINDS.items():
        for number, subject in enumerate(kind.subjects):
            found += _pair(rng, f"{name}-{number:02d}", name, kind, subject)
    return found


def _pair(
    rng: random.Random, passage_id: str, name: str, kind: Kind, subject: str
) -> list[dict[str, object]]:
    number = kind.subjects.index(subject)
    size = len(kind.attributes)
    absent = number % size
    asked = (absent + 1 + number // size) % size
    values = [rng.choice(attribute.values) for attribute in kind.attributes]
    stated = [kind.attributes[i].sentence.format(v=values[i]) for i in range(size) if i != absent]
    rng.shuffle(stated)
    passage = " ".join([kind.opening.format(x=subject), *stated])
    options = [*values, NO_ANSWER]
    rng.shuffle(options)
    found: list[dict[str, object]] = []
    for group, which in (("answerable", asked), ("unanswerable", absent)):
        answer = values[which] if group == "answerable" else ""
        found.append(
            {
                "id": f"{passage_id}-{group}",
                "passage": passage,
                "question": kind.attributes[which].question.format(x=subject),
                "answer": answer,
                "choices": options,
                "declines": options.index(NO_ANSWER),
                "gold": options.index(answer or NO_ANSWER),
                "kind": name,
                "group": group,
                "labels": json.dumps({"group": group, "answer": answer}),
            }
        )
    return found


def text() -> str:
    """The whole file."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows())


if __name__ == "__main__":
    Path(__file__).parents[1].joinpath(f"{Path(__file__).stem}.jsonl").write_text(text(), "utf-8")
