"""lm-eval's ``LM`` over any backend, so that its own evaluator runs every task on it.

>>> lm_eval.simple_evaluate(model=BackendLM(backend, "q8", sha256), tasks=["arc_easy"])
... # doctest: +SKIP

An answer that failed raises instead of being scored 0. lm-eval's response cache is refused: its
keys hold no model, so one model would be handed another's answers. Importing imports lm-eval.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM

from slmbench.errors import SlmbenchError, UsageError
from slmbench.requests import (
    ChatMessage,
    GenerateOutput,
    GenerateRequest,
    LoglikelihoodOutput,
    LoglikelihoodRequest,
    Prompt,
    RollingRequest,
)

_CHAT = "\0slmbench-chat\0"
"""Starts a context that stands for chat turns; no task text holds a NUL."""
_MAX_GEN_TOKS = 256


class Answers(Protocol):
    """The part of :class:`slmbench.backends.protocol.Backend` that is used here."""

    def loglikelihood(
        self, requests: Sequence[LoglikelihoodRequest | RollingRequest]
    ) -> Iterator[LoglikelihoodOutput]:
        """One output per request, in order."""

    def generate(self, request: GenerateRequest) -> GenerateOutput:
        """Greedy decoding."""


class BackendLM(LM):  # type: ignore[misc] # lm-eval has no types
    """A loaded backend in the shape that lm-eval's evaluator calls.

    Args:
        backend: a loaded backend.
        name: for people.
        artefact_sha256: content digest of the model; part of ``tokenizer_name``.
    """

    def __init__(self, backend: Answers, name: str, artefact_sha256: str) -> None:
        super().__init__()
        self._backend = backend
        self._name = f"{name}-{artefact_sha256}"

    @property
    def tokenizer_name(self) -> str:
        """Keys lm-eval's cache of rendered requests; holds the model's content digest."""
        return self._name

    def set_cache_hook(self, cache_hook: Any) -> None:
        """Refuse lm-eval's response cache (``use_cache``)."""
        if cache_hook.dbdict is not None:
            raise UsageError(
                "lm-eval's response cache does not know which model answered",
                hint="leave out use_cache; slmbench keeps answers per model digest itself",
            )
        super().set_cache_hook(cache_hook)

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """Pack the turns into a string; they reach the backend as turns."""
        if not add_generation_prompt:
            raise UsageError("starting the model's answer through a chat template is not supported")
        return _CHAT + json.dumps(chat_history)

    def loglikelihood(
        self, requests: list[Instance], disable_tqdm: bool = True
    ) -> list[tuple[float, bool]]:
        """(log-likelihood [nats], greedy) per request; the backend shares what they share."""
        answers: list[tuple[float, bool]] = []
        ours = [
            LoglikelihoodRequest(context=_prompt(i.args[0]), continuation=i.args[1])
            for i in requests
        ]
        for request, output in zip(ours, self._backend.loglikelihood(ours), strict=True):
            if output.greedy is None:
                raise SlmbenchError("the backend does not say what greedy decoding would do")
            answers.append((_logprob(output, request.continuation), output.greedy))
        return answers

    def loglikelihood_rolling(
        self, requests: list[Instance], disable_tqdm: bool = True
    ) -> list[float]:
        """Log-likelihood of each text, every token scored once [nats]."""
        texts = [RollingRequest(text=i.args[0]) for i in requests]
        outputs = self._backend.loglikelihood(texts)
        return [_logprob(out, text.text) for text, out in zip(texts, outputs, strict=True)]

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = True) -> list[str]:
        """Greedy continuations, cut at the stop sequences."""
        return [self._generated(*instance.args) for instance in requests]

    def _generated(self, context: str, options: Mapping[str, Any]) -> str:
        if options.get("do_sample") and float(options.get("temperature", 1.0)) > 0:
            raise UsageError("the task samples its answers; slmbench decodes greedily")
        until = options.get("until") or ()
        output = self._backend.generate(
            GenerateRequest(
                prompt=_prompt(context),
                max_tokens=int(options.get("max_gen_toks", _MAX_GEN_TOKS)),
                stop=(until,) if isinstance(until, str) else tuple(until),
            )
        )
        if output.failure is not None:
            raise SlmbenchError(f"generation failed ({output.failure}) after {context[-80:]!r}")
        return output.text


def _prompt(context: str) -> Prompt:
    if not context.startswith(_CHAT):
        return context
    return tuple(ChatMessage.model_validate(m) for m in json.loads(context.removeprefix(_CHAT)))


def _logprob(output: LoglikelihoodOutput, text: str) -> float:
    if output.failure is not None or output.logprob is None:
        why = output.failure or "no log-likelihood"
        raise SlmbenchError(f"scoring failed ({why}) for {text[:80]!r}")
    return output.logprob
