"""Long texts of our own with keys hidden in them: made from a seed, the same for every model.

Lengths are words, not tokens. With a budget of tokens the text would depend on a tokenizer, and
variants with another one (or a later model) would be asked other questions; with words every
variant reads the same bytes, and what they came to in its tokens is measured and stands beside.

The filler is drawn sentence by sentence from one small grammar, independently: no place in it is
easier to predict than another but for what stands before it, so that a likelihood that gets worse
further on is the model's doing. It holds no digits, and none of the words that name a key.

The tasks' data files hold the numbers (words, depth, seed) only; ``process_docs`` of their YAML
names the functions here. A single key after Mohtashami & Jaggi 2023 (arXiv 2305.16300), several
after RULER's multi-key needles (Hsieh et al. 2024, arXiv 2404.06654); all words are ours.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WHO = ("The baker", "A neighbour", "The old teacher", "My cousin", "The gardener", "A tall visitor",
       "The postman", "Her brother", "The librarian", "A young farmer", "The fisherman",
       "Our doctor", "The tailor", "A quiet student", "The driver", "His aunt")  # fmt: skip
DID = ("swept the yard", "carried a basket of apples", "mended a broken chair",
       "read the newspaper",
       "boiled some water", "painted the fence", "fed the chickens", "wrote a long letter",
       "looked for a lost glove", "sharpened the pencils", "planted a row of beans",
       "hung the washing out", "cleaned the windows", "baked a loaf of bread",
       "told a story about the sea", "repaired the radio", "counted the empty bottles",
       "folded the blankets", "took a short nap", "watered the flowers")  # fmt: skip
WHERE = ("behind the house", "near the river", "in the kitchen", "beside the church",
         "at the market", "under a large tree", "on the balcony", "in the village",
         "by the old bridge", "at the end of the street", "in a small workshop",
         "next to the station")  # fmt: skip
WHEN = ("before noon", "in the evening", "after the rain", "on a windy day", "while it was snowing",
        "early in the morning", "during the holidays", "late in the autumn", "once again",
        "without any hurry", "as on every day", "to pass the time")  # fmt: skip
COLOURS = ("red", "green", "blue", "yellow", "black", "white", "brown", "purple", "orange", "grey")
LOCKS = ("door", "gate", "locker", "safe", "drawer", "suitcase")
KEYS = 4
"""Keys of the choice form, and keys in the text of the form with several."""
TOLD = "Here is a long text. The codes of some locks stand in it.\n\n"


@dataclass(frozen=True, slots=True)
class Lock:
    """Something with a code."""

    name: str
    code: str

    @property
    def sentence(self) -> str:
        """How the text tells the code."""
        return f"The code of the {self.name} is {self.code}."


def sentences(rng: random.Random, words: int) -> list[str]:
    """Filler of at most ``words`` words: no further sentence would fit."""
    found: list[str] = []
    room = words
    while True:
        parts = (rng.choice(WHO), rng.choice(DID), rng.choice(WHERE), rng.choice(WHEN))
        sentence = f"{' '.join(parts)}."
        room -= len(sentence.split())
        if room < 0:
            return found
        found.append(sentence)


def long_text(words: int, seed: int) -> str:
    """Filler alone, for the likelihood by position."""
    return " ".join(sentences(random.Random(f"text:{words}:{seed}"), words))  # noqa: S311


def question(doc: Mapping[str, Any], *, several: bool) -> dict[str, Any]:
    """One item: text with its key (or several), the question, the choices.

    ``words``: of the filler; ``depth``: per cent of its sentences that stand before the key that
    is asked for; ``seed``: of everything else. With ``several`` the other choices are the codes
    of the other locks in the text, else they are codes that stand nowhere.
    """
    words, depth, seed = int(doc["words"]), int(doc["depth"]), int(doc["seed"])
    rng = random.Random(f"{'several' if several else 'one'}:{words}:{depth}:{seed}")  # noqa: S311
    names = rng.sample([f"{c} {lock}" for c in COLOURS for lock in LOCKS], KEYS)
    codes = rng.sample(range(10_000, 100_000), KEYS)
    locks = [Lock(name, str(code)) for name, code in zip(names, codes, strict=True)]
    asked, others = locks[0], locks[1:]
    text = sentences(rng, words)
    places = [round(len(text) * depth / 100)]
    hidden = [asked]
    if several:
        hidden += others
        places += [rng.randint(0, len(text)) for _ in others]
    for place, lock in sorted(zip(places, hidden, strict=True), key=lambda x: -x[0]):
        text.insert(place, lock.sentence)
    choices = [lock.code for lock in locks]
    rng.shuffle(choices)
    labels = {"words": words, "depth": depth, "key": asked.code}
    labels |= {"others": [lock.code for lock in others] if several else []}
    return {
        "id": str(doc["id"]),
        "text": f"{TOLD}{' '.join(text)}",
        "question": f"What is the code of the {asked.name}?",
        "stem": f"The code of the {asked.name} is",
        "key": asked.code,
        "choices": choices,
        "gold": choices.index(asked.code),
        "cell": f"{words} words, {depth} % deep",
        "labels": json.dumps(labels),
    }


def one_key(rows: Any) -> Any:
    """``process_docs``: one key in the text."""
    return _made([question(row, several=False) for row in rows])


def several_keys(rows: Any) -> Any:
    """``process_docs``: four keys in the text, one of them asked for."""
    return _made([question(row, several=True) for row in rows])


def texts(rows: Any) -> Any:
    """``process_docs``: filler alone."""
    made = [
        {"id": str(row["id"]), "text": long_text(int(row["words"]), int(row["seed"]))}
        for row in rows
    ]
    return _made(made)


def _made(rows: Sequence[Mapping[str, Any]]) -> Any:
    from datasets import Dataset

    return Dataset.from_list([dict(row) for row in rows])
