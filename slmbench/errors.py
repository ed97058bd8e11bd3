"""Every error that slmbench raises on purpose, its exit code, and where it belongs.

::

    SlmbenchError                  1    something is wrong inside slmbench
    ├── UsageError                 2    a flag, a name or a file that cannot be used
    │   ├── SpecError              2    problems in a YAML file or an override, all at once
    │   ├── UnknownNameError       2    no such suite, task, backend, metric …
    │   └── IncomparableRunsError  2    results that differ in more than what is varied
    ├── GateError                  4    a trust gate did not pass
    ├── PrerequisiteError          5    something that must be installed or fetched first
    │   ├── MissingEngineError     5    an inference engine or extra is not installed
    │   ├── MissingDataError       5    no source has this data set
    │   ├── ArtefactError          5    a model artefact is missing, damaged or not the one named
    │   │   └── UnsupportedModelError 5    whole, but of a kind that a technique does not know
    │   ├── DiskSpaceError         5    no room to write
    │   └── OutOfMemoryError       5    an allocation failed
    └── InterruptedRunError      130    Ctrl-C: what was done is saved

Exit codes 3 ("some cells failed") and 6 ("no gate failed, but one could not be decided") are
outcomes and have no exception: a cell that fails is a result with a
:class:`slmbench.records.Status`, and an undecided gate is a finding.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_SHOWN = 20
"""Known names that an error lists at most."""


class SlmbenchError(Exception):
    """Base of all errors raised on purpose; ``hint`` is the next step for the reader."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class UsageError(SlmbenchError):
    """The request itself cannot be carried out as it was written."""

    exit_code = 2


class SpecError(UsageError):
    """One or more problems in a spec file, each already formatted as ``place: cause``."""

    def __init__(self, problems: Iterable[str], *, hint: str | None = None) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems), hint=hint)


class UnknownNameError(UsageError):
    """A name that no table holds; suggests the nearest ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name = kind, name
        known = sorted(known)
        near = suggest(name, known)
        more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
        listed = f"known: {', '.join(known[:_SHOWN]) or 'none'}{more}"
        hint = f"did you mean {near}?" if near else listed
        super().__init__(f"unknown {kind} {name!r}", hint=hint)


class IncomparableRunsError(UsageError):
    """Two results that must not be compared; ``field`` names what differs."""

    def __init__(self, field: str, left: object, right: object) -> None:
        self.field = field
        super().__init__(
            f"these runs differ in {field}: {left!r} and {right!r}",
            hint=f"compare like with like, or declare it: vary={field!r}",
        )


class GateError(SlmbenchError):
    """A gate test failed: numbers of this kind are not publishable."""

    exit_code = 4


class PrerequisiteError(SlmbenchError):
    """Something outside slmbench is needed first; printed without a traceback."""

    exit_code = 5


class MissingEngineError(PrerequisiteError):
    """An optional package is not installed."""


class MissingDataError(PrerequisiteError):
    """A data set that none of the tried sources holds."""


class ArtefactError(PrerequisiteError):
    """A model artefact that is absent, truncated, corrupt, or has another digest."""


class UnsupportedModelError(ArtefactError):
    """A whole artefact of a kind (architecture, tokenizer) that this technique does not know."""


class DiskSpaceError(PrerequisiteError):
    """Writing failed for want of space; nothing that was finished is lost."""


class OutOfMemoryError(PrerequisiteError):
    """An allocation failed: there is less memory than was asked for."""


class InterruptedRunError(SlmbenchError):
    """The user stopped the run; finished cells are sealed, the rest resumes."""

    exit_code = 130


def suggest(name: str, known: Iterable[str]) -> str | None:
    """The nearest known name, or None when nothing is close (difflib ratio ≥ 0.6).

    >>> suggest("helaswag", ["hellaswag", "piqa"])
    'hellaswag'
    """
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return near[0] if near else None
