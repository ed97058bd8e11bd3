"""A second model in llama.cpp that proposes tokens to the first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from slmbench.backends.llama_decode import LlamaReader
from slmbench.backends.llama_session import LlamaModel, LlamaSession, SessionSettings
from slmbench.backends.protocol import BackendError
from slmbench.backends.speculative import other_vocabulary
from slmbench.records import Status


class LlamaDraft:
    """The draft's weights and cells; threads and types of the cache are the target's."""

    def __init__(
        self, path: Path, name: str, target: LlamaModel, settings: SessionSettings
    ) -> None:
        """Load it; BackendError: invalid (damaged, another vocabulary), oom, unsupported."""
        gpu = 0 if settings.gpu else None
        model = LlamaModel(path, gpu=gpu, extra_bufts=target.extra_bufts)
        try:
            for one in (target, model):
                _check_undoes(one)
            _check_vocabulary(name, model, target)
            self.kv_bytes = model.kv_bytes_per_token(settings.kv_type)
            """Keys and values of one token [bytes]."""
            self._session = LlamaSession(model, replace(settings, sequences=1))
        except BackendError:
            model.close()
            raise
        self._model = model
        self.reader = LlamaReader(self._session, min(settings.context, model.context_train))

    def close(self) -> None:
        """Free cells and weights."""
        self._session.close()
        self._model.close()


def _check_undoes(model: LlamaModel) -> None:
    why = "the model keeps a running state" if model.stateful else ""
    if model.window:
        why = f"some layers have a sliding window of {model.window} tokens"
    if why:
        raise BackendError(
            Status.UNSUPPORTED,
            f"speculative decoding: {why}, so refused tokens cannot be undone",
            "leave the target's draft out",
        )


def _check_vocabulary(name: str, draft: LlamaModel, target: LlamaModel) -> None:
    """BackendError (invalid) unless every token is the same text to both."""
    if draft.vocab_size != target.vocab_size:
        raise other_vocabulary(name, f"{draft.vocab_size} tokens instead of {target.vocab_size}")
    for token in range(target.vocab_size):
        mine, theirs = draft.piece(token), target.piece(token)
        if mine != theirs:
            raise other_vocabulary(name, f"token {token} is {mine!r} instead of {theirs!r}")
