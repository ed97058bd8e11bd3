"""Which tasks exist, found without importing lm-eval and listed in milliseconds.

lm-eval's own listing parses every YAML file. Here its task files are scanned once for their
``task:`` line and the result is kept as JSON, keyed by lm-eval's version and place; deleting
the file makes it anew. Not found by the scan: names that lm-eval expands at run time
(``task_list:``) and a task whose name only stands in an included file.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple

from slmbench.errors import MissingEngineError, UnknownNameError
from slmbench.locations import cache_dir, suites_dir

_FORMAT = 1
_TASK = re.compile(
    rb"""^["']?task["']?[ \t]*:[ \t]*["']?([^\s"'#\[\]]+)["']?[ \t]*(?:#.*)?\r?$""", re.M
)
_NOT_A_TASK = re.compile(rb"""^["']?group["']?[ \t]*:""", re.M)
_SKIPPED = {"__pycache__", ".ipynb_checkpoints"}


class TaskEntry(NamedTuple):
    """A task that can be put into a suite."""

    name: str
    folder: str
    """Folder of its file below the task root: lm-eval's own grouping."""
    source: Literal["slmbench", "lm-eval"]
    path: str
    """The YAML file, absolute."""


def list_tasks() -> tuple[TaskEntry, ...]:
    """Our tasks and, where lm-eval is installed, its tasks; sorted by name, ours win."""
    return tuple(entry for _, entry in sorted(_table().items()))


def find_task(name: str) -> TaskEntry:
    """The task of that name.

    Raises:
        MissingEngineError: it is not one of ours and lm-eval is not installed.
        UnknownNameError: no such task; suggests the nearest.
    """
    table = _table()
    if name in table:
        return table[name]
    if find_spec("lm_eval") is None:
        raise MissingEngineError(
            f"task {name!r} is not one of slmbench's own and lm-eval is not installed",
            hint="pip install 'slmbench[tasks]'",
        )
    raise UnknownNameError("task", name, table)


def own_tasks_dir() -> Path:
    """Folder of the tasks that ship with slmbench."""
    return suites_dir() / "tasks"


@lru_cache
def _table() -> dict[str, TaskEntry]:
    stock = {name: _stock(root, name, rel) for root, name, rel in _lm_eval_tasks()}
    own = {
        name: TaskEntry(name, "", "slmbench", str(own_tasks_dir() / rel))
        for name, rel in _scan(own_tasks_dir())
    }
    return stock | own


def _stock(root: str, name: str, relative: str) -> TaskEntry:
    return TaskEntry(name, relative.rpartition("/")[0], "lm-eval", f"{root}/{relative}")


def _lm_eval_tasks() -> Iterator[tuple[str, str, str]]:
    """(root, name, path below root) of each task of the installed lm-eval; none if absent."""
    spec = find_spec("lm_eval")
    if spec is None or not spec.submodule_search_locations:
        return
    root = Path(next(iter(spec.submodule_search_locations))) / "tasks"
    for name, relative in _indexed(root):
        yield str(root), name, relative


def _indexed(root: Path) -> list[tuple[str, str]]:
    try:
        release = version("lm-eval")
    except PackageNotFoundError:
        release = "unknown"
    place = hashlib.sha256(str(root).encode()).hexdigest()[:8]
    file = cache_dir("index") / f"lm-eval-{release}-{place}-v{_FORMAT}.json"
    try:
        return [(str(name), str(path)) for name, path in json.loads(file.read_bytes())]
    except (OSError, ValueError, TypeError):
        pass  # absent or damaged: make it
    found = list(_scan(root))
    _keep(file, found)
    return found


def _keep(file: Path, found: list[tuple[str, str]]) -> None:
    """Write then rename; a cache that cannot be written costs time, never the listing."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=file.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as sink:
            json.dump(found, sink)
        Path(part).replace(file)
    except OSError:
        return


def _scan(root: Path) -> Iterator[tuple[str, str]]:
    """(name, path below root) of each YAML file with a ``task:`` name; the first one wins."""
    seen: set[str] = set()
    for path in sorted(_yaml_files(str(root))):
        text = Path(path).read_bytes()
        match = _TASK.search(text)
        if match is None or _NOT_A_TASK.search(text):
            continue
        name = match.group(1).decode("utf-8", "replace")
        if name not in seen:
            seen.add(name)
            yield name, path[len(str(root)) + 1 :]


def _yaml_files(folder: str) -> Iterator[str]:
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    for item in entries:
        if item.is_dir():
            if item.name not in _SKIPPED:
                yield from _yaml_files(item.path)
        elif item.name.endswith(".yaml"):
            yield item.path
