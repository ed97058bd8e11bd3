"""Write ``slm_retrieval_long.jsonl``: the grid of ``slm_retrieval`` for longer texts.

python suites/tasks/data/generators/slm_retrieval_long.py
"""

from __future__ import annotations

import json
from pathlib import Path

from slm_retrieval import rows

WORDS = (400, 1600, 3200, 6400)


def text() -> str:
    """The whole file."""
    return "".join(json.dumps(row) + "\n" for row in rows(WORDS))


if __name__ == "__main__":
    Path(__file__).parents[1].joinpath(f"{Path(__file__).stem}.jsonl").write_text(text(), "utf-8")
