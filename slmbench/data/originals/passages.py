"""Passages of reading tests, each once: running text to train on.

A wheel has the tests as lines of requests, in which a passage comes again with every question and
behind several examples. Only the passages themselves are kept, without questions and answers.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slmbench.data.originals import Converted, OriginalsError

_FREE = ("gutenberg", "wikipedia")
"""Sources of CoQA under CC-BY-SA-4.0; its other stories have terms of their own."""
_PARAGRAPH = "\n\n"
_SHORTEST = 40
"""Paragraphs of fewer characters are marks of a converter, not sentences."""


@dataclass(frozen=True, slots=True)
class Passage:
    """One text."""

    passage: str


def read_squad(folder: Path) -> Converted:
    """Paragraphs of Wikipedia articles (SQuAD, Rajpurkar et al. 2016)."""
    return _passages(folder, _of_squad)


def read_drop(folder: Path) -> Converted:
    """Summaries of games and histories from Wikipedia (DROP, Dua et al. 2019)."""
    return _passages(folder, lambda doc: str(doc["passage"]))


def read_coqa(folder: Path) -> Converted:
    """Stories of Project Gutenberg and articles of Wikipedia (CoQA, Reddy et al. 2019)."""
    return _passages(folder, lambda doc: str(doc["story"]) if doc["source"] in _FREE else None)


def read_qasper(folder: Path) -> Converted:
    """Papers on language processing: title, abstract, paragraphs (QASPER, Dasigi et al. 2021)."""
    return _passages(folder, _of_qasper)


def _of_squad(doc: Mapping[str, Any]) -> str:
    _, _, after = str(doc["query"]).partition("\nBackground: ")
    passage, found, _ = after.rpartition("\nQuestion: ")
    if not found:
        raise KeyError("query without Background and Question")
    return passage


def _of_qasper(doc: Mapping[str, Any]) -> str:
    sections: Iterable[Iterable[str]] = doc["full_text"]["paragraphs"]
    long = (p for section in sections for p in section if len(p) >= _SHORTEST)
    return _PARAGRAPH.join((str(doc["title"]), str(doc["abstract"]), *long))


def _passages(folder: Path, text_of: Callable[[Mapping[str, Any]], str | None]) -> Converted:
    """Split ``validation``: every text once, in the order of its first request."""
    try:
        texts = (text_of(line["doc"]) for line in _requests(folder))
        found = dict.fromkeys(text.strip() for text in texts if text is not None)
    except (KeyError, TypeError, AttributeError) as error:
        raise OriginalsError(f"requests.jsonl.gz: {type(error).__name__}: {error}") from error
    return Converted({"validation": [Passage(text) for text in found if text]})


def _requests(folder: Path) -> Iterator[Mapping[str, Any]]:
    path = folder / "requests.jsonl.gz"
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)
    except (OSError, ValueError, EOFError) as error:
        raise OriginalsError(f"{path.name}: {error}") from error
