"""Items by their ids, texts by their protocol, and lm-eval tasks with several filters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets
import pytest

from slmbench.errors import UsageError
from slmbench.requests import (
    GenerateOutput,
    GenerateRequest,
    ItemOutput,
    ItemSet,
    LoglikelihoodOutput,
    RollingRequest,
)
from slmbench.runner.prepare import _build
from slmbench.spec import TaskSpec
from slmbench.tasks.lm_eval_bridge import LocalData, build_items
from slmbench.tasks.scorers import score
from stock_items import load_tasks_once

pytestmark = [pytest.mark.engine, pytest.mark.network]


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    load_tasks_once(monkeypatch)


def spec(task: str, **settings: Any) -> TaskSpec:
    plain = {"primary": "acc", "num_fewshot": 0, "chat_template": False, "items": 20, "seed": 1}
    return TaskSpec(**{"task": task, **plain, **settings})


def build(task: str, **settings: Any) -> ItemSet:
    return _build(spec(task, **settings))


def saved(folder: Path, **splits: list[dict[str, Any]]) -> LocalData:
    """A data set of our own on disk."""
    for split, rows in splits.items():
        datasets.Dataset.from_list(rows).save_to_disk(str(folder / split))
    return LocalData(folder, "made for the test", "0" * 64, "CC0-1.0")


# --- items by their ids ---------------------------------------------------------------------


@pytest.mark.parametrize("fewshot", [0, 2])
def test_a_run_repeated_by_its_ids_asks_the_same_questions(fewshot: int) -> None:
    """In any order and whatever else was drawn: the very requests, examples included."""
    drawn = build("arc_easy", num_fewshot=fewshot).items
    ids = tuple(item.item_id for item in drawn)
    again = build("arc_easy", num_fewshot=fewshot, item_ids=ids)
    assert again.items == drawn
    picked = (ids[7], ids[2])
    assert build("arc_easy", num_fewshot=fewshot, item_ids=picked).items == (drawn[7], drawn[2])


def test_unknown_and_repeated_ids_are_refused() -> None:
    known = build("arc_easy", items=1).items[0].item_id
    with pytest.raises(UsageError, match=r"task 'arc_easy' has no item 'nope': it has 570 items"):
        build("arc_easy", item_ids=(known, "nope"))
    with pytest.raises(UsageError, match=f"named twice: '{known}'"):
        build("arc_easy", item_ids=(known, known))


# --- bad data -------------------------------------------------------------------------------


def test_a_gold_label_that_no_choice_has_leaves_the_item_without_gold(tmp_path: Path) -> None:
    """It is not asked, and counted. ARC's YAML looks the key up in a list of four letters."""
    choices = {"text": ["w", "x", "y", "z"], "label": ["A", "B", "C", "D"]}
    rows = [
        {"id": f"q{n}", "question": "Which?", "choices": choices, "answerKey": key}
        for n, key in enumerate("BEA")
    ]
    items = build_items(spec("arc_easy", items=None), saved(tmp_path, test=rows))
    gold = {item.item_id: item.gold for item in items.items}
    assert gold == {"q0": 1, "q1": None, "q2": 0}
    assert {i.item_id: len(i.requests) for i in items.items} == {"q0": 4, "q1": 0, "q2": 4}
    answered = LoglikelihoodOutput(logprob=-1.0, tokens=1, context_tokens=1)
    outputs = [
        ItemOutput(item_id=i.item_id, outputs=(answered,) * len(i.requests)) for i in items.items
    ]
    found = {r.item_id: r for r in score(items, outputs) if r.metric == "acc"}
    assert (found["q1"].value, found["q1"].failure) == (None, "no_gold")
    assert found["q0"].value == 0.25


# --- texts ----------------------------------------------------------------------------------


def test_documents_of_a_text_task_are_distinct_and_scored_one_by_one() -> None:
    items = build("slm_text_boolq_rolling", items=30)
    assert (items.scorer, items.population, len(items.items)) == ("perplexity", 2938, 30)
    assert items.licence == "CC-BY-SA-3.0"
    requests = [item.requests[0] for item in items.items]
    assert all(isinstance(r, RollingRequest) and r.protocol == "rolling" for r in requests)
    assert len({r.text for r in requests if isinstance(r, RollingRequest)}) == 30


@pytest.mark.parametrize(
    ("task", "protocol", "window"),
    [
        ("slm_text_boolq_gptq_2048", "gptq", 2048),
        ("slm_text_boolq_llama_cpp_512", "llama.cpp", 512),
    ],
)
def test_windows_are_cut_from_the_same_documents_joined(
    task: str, protocol: str, window: int
) -> None:
    rolling = build("slm_text_boolq_rolling", items=30).items
    texts = {r.text for item in rolling for r in item.requests if isinstance(r, RollingRequest)}
    joined = build(task, items=30)
    (item,) = joined.items
    (request,) = item.requests
    assert isinstance(request, RollingRequest)
    assert (request.protocol, request.window) == (protocol, window)
    assert set(request.text.split("\n\n")) == {part for t in texts for part in t.split("\n\n")}
    assert all(text in request.text for text in texts)
    assert joined.population == 2938


