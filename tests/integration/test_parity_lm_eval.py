"""Our accuracies of the float32 folder are lm-eval's own: same items, same predictions.

The items go through the worker, as in a run; lm-eval's ``hf`` model gets the very same strings.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("lm_eval", reason="needs lm-eval")

from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from slmbench.analysis import load_results
from slmbench.api import Request, run_suites
from slmbench.lifecycle import find
from slmbench.plan import Selection, identify
from slmbench.records import Status
from slmbench.requests import ItemSet, LoglikelihoodOutput, LoglikelihoodRequest
from slmbench.spec.load import load_models
from slmbench.store import read_items, read_store

pytestmark = [
    pytest.mark.engine,
    pytest.mark.network,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # raised inside lm-eval's imports
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

TASKS = ("hellaswag", "arc_easy", "piqa")
ITEMS = 22
TOLERANCE = 1e-3
"""|Δ log-likelihood| in nats per choice that the two may differ by."""


@dataclass(frozen=True)
class Answered:
    """One task as both answered it: log-likelihoods per item and choice, and our scores."""

    items: ItemSet
    ours: list[list[float]]
    theirs: list[list[float]]
    acc: list[float]
    acc_norm: list[float]


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answered]:
    results = tmp_path_factory.mktemp("results")
    request = Request(
        suites=("accuracy",),
        selection=Selection(variants=("smollm2-f32",)),
        overrides=(
            f"sizes.demo.items={ITEMS}",
            "sizes.demo.timeout_s=900",
            "tasks.arc_easy.choices_only=false",
        ),
    )
    summary = run_suites(request, results)
    assert [s.status for s in summary.states] == [Status.OK] * len(TASKS)
    models = load_models("demo")
    artefact = find(models.variant("smollm2-f32"), identify(models)["smollm2-f32"])
    assert artefact is not None
    reference = HFLM(
        pretrained=str(artefact.path), dtype="float32", device="cpu", batch_size=1,
        trust_remote_code=False,
    )  # fmt: skip
    return {
        run.spec.work_name: _compare(run, results, reference) for run in read_store(results).runs
    }


def _compare(run: object, results: Path, reference: HFLM) -> Answered:
    from slmbench.store import StoredRun

    assert isinstance(run, StoredRun)
    assert run.record.item_set is not None
    items = read_items(results, run.record.item_set)
    outputs = list(run.outputs())
    assert [o.item_id for o in outputs] == [i.item_id for i in items.items]
    ours = [
        [o.logprob for o in output.outputs if isinstance(o, LoglikelihoodOutput)]
        for output in outputs
    ]
    rows = {metric: {} for metric in ("acc", "acc_norm")}  # type: dict[str, dict[str, float]]
    for row in run.scores():
        if row.metric in rows and row.value is not None:
            rows[row.metric][row.item_id] = row.value
    ids = [i.item_id for i in items.items]
    return Answered(
        items=items,
        ours=[[p for p in line if p is not None] for line in ours],
        theirs=_theirs(items, reference),
        acc=[rows["acc"][i] for i in ids],
        acc_norm=[rows["acc_norm"][i] for i in ids],
    )


def _theirs(items: ItemSet, reference: HFLM) -> list[list[float]]:
    requests = [
        Instance("loglikelihood", {}, (r.context, r.continuation), index)
        for index, item in enumerate(items.items)
        for r in item.requests
        if isinstance(r, LoglikelihoodRequest)
    ]
    flat = iter(reference.loglikelihood(requests, disable_tqdm=True))
    return [[next(flat)[0] for _ in item.requests] for item in items.items]


def test_enough_items_are_compared(answered: dict[str, Answered]) -> None:
    assert set(answered) == set(TASKS)
    assert sum(len(a.ours) for a in answered.values()) >= 60


@pytest.mark.parametrize("task", TASKS)
def test_log_likelihoods_are_lm_evals(answered: dict[str, Answered], task: str) -> None:
    found = answered[task]
    assert [len(line) for line in found.ours] == [len(line) for line in found.theirs]
    worst = max(
        abs(a - b)
        for ours, theirs in zip(found.ours, found.theirs, strict=True)
        for a, b in zip(ours, theirs, strict=True)
    )
    assert worst < TOLERANCE


@pytest.mark.parametrize("task", TASKS)
def test_every_prediction_is_lm_evals(answered: dict[str, Answered], task: str) -> None:
    """acc and acc_norm as lm-eval computes them from its own log-likelihoods."""
    found = answered[task]
    for index, (item, theirs) in enumerate(zip(found.items.items, found.theirs, strict=True)):
        plain = max(range(len(theirs)), key=theirs.__getitem__)
        by_length = [p / len(c) for p, c in zip(theirs, item.choices, strict=True)]
        normed = max(range(len(theirs)), key=by_length.__getitem__)
        assert found.acc[index] == float(plain == item.gold)
        assert found.acc_norm[index] == float(normed == item.gold)


def test_the_frame_shows_the_same_accuracy(
    answered: dict[str, Answered], tmp_path_factory: pytest.TempPathFactory
) -> None:
    results = next(tmp_path_factory.getbasetemp().glob("results*"))
    metrics = load_results(results).metrics()
    shown = metrics[metrics["metric"] == "acc"].set_index("task")["value"]
    for task, found in answered.items():
        assert shown[task] == pytest.approx(sum(found.acc) / len(found.acc))
