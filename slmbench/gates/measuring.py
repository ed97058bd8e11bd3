"""The measuring side of the gates: asks the models, hands the numbers to the judges."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from slmbench.gates.asking import Ask, Subject, UnanswerableError, probe, run_items
from slmbench.gates.logprob_parity import compare_files, judge_logprobs
from slmbench.gates.material import TaskItems, passages
from slmbench.gates.noise_floor import Answer, answer_of, compare_answers, judge_floor
from slmbench.gates.result import GateResult
from slmbench.gates.sentinels import MODES, Sentinel, judge_sentinels, sentinel_of
from slmbench.gates.tokenizer_parity import Encoded, judge_tokenizers
from slmbench.records import ModelInfo, Status
from slmbench.requests import Item, ItemSet, LoglikelihoodRequest
from slmbench.runner.supervisor import Outcome
from slmbench.spec import Target
from slmbench.tasks.scorers import score

_PASSAGES = 4
_OTHER_BATCH: dict[str, dict[str, str | int | float | bool]] = {
    "transformers": {"pack_tokens": 160},
    "llama_cpp": {"batch": 96},
}
"""Options that change how requests are grouped, and must change nothing else."""
_FLOAT_BITS = 31.0
"""Bits per weight from which on a model is one in float32."""


def tokenizer_parity(
    ours: Subject, theirs: Subject, texts: Sequence[str], encode: Encoder | None = None
) -> GateResult:
    """G1: both tokenizers over all texts."""
    ask = encode or encoded
    return judge_tokenizers(texts, ask(ours, texts), ask(theirs, texts))


Encoder = Callable[[Subject, Sequence[str]], Encoded]
"""Asks one subject for the ids of the texts."""


def encoded(subject: Subject, texts: Sequence[str]) -> Encoded:
    """Ids of every text (UnanswerableError)."""
    answer = probe(subject, strings=texts)
    assert answer.model is not None
    return Encoded(subject.label, answer.special, answer.plain, answer.model.adds_bos)


def logprob_parity(folder: Subject, exported: Subject, sets: Sequence[ItemSet]) -> GateResult:
    """G2: a float32 folder in transformers against the same weights as float32 GGUF."""
    left = _plain(folder, "float32")
    right = _plain(exported, "auto")
    if right.target.backend == "llama_cpp":
        right = right.with_options(kv_type="f32", flash_attn="off")
    asked = [request for _, request in _scored(sets)]
    with tempfile.TemporaryDirectory(prefix="slmbench-gates-") as place:
        ours, theirs = Path(place) / "a", Path(place) / "b"
        ours.mkdir()
        theirs.mkdir()
        first = probe(left, texts=passages(sets, _PASSAGES), requests=asked, folder=ours)
        second = probe(right, sequences=first.sequences, requests=asked, folder=theirs)
        files = [f"{index}.npy" for index in range(len(first.sequences))]
        pairs = [(ours / name, theirs / name) for name in files]
        rows = compare_files(pairs, first.sequences)
    sums = [[output.logprob for output in answer.outputs] for answer in (first, second)]
    about = f"{left.label} against {right.label}"
    return judge_logprobs(sums[0], sums[1], rows, about, [name for name, _ in _scored(sets)])


def noise_floor(subject: Subject, sets: Sequence[ItemSet], material: str) -> GateResult:
    """G3: the same variant asked again in another process, order and batch size, and naively."""
    batch = _OTHER_BATCH.get(subject.target.backend, {})
    turned = [_turned(items) for items in sets]
    naive = [Ask(items, share=False) for items in sets]
    outcomes = _outcomes(subject, [*map(Ask, sets), *naive])
    changed = _outcomes(subject.with_options(**batch), list(map(Ask, turned)))
    said = ", ".join(
        ("other process", "items and choices reversed", *(f"{k} {v}" for k, v in batch.items()))
    )
    base = _answers(outcomes[: len(sets)], sets)
    again = {
        said: _answers(changed, sets, turned=True),
        "nothing shared": _answers(outcomes[len(sets) :], sets),
    }
    changes = {how: compare_answers(base, found) for how, found in again.items()}
    exact = is_exact(subject.target, outcomes[0].model)
    rule = "float32 bounds" if exact else "floor reported"
    return judge_floor(changes, exact=exact, about=f"{subject.label}, {material}, {rule}")


def is_exact(target: Target, model: ModelInfo | None) -> bool:
    """Whether weights and activations are float32 throughout, so that nothing may change."""
    if model is None:
        return False
    if target.backend == "llama_cpp":
        wide = target.options.get("kv_type") == "f32"
    else:
        wide = target.dtype in ("auto", "float32")
    return wide and model.kernel == "real" and model.bits_per_weight > _FLOAT_BITS


def sentinels(template: Subject, tasks: Sequence[TaskItems], skipped: Sequence[str]) -> GateResult:
    """G4: six fakes over all tasks, through worker and scorer. ``template`` is a fake."""
    found: list[Sentinel] = []
    for mode in MODES:
        subject = template.with_options(mode=mode)
        outcomes = run_items(subject, [Ask(task.items) for task in tasks])
        for task, outcome in zip(tasks, outcomes, strict=True):
            rows = score(task.items, outcome.outputs) if outcome.status is Status.OK else []
            found.append(sentinel_of(task.items, task.primary, mode, outcome.status, rows))
    return judge_sentinels(found, skipped)


def _plain(subject: Subject, dtype: str) -> Subject:
    """The subject with the target's own precision replaced by this one."""
    update = {"dtype": dtype, "options": {}}
    return replace(subject, target=subject.target.model_copy(update=update))


