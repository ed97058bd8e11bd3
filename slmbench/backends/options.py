"""Engine options of a target, validated by the backend's own model."""

from __future__ import annotations

from typing import TypeVar

from pydantic import ValidationError

from slmbench.backends.protocol import BackendError
from slmbench.errors import suggest
from slmbench.records import Status
from slmbench.spec import Target
from slmbench.spec.base import Frozen

Options = TypeVar("Options", bound=Frozen)


def read_options(model: type[Options], target: Target) -> Options:
    """The target's options as ``model``; BackendError (invalid) names every bad one.

    The hint suggests the nearest known option, or lists them all.
    """
    try:
        return model(**target.options)
    except ValidationError as error:
        known = sorted(model.model_fields)
        problems, hints = [], []
        for detail in error.errors():
            name = ".".join(str(part) for part in detail["loc"]) or "options"
            if detail["type"] == "extra_forbidden":
                problems.append(f"unknown option {name!r}")
                near = suggest(name, known)
                hints.append(f"did you mean {near}?" if near else f"known: {', '.join(known)}")
            else:
                problems.append(f"option {name!r}: {detail['msg']}, found {detail['input']!r}")
        place = f"target {target.name!r}, backend {target.backend!r}"
        reason = f"{place}: {'; '.join(problems)}"
        raise BackendError(Status.INVALID, reason, "; ".join(hints)) from error
