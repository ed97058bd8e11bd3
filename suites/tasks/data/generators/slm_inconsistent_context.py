"""Write ``slm_inconsistent_context.jsonl``: two passages that contradict each other, or agree.

    python suites/tasks/data/generators/slm_inconsistent_context.py

Twelve kinds of passages, fifteen subjects of each. Two passages state the same attribute of the
subject: with different values ("conflicting") or with the same one ("consistent", the control:
a model that always sees a conflict gets these wrong). Which of two values stands in the first
passage is drawn at random, and so is the order of the choices.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

from passages import KINDS, Attribute, Kind

SEED = 20250302
CONFLICT = "The passages disagree."
"""The option that reports the contradiction."""


def rows() -> list[dict[str, object]]:
    """360 items: 180 conflicting pairs of passages and 180 consistent ones."""
    rng = random.Random(SEED)  # noqa: S311 - a seeded draw, no secret
    found: list[dict[str, object]] = []
    for name, kind in KINDS.items():
        for number, subject in enumerate(kind.subjects):
            for group in ("conflicting", "consistent"):
                found.append(_item(rng, f"{name}-{number:02d}-{group}", name, kind, subject, group))
    return found


def _item(
    rng: random.Random, item_id: str, name: str, kind: Kind, subject: str, group: str
) -> dict[str, object]:
    number = kind.subjects.index(subject)
    attribute = kind.attributes[number % len(kind.attributes)]
    others = [a for a in kind.attributes if a is not attribute]
    beside = rng.sample(others, 2)
    first, second = rng.sample(attribute.values, 2)
    told = (first, second) if group == "conflicting" else (first, first)
    texts = [
        _passage(rng, kind, subject, attribute.sentence.format(v=value), extra)
        for value, extra in zip(told, beside, strict=True)
    ]
    roles = ["conflict", "first", "second" if group == "conflicting" else "other"]
    options = dict(zip(roles, (CONFLICT, first, second), strict=True))
    turn = rng.randrange(3)
    order = roles[turn:] + roles[:turn]
    if rng.random() < 0.5:
        order.reverse()
    right = "conflict" if group == "conflicting" else "first"
    return {
        "id": item_id,
        "passages": texts,
        "question": attribute.question.format(x=subject),
        "choices": [options[role] for role in order],
        "gold": order.index(right),
        "kind": name,
        "group": group,
        "labels": json.dumps(order),
    }


def _passage(rng: random.Random, kind: Kind, subject: str, told: str, extra: Attribute) -> str:
    sentences = [told, extra.sentence.format(v=rng.choice(extra.values))]
    rng.shuffle(sentences)
    return " ".join([kind.opening.format(x=subject), *sentences])


def text() -> str:
    """The whole file."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows())


if __name__ == "__main__":
    Path(__file__).parents[1].joinpath(f"{Path(__file__).stem}.jsonl").write_text(text(), "utf-8")
