"""Write ``slm_long_text_8k.jsonl``: texts as in ``slm_long_text``, longer.

python suites/tasks/data/generators/slm_long_text_8k.py
"""

from __future__ import annotations

import json
from pathlib import Path

from slm_long_text import rows

WORDS = 6400
TEXTS = 32


def text() -> str:
    """The whole file."""
    return "".join(json.dumps(row) + "\n" for row in rows(WORDS, TEXTS))


if __name__ == "__main__":
    Path(__file__).parents[1].joinpath(f"{Path(__file__).stem}.jsonl").write_text(text(), "utf-8")
