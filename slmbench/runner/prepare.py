"""Make the item sets of tasks in a child process, once, for all variants.

lm-eval and datasets are imported there and nowhere else: neither the process that measures nor
the one that reads results carries them. ``python -m slmbench.runner.prepare`` is the child.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from slmbench.data import hub
from slmbench.data.catalogue import by_hub
from slmbench.data.providers import fetch
from slmbench.errors import SlmbenchError
from slmbench.locations import cache_dir
from slmbench.process import Child, enter_child
from slmbench.requests import ItemSet
from slmbench.runner.events import Listener
from slmbench.spec import Frozen, TaskSpec, digest_of
from slmbench.tasks.definitions import dataset_of

_TIMEOUT_S = 1800.0


class PrepareJob(Frozen):
    """Tasks whose items are wanted."""

    tasks: tuple[TaskSpec, ...]


class Prepared(Frozen):
    """The item set of one task lies at ``path``."""

    kind: Literal["prepared"] = "prepared"
    task: str
    path: str


class NotPrepared(Frozen):
    """The items of one task cannot be had."""

    kind: Literal["not_prepared"] = "not_prepared"
    task: str
    reason: str
    hint: str


_REPLY: TypeAdapter[Prepared | NotPrepared] = TypeAdapter(
    Annotated[Prepared | NotPrepared, Field(discriminator="kind")]
)


@dataclass(frozen=True, slots=True)
class PreparedItems:
    """Where a task's items lie, or why there are none."""

    path: Path | None
    reason: str = ""
    hint: str = ""


def items_path(task: TaskSpec) -> Path:
    """Cache file of a task's items: the digest of all that decides them is its name."""
    decides = task.model_copy(update={"until": None, "shared_prefix": True})
    return cache_dir("items") / f"{task.task}-{digest_of(decides)[:16]}.json"


def prepare_items(tasks: Sequence[TaskSpec], listener: Listener) -> tuple[PreparedItems, ...]:
    """Item sets for these tasks, in order; from the cache where they are there."""
    wanted = {items_path(t): t for t in tasks}
    missing = {path: task for path, task in wanted.items() if not path.exists()}
    failures = _prepare_missing(missing, listener) if missing else {}
    return tuple(
        PreparedItems(path) if path.exists() else failures[path]
        for path in (items_path(t) for t in tasks)
    )


def _prepare_missing(
    missing: dict[Path, TaskSpec], listener: Listener
) -> dict[Path, PreparedItems]:
    listener.stage(f"preparing items: {', '.join(t.task for t in missing.values())}")
    failures: dict[Path, PreparedItems] = {}
    order = iter(missing)
    deadline = time.monotonic() + _TIMEOUT_S
    with Child("slmbench.runner.prepare") as child:
        child.send(PrepareJob(tasks=tuple(missing.values())).model_dump_json())
        for line in child.lines(lambda: deadline):
            reply, path = _REPLY.validate_json(line), next(order)
            if isinstance(reply, NotPrepared):
                failures[path] = PreparedItems(None, reply.reason, reply.hint)
        ending = child.finish()
    said = "; ".join(ending.stderr_tail[-2:]) or f"exit code {ending.exit_code}"
    for path in order:
        failures[path] = PreparedItems(
            None, f"preparing the items failed: {said}", "see `slmbench doctor`"
        )
    return failures


def main() -> None:
    """Entry point of ``python -m slmbench.runner.prepare``."""
    with enter_child(sys.argv) as channel:
        if hub.unreachable():  # else the hub's client would retry for minutes
            hub.go_offline()
        job = PrepareJob.model_validate_json(sys.stdin.read())
        for task in job.tasks:
            channel.write(_reply(task).model_dump_json() + "\n")


def _reply(task: TaskSpec) -> Prepared | NotPrepared:
    try:
        items = _build(task)
    except SlmbenchError as error:
        return NotPrepared(task=task.task, reason=error.message, hint=error.hint or "")
    except Exception as error:  # noqa: BLE001 - one task's trouble must not lose the others
        traceback.print_exc()
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        return NotPrepared(task=task.task, reason=reason, hint="see `slmbench doctor`")
    path = items_path(task)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(items.model_dump_json(), "utf-8")
    partial.replace(path)
    return Prepared(task=task.task, path=str(path))


def _build(task: TaskSpec) -> ItemSet:
    """Find the task's data, then let lm-eval's own code build its prompts."""
    from slmbench.tasks.lm_eval_bridge import LocalData, build_items

    wanted = dataset_of(task.task)
    known = by_hub(wanted.path, wanted.config) if wanted is not None else None
    if known is None:  # an own task brings its data; any other is left to lm-eval to load
        return build_items(task, None)
    found = fetch(known.name)
    return build_items(
        task,
        LocalData(
            path=found.path,
            source=found.source,
            sha256=found.sha256,
            licence=found.licence,
            strata=known.strata,
            cluster=known.cluster,
        ),
    )


if __name__ == "__main__":
    main()