def test_what_means_nothing_for_a_text_is_refused() -> None:
    with pytest.raises(UsageError, match="no turns and no examples"):
        build("slm_text_boolq_rolling", chat_template=True)
    with pytest.raises(UsageError, match="no turns and no examples"):
        build("slm_text_boolq_rolling", num_fewshot=2)
    with pytest.raises(UsageError, match="joins its documents"):
        build("slm_text_boolq_gptq_2048", item_ids=("a",))


def test_wikitext_by_lm_eval_and_by_the_published_protocols(tmp_path: Path) -> None:
    """Stock wikitext detokenizes its pages; the raw rows are joined as the protocols join them."""
    pages = [{"page": " Cats , he said , purr . \n"}, {"page": " Dogs bark . \n"}]
    stock = build_items(spec("wikitext", items=None), saved(tmp_path / "a", test=pages))
    assert stock.scorer == "perplexity"
    texts = {r.text for i in stock.items for r in i.requests if isinstance(r, RollingRequest)}
    assert " Cats, he said, purr.\n" in texts
    rows = saved(tmp_path / "b", test=[{"text": t} for t in ("", " = Cats = \n", "", " Purr . \n")])
    found = {}
    for name in ("gptq_2048", "llama_cpp_512"):
        (item,) = build_items(spec(f"slm_wikitext2_{name}", items=None), rows).items
        (request,) = item.requests
        assert isinstance(request, RollingRequest)
        found[name] = request.text
    assert found["gptq_2048"] == "\n\n = Cats = \n\n\n\n\n Purr . \n"
    assert found["llama_cpp_512"] == " = Cats = \n Purr . \n"


# --- several filters ------------------------------------------------------------------------

STRICT = "She has 3 + 4 = 7.\n#### 7"
LOOSE = "The answer is 7"
NOTHING = "I like eggs."


def generated(text: str, finish: str = "stop") -> GenerateOutput:
    return GenerateOutput.model_validate(
        {
            "text": text,
            "token_ids": (1, 2, 3),
            "prompt_tokens": 1,
            "evaluated_tokens": 1,
            "start_ns": 0,
            "token_ns": (1, 2, 3),
            "finish": finish,
        }
    )


def test_gsm8k_is_judged_strictly_and_flexibly_with_its_extraction_failures(
    tmp_path: Path,
) -> None:
    rows = [
        {"question": f"{n} + {7 - n}?", "answer": f"It is 7 as {n} says.\n#### 7"} for n in range(5)
    ]
    items = build_items(spec("gsm8k", items=None), saved(tmp_path, train=rows, test=rows))
    assert items.scorer == "lm_eval"
    request = items.items[0].requests[0]
    assert isinstance(request, GenerateRequest)
    assert "Question:" in request.stop
    answers = [
        generated(STRICT),
        generated(LOOSE),
        generated(NOTHING, finish="length"),
        generated("#### 8 then 7"),
    ]
    outputs = [
        ItemOutput(item_id=item.item_id, outputs=(answer,))
        for item, answer in zip(items.items, answers, strict=False)
    ]
    table: dict[str, list[float | None]] = {}
    for row in score(items, outputs):
        table.setdefault(row.metric, []).append(row.value)
    assert table == {
        "exact_match": [1.0, 0.0, 0.0, 0.0, None],
        "exact_match_flexible": [1.0, 1.0, 0.0, 1.0, None],
        "extraction_failure_rate": [0.0, 1.0, 1.0, 0.0, None],
        "extraction_failure_rate_flexible": [0.0, 0.0, 1.0, 0.0, None],
        "output_tokens": [3.0, 3.0, 3.0, 3.0, None],
        "truncation_rate": [0.0, 0.0, 1.0, 0.0, None],
    }


def test_flexible_and_strict_are_those_of_lm_eval(tmp_path: Path) -> None:
    """The same texts through lm-eval's own filters and metric."""
    from lm_eval.api.instance import Instance

    from slmbench.tasks.definitions import define
    from slmbench.tasks.lm_eval_bridge import configuration, configured

    rows = [{"question": f"{n}?", "answer": "#### 7"} for n in range(4)]
    data = saved(tmp_path, train=rows, test=rows)
    items = build_items(spec("gsm8k", items=None), data)
    texts = [STRICT, LOOSE, NOTHING, "#### 8 then $7"]
    docs = [json.loads(item.target) for item in items.items]
    task = configured(
        configuration(define("gsm8k")),
        {"test": datasets.Dataset.from_list(rows), "train": datasets.Dataset.from_list(rows)},
    )
    instances = [
        Instance("generate_until", doc, (), 0, ("gsm8k", n, 1), resps=[text])
        for n, (doc, text) in enumerate(zip(docs, texts, strict=True))
    ]
    for ensemble in task._filters:
        ensemble.apply(instances)
    outputs = [
        ItemOutput(item_id=item.item_id, outputs=(generated(text),))
        for item, text in zip(items.items, texts, strict=True)
    ]
    rows_of = {(r.item_id, r.metric): r.value for r in score(items, outputs)}
    for name, metric in (
        ("strict-match", "exact_match"),
        ("flexible-extract", "exact_match_flexible"),
    ):
        for item, instance in zip(items.items, instances, strict=True):
            theirs = task.process_results(instance.doc, [instance.filtered_resps[name]])
            assert rows_of[item.item_id, metric] == theirs["exact_match"]
