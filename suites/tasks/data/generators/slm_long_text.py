"""Write ``slm_long_text.jsonl``: lengths and seeds of long texts.

    python suites/tasks/data/generators/slm_long_text.py

The texts themselves are made from these numbers by ``slmbench/tasks/haystack.py``.
"""

from __future__ import annotations

import json
from pathlib import Path

WORDS = 1800
TEXTS = 64


def rows(words: int = WORDS, count: int = TEXTS) -> list[dict[str, object]]:
    """Texts of one length."""
    return [
        {"id": f"w{words:05d}-{seed:02d}", "words": words, "seed": seed} for seed in range(count)
    ]


def text() -> str:
    """The whole file."""
    return "".join(json.dumps(row) + "\n" for row in rows())


if __name__ == "__main__":
    Path(__file__).parents[1].joinpath(f"{Path(__file__).stem}.jsonl").write_text(text(), "utf-8")
