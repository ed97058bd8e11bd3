"""The one base of every model that crosses a file or a pipe, and its digest."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    StringConstraints,
    model_serializer,
)

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,79}$")]
"""A name that is safe as a folder, an HTML id and a shell word."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 digest, 64 lower-case hexadecimal digits."""


CHILD = "SLMBENCH_CHILD"
"""Environment variable of our own child processes. They make no schema, hence need no docstring of
a field, and reading those off the source takes a sixth of a worker's start."""


class Frozen(BaseModel):
    """Immutable, refuses unknown fields and NaN, and documents each field by its docstring."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=not os.environ.get(CHILD),
        allow_inf_nan=False,
        protected_namespaces=(),
        defer_build=True,
    )


class Grown(Frozen):
    """A model that got fields after its first version.

    A field named in ``later`` is left out of the JSON while it holds its default, so that what
    was digested before the field existed keeps its digest.
    """

    later: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _lean(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = write(self)
        for name in self.later:
            if getattr(self, name) == type(self).model_fields[name].default:
                data.pop(name, None)
        return data


class PlacedError(ValueError):
    """Several problems found by one validator, each with its path below the validated model."""

    def __init__(self, problems: Sequence[tuple[tuple[str | int, ...], str]]) -> None:
        super().__init__("; ".join(message for _, message in problems))
        self.problems = tuple(problems)


def canonical_json(model: BaseModel) -> str:
    """One spelling for one value: sorted keys, no spaces, UTF-8, no NaN."""
    return json.dumps(
        model.model_dump(mode="json"),
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    )


def digest_of(model: BaseModel) -> str:
    """SHA-256 of :func:`canonical_json`, 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(model).encode()).hexdigest()
