"""Write ``slm_counterfactual_context.jsonl``: passages that contradict common knowledge.

    python suites/tasks/data/generators/slm_counterfactual_context.py

Sixteen relations, twelve facts of each, two passages per fact with different words and different
substituted answers. The three choices are what the passage says, common knowledge, and another
answer of the same kind; where each of them stands is balanced within every relation.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

from counterfactual_facts import RELATIONS, Relation

SEED = 20240608
ROLES = ("context", "parametric", "other")
_NUMBERS = ("two", "three", "four", "five", "six", "eight", "nine")
_INDEFINITE = ("A ", "An ")


def rows() -> list[dict[str, object]]:
    """384 items: 16 relations x 12 facts x 2 passages."""
    rng = random.Random(SEED)  # noqa: S311 - a seeded draw, no secret
    found: list[dict[str, object]] = []
    for name, relation in RELATIONS.items():
        orders = [ROLES[turn:] + ROLES[:turn] for turn in range(3)] * 8
        rng.shuffle(orders)
        for number, (subject, true) in enumerate(relation.facts.items()):
            told = rng.sample(_like(name, relation, true), 4)
            for passage in range(2):
                answers = dict(zip(ROLES, (told[passage], true, told[passage + 2]), strict=True))
                order = orders.pop()
                found.append(
                    {
                        "id": f"{name}-{number:02d}-{passage}",
                        "context": _passage(relation, passage, subject, told[passage]),
                        "question": _question(name, relation, subject),
                        "choices": [answers[role] for role in order],
                        "gold": order.index("context"),
                        "fact": f"{name}-{number:02d}",
                        "relation": name,
                        "labels": json.dumps(order),
                    }
                )
    return found


def _like(name: str, relation: Relation, true: str) -> list[str]:
    """Wrong answers of the same kind."""
    if name == "count":
        part = true.split()[1]
        return [f"{n} {part}" for n in _NUMBERS if f"{n} {part}" != true]
    return sorted(set(relation.facts.values()) - {true})


def _passage(relation: Relation, number: int, subject: str, told: str) -> str:
    template = relation.passages[number]
    shown = subject if template.startswith("{s}") else _inside(subject)
    made = template.format(s=shown, a=told)
    return made[0].upper() + made[1:]


def _question(name: str, relation: Relation, subject: str) -> str:
    if name == "count":
        part = relation.facts[subject].split()[1]
        return f"How many {part} does {_inside(subject)} have?"
    if name == "made_from":
        return relation.question.format(s=subject.lower())
    return relation.question.format(s=subject)


def _inside(subject: str) -> str:
    """The subject as it stands inside a sentence: articles and substances are small there."""
    plain = subject.startswith(_INDEFINITE) or subject in RELATIONS["made_from"].facts
    return subject[0].lower() + subject[1:] if plain else subject


def text() -> str:
    """The whole file."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows())


if __name__ == "__main__":
    Path(__file__).parents[1].joinpath(f"{Path(__file__).stem}.jsonl").write_text(text(), "utf-8")
