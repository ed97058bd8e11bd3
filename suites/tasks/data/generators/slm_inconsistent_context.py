"""Write ``slm_inconsistent_context.jsonl``: two passages that contradict each other, or agree.

    python suites/tasks/data/generators/slm_inconsistent_context.py

Twelve kinds of passages, fifteen subjects of each. Two passages state the same attribute of the
subject: with different values ("conflicting") or with the same one ("consistent", the control:
a model that always sees a conflict gets these wrong). The two items of a subject differ in that
one value alone. Which of two values stands in the first
passage is drawn at random, and so is the order of the choices.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

from passages import KINDS, Kind

SEED = 20250302
CONFLICT = "The passages disagree."
"""The option that reports the contradiction."""


def rows() -> list[dict[str, object]]:
    """360 items: 180 conflicting pairs of passages and 180 consistent ones."""
    rng = random.Random(SEED)  # noqa: S311 - a seeded draw, no secret
    found: list[dict[str, object]] = []
    for name, kind in KINDS.items():
        for number in range(len(kind.subjects)):
            found += _twins(rng, name, kind, number)
    return found


def _twins(rng: random.Random, name: str, kind: Kind, number: int) -> list[dict[str, object]]:
    """A conflicting and a consistent item that differ in one value of the second passage."""
    subject = kind.subjects[number]
    attribute = kind.attributes[number % len(kind.attributes)]
    beside = rng.sample([a for a in kind.attributes if a is not attribute], 2)
    first, second = rng.sample(attribute.values, 2)
    extras = [a.sentence.format(v=rng.choice(a.values)) for a in beside]
    leads = [rng.random() < 0.5 for _ in extras]
    turn, flip = rng.randrange(3), rng.random() < 0.5
    found: list[dict[str, object]] = []
    for group, told in (("conflicting", second), ("consistent", first)):
        roles = ["conflict", "first", "second" if group == "conflicting" else "other"]
        options = dict(zip(roles, (CONFLICT, first, second), strict=True))
        order = roles[turn:] + roles[:turn]
        order = order[::-1] if flip else order
        stated = [attribute.sentence.format(v=value) for value in (first, told)]
        right = "conflict" if group == "conflicting" else "first"
        found.append(
            {
                "id": f"{name}-{number:02d}-{group}",
                "passages": [
                    _passage(kind.opening.format(x=subject), *parts)
                    for parts in zip(stated, extras, leads, strict=True)
                ],
                "question": attribute.question.format(x=subject),
                "choices": [options[role] for role in order],
                "gold": order.index(right),
                "kind": name,
                "group": group,
                "labels": json.dumps(order),
            }
        )
    return found


def _passage(opening: str, told: str, extra: str, lead: bool) -> str:
    return " ".join([opening, told, extra] if lead else [opening, extra, told])


def text() -> str:
    """The whole file."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows())


if __name__ == "__main__":
    Path(__file__).parents[1].joinpath(f"{Path(__file__).stem}.jsonl").write_text(text(), "utf-8")
