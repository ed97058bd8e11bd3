"""llama.cpp through the low-level functions of llama-cpp-python.

Logits are asked for at scored positions only; requests that share a context evaluate it once
and fork its KV cells by sequence id, which copies nothing.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns
from typing import ClassVar, Literal

import numpy as np
from llama_cpp.llama_chat_format import Jinja2ChatFormatter
from pydantic import Field

from slmbench.backends import CAPABILITIES
from slmbench.backends.llama_session import (
    Cell,
    LlamaModel,
    LlamaSession,
    Logits,
    SessionSettings,
    engine_version,
    extra_bufts_safe,
    gpu_offload,
)
from slmbench.backends.options import read_options
from slmbench.backends.protocol import BackendError, Capabilities, LoadJob
from slmbench.backends.text import PROBE, Ids, LocalBackend, Step, TokenScore
from slmbench.records import ModelInfo, Status
from slmbench.requests import ChatMessage
from slmbench.spec import Target
from slmbench.spec.base import Frozen


class LlamaCppOptions(Frozen):
    """Options of the llama_cpp backend."""

    use_extra_bufts: bool | None = None
    """Repack weights for the processor; null: unless that would run AMX code, which dies of
    SIGILL in many VMs."""
    kv_type: Literal["f16", "f32"] = "f16"
    """Type of cached keys and values."""
    flash_attn: Literal["auto", "off", "on"] = "off"
    """Fused attention; ``off`` is llama-cpp-python's own default. On float32 weights with
    kv_type f32 it stays within 1e-3 nats of transformers; the fused kernel sums in 16 bits."""
    batch: int = Field(default=512, ge=1)
    """Most tokens of one decode call."""
    max_sequences: int = Field(default=32, ge=2, le=64)
    """Most prompts of a batch; at least 2, because scoring forks the shared context."""
    share_prefix: bool = True
    """Evaluate a shared context once; false scores each continuation from scratch."""


@dataclass(slots=True)
class _Tally:
    """Running score of one continuation."""

    logprob: float = 0.0
    greedy: bool = True

    def add(self, row: Logits, token: int) -> None:
        """Add log softmax(row)[token], computed with a float64 sum."""
        top = row.max()
        with np.errstate(all="ignore"):
            norm = float(top) + float(np.log(np.exp(row - top).sum(dtype=np.float64)))
        self.logprob += float(row[token]) - norm
        self.greedy = self.greedy and int(row.argmax()) == token

    def score(self) -> TokenScore:
        finite = bool(np.isfinite(self.logprob))
        return TokenScore(self.logprob if finite else None, self.greedy and finite)


class LlamaCppBackend(LocalBackend):
    """One GGUF file in llama.cpp."""

    capabilities: ClassVar[Capabilities] = CAPABILITIES["llama_cpp"]

    def __init__(self) -> None:
        self._options = LlamaCppOptions()
        self._loaded: tuple[LlamaModel, LlamaSession] | None = None

    def load(self, job: LoadJob) -> ModelInfo:
        """Load a GGUF file; BackendError: invalid (damaged), oom, unsupported (no GPU build)."""
        self._options = options = read_options(LlamaCppOptions, job.target)
        gpu = _gpu_number(job.target)
        _check_file(job.path)
        extra = options.use_extra_bufts
        extra = extra_bufts_safe() if extra is None else extra
        model = LlamaModel(job.path, gpu=gpu, extra_bufts=extra)
        settings = SessionSettings(
            context=job.target.context,
            threads=job.target.threads or len(os.sched_getaffinity(0)),
            batch=options.batch,
            sequences=options.max_sequences,
            kv_type=options.kv_type,
            flash_attn=options.flash_attn,
            gpu=gpu is not None,
        )
        try:
            self._loaded = model, LlamaSession(model, settings)
        except BackendError:
            model.close()
            raise
        return ModelInfo(
            artefact_sha256=job.artefact_sha256,
            artefact_bytes=job.path.stat().st_size,
            weight_bytes=model.weight_bytes,
            parameters=model.parameters,
            bits_per_weight=8 * model.weight_bytes / model.parameters,
            layers=model.layers,
            hidden_size=model.hidden_size,
            vocab_size=model.vocab_size,
            context_train=model.context_train,
            kv_bytes_per_token=model.kv_bytes_per_token(options.kv_type),
            adds_bos=model.adds_bos,
            first_ids=self.encode(PROBE, special=True)[:8],
            engine_version=f"{engine_version()}{'' if extra else ', extra buffer types off'}",
        )

    def encode(self, text: str, *, special: bool) -> Ids:
        """Token ids of the file's own tokenizer."""
        return self._model.encode(text, special=special)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of the ids, special tokens left out."""
        return self._model.decode(ids)

    def vocab_size(self) -> int:
        """Number of tokens, special ones included."""
        return self._model.vocab_size

    def close(self) -> None:
        """Free context and weights; may be called again."""
        if self._loaded:
            model, session = self._loaded
            self._loaded = None
            session.close()
            model.close()

    @property
    def _model(self) -> LlamaModel:
        return self._require()[0]

    @property
    def _session(self) -> LlamaSession:
        return self._require()[1]

    def _require(self) -> tuple[LlamaModel, LlamaSession]:
        if self._loaded is None:
            raise BackendError(Status.INVALID, "no model is loaded", "call load() first")
        return self._loaded

    def _prefix(self) -> tuple[int, str]:
        token = self._model.bos if self._model.bos >= 0 else self._model.eos
        return token, self._model.decode([token], special=True)

    def _render(self, messages: Sequence[ChatMessage], *, reply: bool) -> str:
        template = self._model.chat_template()
        if template is None:
            raise BackendError(
                Status.UNSUPPORTED,
                "this GGUF has no chat template",
                "use plain prompts, or a file with tokenizer.chat_template",
            )
        special = [
            self._model.decode([token], special=True) if token >= 0 else ""
            for token in (self._model.eos, self._model.bos)
        ]
        formatter = Jinja2ChatFormatter(template, *special, add_generation_prompt=reply)
        turns = [{"role": m.role, "content": m.content} for m in messages]
        return str(formatter(messages=turns).prompt)

    def _is_end(self, token: int) -> bool:
        return self._model.is_end(token)

    def _limit(self) -> int:
        return min(self._session.settings.context, self._model.context_train)

    def _score(self, context: Ids, continuations: Sequence[Ids]) -> Sequence[TokenScore]:
        if self._model.stateful or not self._options.share_prefix:
            return [self._score_alone(context, tokens) for tokens in continuations]
        tallies = [_Tally() for _ in continuations]
        self._session.clear()
        last = len(context) - 1
        cells = [Cell(token, at, 0, at == last) for at, token in enumerate(context)]
        for _, row in self._session.feed(cells):
            for tally, tokens in zip(tallies, continuations, strict=True):
                tally.add(row, tokens[0])
        for tally, tokens in zip(tallies, continuations, strict=True):
            self._score_rest(len(context), tally, tokens)
        return [tally.score() for tally in tallies]

    def _score_alone(self, context: Ids, tokens: Ids) -> TokenScore:
        """The plain way: context and continuation in one sequence."""
        self._session.clear()
        first = len(context) - 1
        fed = context + tokens[:-1]
        cells = [Cell(token, at, 0, at >= first) for at, token in enumerate(fed)]
        tally = _Tally()
        for index, row in self._session.feed(cells):
            tally.add(row, tokens[index - first])
        return tally.score()

    def _score_rest(self, start: int, tally: _Tally, tokens: Ids) -> None:
        """Score all but the first token of a continuation, in a fork of sequence 0.

        One continuation at a time, on purpose: with quantized weights the kernels round
        activations, and which kernel runs depends on the batch. Scoring the choices of an item
        in one batch moved sums of about 30 tokens by up to 1.7 nats against scoring them one by
        one (Q4_1, processor with AVX512); this way the answer is the same to the last bit.
        """
        if len(tokens) == 1:
            return
        self._session.fork(0, 1)
        cells = [Cell(token, start + at, 1, True) for at, token in enumerate(tokens[:-1])]
        for index, row in self._session.feed(cells):
            tally.add(row, tokens[index + 1])
        self._session.drop(1)

    def _steps(self, prompts: Sequence[Ids]) -> Generator[Step, None, None]:
        if len(prompts) > self._session.settings.sequences:
            raise BackendError(
                Status.UNSUPPORTED,
                f"a batch of {len(prompts)} exceeds max_sequences",
                f"set the target's option max_sequences to {len(prompts)} or more (at most 64)",
            )
        self._session.clear()
        cells = [
            Cell(token, at, row, at == len(prompt) - 1)
            for row, prompt in enumerate(prompts)
            for at, token in enumerate(prompt)
        ]
        positions = [len(prompt) for prompt in prompts]
        evaluated = tuple(positions)
        while True:
            ids, finite = self._pick(cells)
            yield Step(ids, perf_counter_ns(), finite, evaluated)
            evaluated = ()
            cells = [Cell(token, positions[row], row, True) for row, token in enumerate(ids)]
            positions = [position + 1 for position in positions]

    def _pick(self, cells: Sequence[Cell]) -> tuple[Ids, bool]:
        """Arg max after the cells, one per sequence (cells are in order of sequence)."""
        ids, finite = [], True
        for _, row in self._session.feed(cells):
            token = int(row.argmax())  # NaN is the largest for argmax
            ids.append(token)
            finite = finite and bool(np.isfinite(row[token]))
        return tuple(ids), finite


def _gpu_number(target: Target) -> int | None:
    """GPU to use, None for the CPU; BackendError when this build or setting cannot do it."""
    if target.dtype != "auto":
        raise BackendError(
            Status.UNSUPPORTED,
            f"target {target.name!r}: llama.cpp computes in the file's own types",
            "set dtype: auto, or convert the GGUF",
        )
    kind, _, number = target.device.partition(":")
    if kind == "cpu":
        return None
    if kind != "cuda" or not (number or "0").isdigit():
        raise BackendError(Status.UNSUPPORTED, f"device {target.device!r}", "use cpu or cuda")
    if not gpu_offload():
        raise BackendError(
            Status.UNSUPPORTED,
            "this build of llama-cpp-python has no GPU support",
            "build it with CMAKE_ARGS=-DGGML_CUDA=on, or set device: cpu",
        )
    return int(number or 0)


def _check_file(path: Path) -> None:
    """A readable file that begins like a GGUF."""
    if not path.is_file():
        raise BackendError(Status.INVALID, f"{path}: not a file", "llama_cpp loads one .gguf file")
    with path.open("rb") as file:
        magic = file.read(4)
    if magic != b"GGUF":
        raise BackendError(
            Status.INVALID,
            f"{path.name}: not a GGUF file (it begins with {magic!r}, not b'GGUF')",
            "the download may be incomplete or an error page: fetch it again",
        )
