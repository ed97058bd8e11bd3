"""Judge kept answers again: scores are derived, so a new scorer needs no new run.

Only ``scores/<scorer>.jsonl`` is written, each file at once; spec, environment, record and
answers stay sealed. No model is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from slmbench.errors import DiskSpaceError, SlmbenchError
from slmbench.records import RunRecord, ScoreRow, Status
from slmbench.requests import ItemOutput, ItemSet
from slmbench.spec import TaskSpec, digest_of
from slmbench.store import layout
from slmbench.store.read import Quarantined, StoredRun, read_items, read_store
from slmbench.store.write import as_lines, replace_file
from slmbench.tasks.scorers import score

Outcome = Literal["same", "changed", "skipped", "failed"]


@dataclass(frozen=True, slots=True)
class Rescored:
    """What became of one run."""

    label: str
    """For people: ``accuracy/hellaswag · smollm2-q8_0 · llama_cpp-cpu``."""
    run_id: str
    outcome: Outcome
    """``same``: bit for bit what was stored. ``changed``: not; written unless it was a check.
    ``skipped``: there is nothing to judge. ``failed``: it could not be judged."""
    scorer: str = ""
    details: tuple[str, ...] = ()
    """What differs, or why it was skipped or failed."""


@dataclass(frozen=True, slots=True)
class RescoreSummary:
    """What became of all runs of a results folder, in its order; unreadable ones last."""

    runs: tuple[Rescored, ...]

    def of(self, outcome: Outcome) -> tuple[Rescored, ...]:
        """The runs that ended so."""
        return tuple(run for run in self.runs if run.outcome == outcome)


def rescore_store(
    root: Path, *, write: bool, done: Callable[[Rescored], None] = lambda _: None
) -> RescoreSummary:
    """Judge every run below ``root``; one that cannot be judged leaves the others alone.

    Args:
        root: results folder.
        write: replace scores that differ; else nothing is written.
        done: told of each run.

    Raises DiskSpaceError when there is no room for new scores.
    """
    contents = read_store(root)
    found: list[Rescored] = []
    for make in (
        *(partial(rescore_run, root, run, write=write) for run in contents.runs),
        *(partial(_unreadable, root, bad) for bad in contents.quarantined),
    ):
        found.append(make())
        done(found[-1])
    return RescoreSummary(tuple(found))


def rescore_run(root: Path, run: StoredRun, *, write: bool) -> Rescored:
    """Judge one run; never raises for what is wrong with it (DiskSpaceError apart)."""
    label, run_id = run.spec.label, run.record.run_id
    if why := _nothing_to_judge(run):
        return Rescored(label, run_id, "skipped", details=(why,))
    scorer = ""
    try:
        items = _items(root, run.record)
        scorer = items.scorer
        path = run.folder / layout.SCORES / f"{scorer}.jsonl"
        before = path.read_bytes() if path.is_file() else None
        rows = score(items, _answers(run, items))
        text = as_lines(rows)
        if before == text.encode():
            return Rescored(label, run_id, "same", scorer)
        if write:
            replace_file(path, text)
        return Rescored(label, run_id, "changed", scorer, tuple(_differences(before, rows)))
    except DiskSpaceError:
        raise
    except SlmbenchError as error:
        return Rescored(label, run_id, "failed", scorer, (str(error),))
    except Exception as error:  # noqa: BLE001 - a scorer's bug in one run must not stop the others
        first = (str(error).splitlines() or [""])[0]
        return Rescored(label, run_id, "failed", scorer, (f"{type(error).__name__}: {first}",))


def _unreadable(root: Path, bad: Quarantined) -> Rescored:
    place = bad.folder.relative_to(root).as_posix()
    return Rescored(place, bad.folder.name, "failed", details=(bad.reason,))


def _nothing_to_judge(run: StoredRun) -> str:
    """Why the campaign kept no scores for this run; empty when it did."""
    if not isinstance(run.spec.work, TaskSpec):
        return "a workload has no answers to judge"
    if run.record.status is Status.OK or (run.folder / layout.SCORES).is_dir():
        return ""
    return f"it ended {run.record.status.value}: such answers are kept and not judged"


def _items(root: Path, record: RunRecord) -> ItemSet:
    """The items that were asked, checked against the digest in the record."""
    digest = record.item_set
    if digest is None:
        raise SlmbenchError("its record names no item set")
    hint = "copy the folder .items of the results that it came from"
    try:
        items = read_items(root, digest)
    except FileNotFoundError:
        raise SlmbenchError(f"its item set {digest[:16]} is missing", hint=hint) from None
    except (ValueError, OSError) as error:
        first = str(error).splitlines()[0]
        raise SlmbenchError(f"its item set {digest[:16]} is damaged: {first}", hint=hint) from error
    if digest_of(items) != digest:
        raise SlmbenchError(f"its item set {digest[:16]} was changed after the run", hint=hint)
    return items.first(record.items_total)


def _answers(run: StoredRun, items: ItemSet) -> tuple[ItemOutput, ...]:
    """All answers; SlmbenchError naming the line that is damaged, or when some are missing."""
    path = run.folder / layout.SAMPLES
    hint = "its scores are left as they are; run the cell again with --force"
    if not path.is_file():
        raise SlmbenchError(f"{layout.SAMPLES} is missing", hint=hint)
    answers: list[ItemOutput] = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            answers.append(ItemOutput.model_validate_json(line))
        except ValidationError as error:
            first = error.errors()[0]["msg"]
            raise SlmbenchError(
                f"{layout.SAMPLES}: line {number} is damaged ({first})", hint=hint
            ) from None
    if len(answers) != len(items.items):
        raise SlmbenchError(
            f"{layout.SAMPLES} answers {len(answers)} of {len(items.items)} items", hint=hint
        )
    return tuple(answers)


def _differences(before: bytes | None, rows: Sequence[ScoreRow]) -> Iterator[str]:
    """What is new, gone or different, a line a metric."""
    if before is None:
        yield f"no scores were stored; {len(rows)} rows now"
        return
    try:
        old = [ScoreRow.model_validate_json(line) for line in before.splitlines()]
    except ValidationError:
        yield "the stored scores cannot be read"
        return
    left = {(r.metric, r.item_id): r for r in old}
    right = {(r.metric, r.item_id): r for r in rows}
    told = False
    for metric in dict.fromkeys(m for m, _ in (*left, *right)):
        keys = [k for k in dict.fromkeys((*left, *right)) if k[0] == metric]
        if line := _difference(metric, keys, left, right):
            told = True
            yield line
    if not told:
        yield "the same rows in another order or spelling"


_Rows = dict[tuple[str, str], ScoreRow]


def _difference(metric: str, keys: Sequence[tuple[str, str]], left: _Rows, right: _Rows) -> str:
    new = [k for k in keys if k not in left]
    gone = [k for k in keys if k not in right]
    other = [k for k in keys if k in left and k in right and left[k] != right[k]]
    parts = [f"{len(new)} rows are new"] if new else []
    parts += [f"{len(gone)} rows are gone"] if gone else []
    if other:
        first = other[0]
        was, now = left[first], right[first]
        parts.append(f"{len(other)} rows differ ({first[1]}: {_said(was)}, now {_said(now)})")
    return f"{metric}: {', '.join(parts)}" if parts else ""


def _said(row: ScoreRow) -> str:
    return row.failure or "no value" if row.value is None else repr(row.value)
