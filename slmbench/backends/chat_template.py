"""Chat templates without transformers: the same Jinja settings, for engines that bring none.

Trimmed blocks, loop controls, ``raise_exception``, ``strftime_now`` and a ``tojson`` that leaves
text as it is: what templates are written for
(https://huggingface.co/docs/transformers/chat_templating_writing). Templates come with models, so
they run in Jinja's immutable sandbox.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn

from slmbench.backends.protocol import BackendError
from slmbench.records import Status
from slmbench.requests import ChatMessage


def render_chat(
    template: str, messages: Sequence[ChatMessage], special: Mapping[str, str], *, reply: bool
) -> str:
    """The turns as text; ``special``: ``bos_token`` and the like, by name.

    Raises BackendError: invalid for a template that is none, unsupported where it refuses.
    """
    from jinja2 import TemplateError
    from jinja2.exceptions import SecurityError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = _now
    turns = [{"role": m.role, "content": m.content} for m in messages]
    try:
        return environment.from_string(template).render(
            messages=turns, add_generation_prompt=reply, **special
        )
    except _RefusedError as error:
        raise BackendError(
            Status.UNSUPPORTED, f"the chat template refuses these turns: {error}"
        ) from error
    except (TemplateError, SecurityError) as error:
        raise BackendError(
            Status.INVALID, f"the chat template cannot be rendered: {error}", "use plain prompts"
        ) from error


class _RefusedError(Exception):
    """A template called ``raise_exception``."""


def _refuse(message: str) -> NoReturn:
    raise _RefusedError(message)


def _now(form: str) -> str:
    return datetime.now(UTC).strftime(form)


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)
