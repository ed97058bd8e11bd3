"""Write the text of the fidelity suite: ``python scripts/make_fidelity_text.py`` (repeatable).

Documents of joined items of two MIT-licensed data sets of the catalogue: HellaSwag contexts with
their right endings (how-to prose, captions of videos) and MMLU questions with their right answers
(exam questions). The lines that come out are committed, so that a run needs neither the data
sets nor a network. No other task of the demo calibrates on them.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

from slmbench.data.providers import fetch

SEED = 20240607
DOCUMENTS = 32
CHARACTERS = 2600
"""Least length of a document: about 600 tokens of a 49 k vocabulary."""
SUBJECTS = ("anatomy", "business_ethics", "high_school_geography", "moral_disputes",
            "high_school_world_history", "nutrition", "philosophy", "world_religions")  # fmt: skip
OUT = Path(__file__).resolve().parent.parent / "suites/tasks/data/slm_fidelity_text.jsonl"


def hellaswag(split_source: str) -> Iterator[str]:
    """Contexts with their right endings; ``split_source``: ``wikihow`` or ``activitynet``."""
    rows = _shuffled("hellaswag", "validation")
    for row in rows:
        if not str(row["source_id"]).startswith(split_source):
            continue
        text = f"{row['ctx']} {row['endings'][int(row['label'])]}"
        text = re.sub(r"\[header\] |\[step\] |\[substeps\] ", "", text.replace(" [title]", "."))
        yield re.sub(r"\.\.+ ", ". ", re.sub(r"\s+", " ", text)).strip()


def mmlu(subject: str) -> Iterator[str]:
    """Questions with their right answers."""
    for row in _shuffled(f"mmlu_{subject}", "test"):
        answer = row["choices"][int(row["answer"])]
        yield f"Question: {row['question'].strip()}\nAnswer: {str(answer).strip()}"


def _shuffled(name: str, split: str) -> list[dict[str, object]]:
    from datasets import load_from_disk

    rows = list(load_from_disk(str(fetch(name).path / split)))
    random.Random(SEED).shuffle(rows)
    return rows


def documents() -> Iterator[dict[str, str]]:
    """Kinds take turns, so that the first few documents hold all of them."""
    subjects = [mmlu(s) for s in SUBJECTS]
    how_to, captions = hellaswag("wikihow"), hellaswag("activitynet")
    for number in range(DOCUMENTS):
        turn = number % 4
        if turn % 2:
            index = number // 2 % len(SUBJECTS)
            name, source = f"mmlu-{SUBJECTS[index]}", subjects[index]
        else:
            name, source = ("how-to", how_to) if turn == 0 else ("captions", captions)
        parts: list[str] = []
        while sum(map(len, parts)) < CHARACTERS:
            parts.append(next(source))
        yield {
            "id": f"{number:02d}-{name}",
            "source": "MMLU" if turn % 2 else "HellaSwag",
            "licence": "MIT",
            "text": "\n\n".join(parts),
        }


def main() -> None:
    """Write the file."""
    rows = list(documents())
    OUT.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
    print(f"{OUT.name}: {len(rows)} documents, {sum(len(r['text']) for r in rows)} characters")


if __name__ == "__main__":
    main()