def _outcomes(subject: Subject, sets: Sequence[Ask]) -> tuple[Outcome, ...]:
    """Outcomes of all sets; UnanswerableError at the first that did not end ok."""
    outcomes = run_items(subject, sets)
    for outcome in outcomes:
        if outcome.status is not Status.OK:
            raise UnanswerableError(
                f"{subject.label}: {outcome.status.value}: {outcome.reason}", hint=outcome.hint
            )
    return outcomes


def _scored(sets: Sequence[ItemSet]) -> list[tuple[str, LoglikelihoodRequest]]:
    """Every request that is scored, with its name for people."""
    return [
        (f"{items.task} {item.item_id}, choice {index}", request)
        for items in sets
        for item in items.items
        for index, request in enumerate(item.requests)
        if isinstance(request, LoglikelihoodRequest)
    ]


def _turned(items: ItemSet) -> ItemSet:
    """The items from the last to the first, and so the requests of each."""
    turned = (item.model_copy(update={"requests": item.requests[::-1]}) for item in items.items)
    return items.model_copy(update={"items": tuple(turned)[::-1]})


def _answers(
    outcomes: Sequence[Outcome], sets: Sequence[ItemSet], *, turned: bool = False
) -> list[Answer]:
    """Answers under names that are unique over all sets, choices in the order of ``sets``."""
    found: list[Answer] = []
    for outcome, items in zip(outcomes, sets, strict=True):
        known: dict[str, Item] = {item.item_id: item for item in items.items}
        for output in outcome.outputs:
            order = output.outputs[::-1] if turned else output.outputs
            straight = output.model_copy(update={"outputs": order})
            answer = answer_of(known[output.item_id], straight)
            found.append(replace(answer, item_id=f"{items.task}/{answer.item_id}"))
    return found


@dataclass(slots=True)
class EncoderOnce:
    """Asks each subject for its ids only once: several gates compare with the same relative."""

    known: dict[tuple[str, str], Encoded]

    def __call__(self, subject: Subject, texts: Sequence[str]) -> Encoded:
        """As :func:`encoded`."""
        key = (subject.sha256, subject.target.backend)
        if key not in self.known:
            self.known[key] = encoded(subject, texts)
        return self.known[key]
