"""What a task's YAML says, read without lm-eval and without running its Python functions."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple, get_args

import yaml

from slmbench.errors import UsageError
from slmbench.requests import Protocol
from slmbench.tasks.index import find_task
from slmbench.tasks.samples import SamplingRule
from slmbench.tasks.texts import JOINER, TextRule

BRIDGE_VERSION = 1
"""Part of every definition's digest: raise it when ids, sampling or requests change."""


ROLES = ("strata", "cluster", "group", "distinct", "labels")
"""What a column can be for: to stratify by, to cluster by, to report by; documents that are
equal in the ``distinct`` one are asked once; what stands in ``labels`` (a text, often JSON)
becomes the item's target, for its scorer."""


class DatasetRef(NamedTuple):
    """The data set that a task's YAML names."""

    path: str
    """Hub repository, or a builder such as ``json``."""
    config: str | None


@dataclass(frozen=True, slots=True)
class TaskDefinition:
    """The parts of a task's YAML that are needed before lm-eval is loaded."""

    name: str
    path: Path
    own: bool
    """Ships with slmbench."""
    python: bool
    """Defined by a Python class, which the bridge does not build."""
    dataset: DatasetRef | None
    data_file: str | None
    """File name of an own task's data, below ``data/`` beside the YAML."""
    output_type: str
    metrics: tuple[str, ...]
    custom_results: bool
    """It judges with a Python function of its own."""
    scorer: str | None
    """``metadata.scorer``: one of our scorers."""
    columns: tuple[tuple[str, str], ...]
    """``metadata`` entries that name columns, see :data:`ROLES`."""
    licence: str
    version: str
    text: TextRule
    """``metadata.protocol``, ``window``, ``joiner`` and ``details`` of a text task."""
    sampling: SamplingRule
    """``metadata.samples``, ``temperature`` and ``logprobs`` of a task answered in words."""

    def column(self, role: str) -> str:
        """Column for a role (``strata``, ``distinct`` …), or an empty string."""
        return dict(self.columns).get(role, "")


def define(name: str) -> TaskDefinition:
    """Read a task's YAML with its includes; UnknownNameError or UsageError."""
    entry = find_task(name)
    raw = _merged(_sources(Path(entry.path)))
    metadata = _mapping(raw.get("metadata"))
    dataset = raw.get("dataset_path")
    config = raw.get("dataset_name")
    return TaskDefinition(
        name=name,
        path=Path(entry.path),
        own=entry.source == "slmbench",
        python="class" in raw,
        dataset=DatasetRef(str(dataset), None if config is None else str(config))
        if dataset
        else None,
        data_file=_data_file(raw) if entry.source == "slmbench" else None,
        output_type=str(raw.get("output_type", "generate_until")),
        metrics=tuple(str(m.get("metric")) for m in raw.get("metric_list") or ()),
        custom_results=raw.get("process_results") is not None,
        scorer=metadata.get("scorer"),
        columns=tuple((role, str(metadata[role])) for role in ROLES if role in metadata),
        licence=str(metadata.get("licence", "")),
        version=str(metadata.get("version", "")),
        text=_text_rule(name, metadata),
        sampling=SamplingRule.of(name, metadata),
    )


def dataset_of(name: str) -> DatasetRef | None:
    """The data set that a task asks for, or None when its YAML names none.

    Own tasks bring their data along: their path is ``json``.
    """
    return define(name).dataset


_OWN_FUNCTION = re.compile(r"^[^#\n]*!function +slmbench\.([\w.]+)\.\w+", re.MULTILINE)

_MAKES_DOCUMENTS = re.compile(
    r"^ *from +slmbench\.(tasks\.(?:orders|published\.\w+)) +import", re.MULTILINE
)
"""Imports of modules that decide what a document says. Others, such as constants of a scorer, are
left out: the item set's own digest shows when they change an item."""


class _Loader(yaml.SafeLoader):
    """Safe loader that keeps ``!function x.y`` as the text ``x.y`` and runs nothing."""


