"""Passages of reading tests: each once, without questions, of free sources only."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from slmbench.data.catalogue import CATALOGUE
from slmbench.data.originals import OriginalsError
from slmbench.data.originals.passages import read_coqa, read_drop, read_qasper, read_squad

SETS = ("squad", "drop", "coqa", "qasper")


def requests(folder: Path, *docs: dict[str, Any]) -> Path:
    """The file as the wheel has it, a line a question."""
    with gzip.open(folder / "requests.jsonl.gz", "wt", encoding="utf-8") as file:
        for doc in docs:
            file.write(json.dumps({"request_type": "loglikelihood", "doc": doc}) + "\n")
    return folder


def texts(converted: Any) -> list[str]:
    return [row.passage for row in converted.splits["validation"]]


def squad(passage: str, question: str) -> dict[str, Any]:
    return {"query": f"Title: T\nBackground: {passage}\nQuestion: {question}\nAnswer:"}


def test_squad_gives_paragraphs_once(tmp_path: Path) -> None:
    place = requests(
        tmp_path,
        squad("One.\nQuestion: is it?\nTwo.", "Why?"),
        squad("Three.", "Who?"),
        squad("Three.", "When?"),
    )
    assert texts(read_squad(place)) == ["One.\nQuestion: is it?\nTwo.", "Three."]


def test_drop_gives_passages_once(tmp_path: Path) -> None:
    place = requests(tmp_path, *({"passage": p, "question": "?"} for p in (" a ", "b", "a")))
    assert texts(read_drop(place)) == ["a", "b"]


def test_coqa_leaves_out_stories_with_other_licences(tmp_path: Path) -> None:
    sources = ("gutenberg", "cnn", "wikipedia", "race", "mctest")
    docs = ({"source": source, "story": f"by {source}"} for source in sources)
    assert texts(read_coqa(requests(tmp_path, *docs))) == ["by gutenberg", "by wikipedia"]


def test_qasper_joins_title_abstract_and_whole_paragraphs(tmp_path: Path) -> None:
    long = "A paragraph of more than forty characters, in full."
    doc = {
        "title": "T",
        "abstract": "A.",
        "full_text": {"paragraphs": [["1.1em"], [long, "short"], [long.upper()]]},
    }
    found = texts(read_qasper(requests(tmp_path, doc, doc)))
    assert found == [f"T\n\nA.\n\n{long}\n\n{long.upper()}"]


@pytest.mark.parametrize("doc", [{"query": "no background"}, {"title": "x"}, {"query": None}])
def test_another_form_is_an_error(tmp_path: Path, doc: dict[str, Any]) -> None:
    with pytest.raises(OriginalsError, match=r"requests\.jsonl\.gz: KeyError"):
        read_squad(requests(tmp_path, doc))


def test_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "requests.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(OriginalsError, match=r"requests\.jsonl\.gz"):
        read_drop(tmp_path)
    with pytest.raises(OriginalsError, match=r"requests\.jsonl\.gz"):
        read_drop(tmp_path / "nowhere")


def test_every_set_has_one_place_and_a_free_licence() -> None:
    for name in SETS:
        entry = CATALOGUE[name]
        assert entry.pin is not None
        assert entry.pin.reader.endswith(f":read_{name}")
        assert not entry.hub
        assert entry.originals is None
        assert entry.licence in ("CC-BY-SA-4.0", "CC-BY-4.0")
