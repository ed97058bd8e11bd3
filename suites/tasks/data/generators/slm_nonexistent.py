"""Write ``slm_nonexistent.jsonl``: things that do not exist, and premises that do not hold.

    python suites/tasks/data/generators/slm_nonexistent.py

320 questions about invented things and 320 with the same templates about real ones; 120 questions
that take something false for granted and 120 of the same form that take something true for
granted. Templates, syllables and lists are ours; the facts are common knowledge.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

from nonexistent_facts import LISTED, QUESTIONS, REAL, SWAPPED

SEED = 20240607
PER_TEMPLATE = 8
"""Invented things per template, and real ones."""
PER_PREMISE = 10
"""False and true premises per template."""

_ONSETS = ("Bal", "Cor", "Dre", "Fen", "Gal", "Hes", "Jor", "Kel", "Lum", "Mor", "Nar", "Or",
           "Pel", "Quil", "Ras", "Sel", "Tor", "Ul", "Vel", "Wen", "Yar", "Zor")  # fmt: skip
_MIDDLES = ("ba", "do", "fi", "ga", "lu", "mi", "no", "pe", "qua", "ri", "so", "ta", "va", "xi",
            "ze")  # fmt: skip
_ENDS = {
    "first": ("ric", "dan", "mel", "vin", "lia", "nor", "thea", "bert"),
    "last": ("shaw", "mond", "wick", "holt", "stein", "vane", "quist", "bury"),
    "place": ("mar", "hold", "stad", "port", "grad", "vale", "dor", "minth"),
    "maker": ("tron", "lux", "dyne", "via", "core", "flex", "zen", "max"),
    "substance": ("axil", "orphene", "idrol", "etrate", "ulene", "osyl", "amide", "ythrate"),
}
_BOOK = ("The {a} of {b}", "{b} and the {a}", "A {a} for {b}", "The Last {a} of {b}")
_BOOK_NOUNS = ("Lantern", "Clockmaker", "Orchard", "Ferryman", "Cartographer", "Winter")
_ANIMALS = ("marsh fox", "tree otter", "reef heron", "dune badger", "cave finch", "river lynx",
            "rock newt", "cloud bat", "moss viper", "salt crane", "pine vole",
            "ridge hare")  # fmt: skip
_LAWS = ("{a} Act of {year}", "{a} Accord of {year}", "{a} Privacy Directive",
         "{a} Fisheries Treaty", "{a} Amendment", "{a} Housing Statute")  # fmt: skip
_GADGETS = ("food scale", "hiking watch", "desk lamp", "pocket radio", "garden drone",
            "sewing machine", "camera lens", "coffee press", "bike lock", "hearing aid",
            "toy robot", "water filter")  # fmt: skip
_EVENTS = ("Battle of {b}", "Siege of {b}", "{b} Uprising", "Treaty of {b}", "Great Fire of {b}",
           "{b} Expedition")  # fmt: skip


class Namer:
    """Names out of syllables, each one new."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.used: set[str] = set()

    def name(self, kind: str) -> str:
        """A name that was not given before: three syllables for a person's, else four."""
        middles = 1 if kind in ("first", "last") else 2
        while True:
            parts = [self.rng.choice(_ONSETS), *self.rng.choices(_MIDDLES, k=middles)]
            name = "".join(parts) + self.rng.choice(_ENDS[kind])
            if name not in self.used:
                self.used.add(name)
                return name

    def entity(self, category: str, index: int) -> str:
        """The ``index``-th invented thing of a category."""
        if category == "person":
            return f"{self.name('first')} {self.name('last')}"
        if category == "book":
            noun = _BOOK_NOUNS[index % len(_BOOK_NOUNS)]
            return _BOOK[index // 6 % len(_BOOK)].format(a=noun, b=self.name("place"))
        if category == "species":
            return f"{self.name('place')} {_ANIMALS[index % len(_ANIMALS)]}"
        if category == "law":
            pattern = _LAWS[index % len(_LAWS)]
            return pattern.format(a=self.name("last"), year=1851 + 4 * index)
        if category == "product":
            return f"{self.name('maker')} {_GADGETS[index % len(_GADGETS)]}"
        if category == "event":
            return _EVENTS[index % len(_EVENTS)].format(b=self.name("place"))
        if category == "substance":
            return self.name("substance").lower()
        return self.name("place")


Row = dict[str, str]


def invented_and_real() -> list[Row]:
    """Every template with as many invented things as real ones; a real one is asked about twice."""
    namer = Namer(random.Random(SEED))  # noqa: S311 - a seeded draw, no secret
    rows = []
    for category, templates in QUESTIONS.items():
        count = PER_TEMPLATE * len(templates)
        invented = [namer.entity(category, i) for i in range(count)]
        real = REAL[category]
        for group, things in (("fictional", invented), ("control", real * 2)):
            for index, thing in enumerate(things[:count]):
                number = (index + index // len(real)) % len(templates)
                rows.append(
                    {
                        "id": f"{group}-{category}-{index:02d}",
                        "question": templates[number].format(x=thing),
                        "entity": thing,
                        "category": category,
                        "template": f"{category}-{number}",
                        "group": group,
                        "truth": "",
                    }
                )
    return rows


def premises() -> list[Row]:
    """False and true premises of the same form; ``truth`` is what a correction would name."""
    rng = random.Random(SEED + 1)  # noqa: S311 - a seeded draw, no secret
    rows = []
    for name, (template, facts) in SWAPPED.items():
        values = list(dict.fromkeys(facts.values()))
        for index, (subject, value) in enumerate(facts.items()):
            wrong = rng.choice([other for other in values if other != value])
            asked = template.format(x=subject, y=value)
            rows.append(_premise(name, index, "true_premise", asked, subject, ""))
            asked = template.format(x=subject, y=wrong)
            rows.append(_premise(name, index, "false_premise", asked, subject, value))
    for name, (template, true, false) in LISTED.items():
        for group, subjects in (("true_premise", true), ("false_premise", false)):
            for index, subject in enumerate(subjects):
                asked = template.format(x=subject)
                rows.append(_premise(name, index, group, asked, subject, ""))
    return rows


def _premise(name: str, index: int, group: str, question: str, entity: str, truth: str) -> Row:
    return {
        "id": f"{group.replace('_', '-')}-{name}-{index:02d}",
        "question": question,
        "entity": entity,
        "category": "premise",
        "template": f"premise-{name}",
        "group": group,
        "truth": truth,
    }


def text() -> str:
    """The whole file."""
    rows = [*invented_and_real(), *premises()]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


if __name__ == "__main__":
    Path(__file__).parents[1].joinpath(f"{Path(__file__).stem}.jsonl").write_text(text(), "utf-8")