def _as_text(loader: _Loader, _tag: str, node: yaml.Node) -> str:
    return str(loader.construct_scalar(node)) if isinstance(node, yaml.ScalarNode) else ""


_Loader.add_multi_constructor("!", _as_text)


def definition_digest(name: str) -> str:
    """SHA-256 over all that defines a task on this machine, 64 hexadecimal digits.

    Its YAML with includes, the Python files beside them, the modules of slmbench that they name as
    a function with those that make documents with them (:data:`_MAKES_DOCUMENTS`), its own data
    file, lm-eval's version and :data:`BRIDGE_VERSION`. Not the data sets of stock tasks, which the
    item set has a digest of, nor the scorer: stored answers can be scored again.
    """
    task = define(name)
    yamls = [source.path for source in _sources(task.path)]
    files = {*yamls, *(script for path in yamls for script in path.parent.glob("*.py"))}
    files |= {module for path in yamls for module in _own_modules(path)}
    if task.data_file is not None:
        files.add(data_path(task))
    try:
        release = version("lm-eval")
    except PackageNotFoundError:
        release = "none"
    total = hashlib.sha256(f"{name}\0{BRIDGE_VERSION}\0{release}\n".encode())
    for path in sorted(files, key=lambda p: (p.name, str(p))):
        total.update(f"{path.name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def _own_modules(path: Path) -> set[Path]:
    """Files of this package that a task's YAML names as ``!function slmbench.module.function``.

    And those that these import to make documents, read from their text: nothing is run.
    """
    wanted = set(_OWN_FUNCTION.findall(path.read_text("utf-8")))
    found: set[str] = set()
    while wanted:
        found |= wanted
        texts = [_module_file(dotted).read_text("utf-8") for dotted in wanted]
        wanted = {name for text in texts for name in _MAKES_DOCUMENTS.findall(text)} - found
    return {_module_file(dotted) for dotted in found}


def _module_file(dotted: str) -> Path:
    return (Path(__file__).parents[1] / dotted.replace(".", "/")).with_suffix(".py")


def data_path(task: TaskDefinition) -> Path:
    """The data file of one of our own tasks; UsageError when it has none."""
    if task.data_file is None:
        raise UsageError(f"{task.path}: dataset_kwargs.data_files names no file")
    return task.path.parent / "data" / task.data_file


class _Source(NamedTuple):
    path: Path
    raw: dict[str, Any]


def _sources(path: Path, above: tuple[Path, ...] = ()) -> list[_Source]:
    """The file and its includes, those that are overridden first."""
    if path in above:
        raise UsageError(f"{path}: its includes go round in a circle")
    try:
        raw = yaml.load(path.read_text("utf-8"), Loader=_Loader)  # noqa: S506 - a SafeLoader
    except (OSError, yaml.YAMLError) as error:
        raise UsageError(f"{path}: cannot be read as a task: {error}") from error
    if not isinstance(raw, dict):
        raise UsageError(f"{path}: a task is a mapping, found {type(raw).__name__}")
    includes = raw.pop("include", None) or []
    found: list[_Source] = []
    for include in includes if isinstance(includes, list) else [includes]:
        found += _sources((path.parent / include).resolve(), (*above, path))
    return [*found, _Source(path, raw)]


def _merged(sources: list[_Source]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for source in sources:
        merged |= source.raw
    return merged


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text_rule(name: str, metadata: dict[str, Any]) -> TextRule:
    protocol = metadata.get("protocol", "rolling")
    if protocol not in get_args(Protocol):
        raise UsageError(
            f"task {name!r}: metadata.protocol is {protocol!r}",
            hint=f"one of: {', '.join(get_args(Protocol))}",
        )
    joiner = str(metadata.get("joiner", JOINER))
    return TextRule(protocol, metadata.get("window"), joiner, metadata.get("details") is True)


def _data_file(raw: dict[str, Any]) -> str | None:
    files = _mapping(raw.get("dataset_kwargs")).get("data_files")
    first = next(iter(files.values()), None) if isinstance(files, dict) else files
    return Path(str(first)).name if first else None
