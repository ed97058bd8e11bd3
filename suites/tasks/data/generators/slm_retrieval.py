"""Write ``slm_retrieval.jsonl``: lengths, depths and seeds of texts with keys in them.

    python suites/tasks/data/generators/slm_retrieval.py

The texts themselves are made from these numbers by ``slmbench/tasks/haystack.py``.
"""

from __future__ import annotations

import json
from pathlib import Path

WORDS = (100, 200, 400, 800, 1600)
DEPTHS = (0, 25, 50, 75, 100)
SEEDS = 20


def rows(lengths: tuple[int, ...] = WORDS) -> list[dict[str, object]]:
    """Every length and depth with each of the seeds."""
    return [
        {
            "id": f"w{words:05d}-d{depth:03d}-{seed:02d}",
            "words": words,
            "depth": depth,
            "seed": seed,
        }
        for words in lengths
        for depth in DEPTHS
        for seed in range(SEEDS)
    ]


def text() -> str:
    """The whole file."""
    return "".join(json.dumps(row) + "\n" for row in rows())


if __name__ == "__main__":
    Path(__file__).parents[1].joinpath(f"{Path(__file__).stem}.jsonl").write_text(text(), "utf-8")
