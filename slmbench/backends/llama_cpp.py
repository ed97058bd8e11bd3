"""llama.cpp through the low-level functions of llama-cpp-python.

Logits are asked for at scored positions only; what requests have in common is evaluated once:
its KV cells carry the ids of all sequences that begin with it, which copies nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from llama_cpp.llama_chat_format import Jinja2ChatFormatter
from pydantic import Field

from slmbench.backends import CAPABILITIES
from slmbench.backends.decoding import Room
from slmbench.backends.llama_decode import LlamaDecoder, LlamaReader
from slmbench.backends.llama_draft import LlamaDraft
from slmbench.backends.llama_generate import LlamaBatch
from slmbench.backends.llama_packed import MAX_OUTPUTS, PackedScorer, Tally, log_softmax
from slmbench.backends.llama_session import (
    Cell,
    Flash,
    KvType,
    LlamaModel,
    LlamaSession,
    Logits,
    SessionSettings,
    engine_version,
    extra_bufts_safe,
    gpu_offload,
)
from slmbench.backends.llama_weights import model_info
from slmbench.backends.options import read_options
from slmbench.backends.probe import agreement, probe_packs
from slmbench.backends.protocol import BackendError, Capabilities, LoadJob, Sharing
from slmbench.backends.speculative import DRAFTED, SpeculativeDecoder, one_row, with_draft
from slmbench.backends.steps import Decoder
from slmbench.backends.text import PROBE, LocalBackend
from slmbench.backends.units import TokenScore
from slmbench.prefix_tree import Ids, Pack, Pair
from slmbench.records import ModelInfo, Status
from slmbench.requests import ChatMessage
from slmbench.spec import Target
from slmbench.spec.base import Frozen

if TYPE_CHECKING:
    from slmbench.backends.protocol import LogprobMatrix


class LlamaCppOptions(Frozen):
    """Options of the llama_cpp backend."""

    use_extra_bufts: bool | None = None
    """Repack weights for the processor; null: unless that would run AMX code, which dies of
    SIGILL in many VMs."""
    kv_type: KvType = "f16"
    """Type of cached keys and values. Quantized ones (8.5 and 4.5 bits a value) need fused
    attention, which is switched on for them."""
    flash_attn: Flash | None = None
    """Fused attention; null: ``off``, llama-cpp-python's own default, but where log-likelihoods
    are scored in packs over 16-bit keys and values, ``auto``: it is a third faster there, and as
    far from float32 as the other kernel on such a cache (0.004 nats a HellaSwag ending). On
    float32 weights with kv_type f32 ``off`` stays within 1e-3 nats of transformers."""
    batch: int = Field(default=512, ge=1)
    """Most tokens that are evaluated at a time."""
    max_sequences: int = Field(default=32, ge=1, le=64)
    """Most prompts of a batch."""
    generate_batch: int = Field(default=16, ge=1, le=64)
    """Most answers of a quality task that are written at a time (fewer than max_sequences);
    1: each alone. Workloads that are timed take no notice of it."""
    draft: str | None = None
    """Variant that proposes tokens (speculative decoding); of the same models file."""
    draft_tokens: int = Field(default=4, ge=1, le=32)
    """Most tokens that it proposes at a time."""


_SEQUENCES = 64
"""Of the session that scores: one holds the preamble, the others a pair each."""


class LlamaCppBackend(LocalBackend):
    """One GGUF file in llama.cpp."""

    capabilities: ClassVar[Capabilities] = CAPABILITIES["llama_cpp"]

    def __init__(self) -> None:
        self._options = LlamaCppOptions()
        self._loaded: tuple[LlamaModel, LlamaSession] | None = None
        self._draft: LlamaDraft | None = None
        self._scorer: PackedScorer | None = None
        self._verdict: Sharing | None = None

    def load(self, job: LoadJob) -> ModelInfo:
        """Load a GGUF file; BackendError: invalid (damaged), oom, unsupported (no GPU build)."""
        self._options = options = read_options(LlamaCppOptions, job.target)
        self._scorer = self._verdict = self._batching = None
        self._budget, self._most = options.batch, _SEQUENCES - 1
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
            flash_attn=_flash(options),
            gpu=gpu is not None,
        )
        try:
            kv_bytes = model.kv_bytes_per_token(options.kv_type)
            self._loaded = model, LlamaSession(model, settings)
        except BackendError:
            model.close()
            raise
        engine = f"{engine_version()}{'' if extra else ', extra buffer types off'}"
        info = model_info(job, model, kv_bytes, engine)
        info = info.model_copy(update={"first_ids": self.encode(PROBE, special=True)[:8]})
        if job.draft is not None:
            _check_file(job.draft)
            self._draft = LlamaDraft(job.draft, str(options.draft), model, settings)
            info = with_draft(info, self._draft.kv_bytes)
        return info

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
        if self._scorer is not None:
            self._scorer.close()
            self._scorer = None
        if self._draft is not None:
            self._draft.close()
            self._draft = None
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

    def sharing(self) -> Sharing:
        """Whether packs of prefix trees give this model's own numbers, tried on a probe."""
        if self._verdict is None:
            self._verdict = self._try_packs()
        return self._verdict

    def _try_packs(self) -> Sharing:
        model, session = self._require()
        if model.stateful:
            return Sharing(False, "the model keeps a running state besides keys and values")
        if model.window:
            return Sharing(False, f"some layers have a sliding window of {model.window} tokens")
        outputs = min(session.settings.batch, MAX_OUTPUTS)
        cells = session.settings.context + self._budget  # a preamble and a pack
        plain = _flash(self._options)
        fused: Flash = "auto" if self._options.kv_type == "f16" else plain
        settings = replace(
            session.settings,
            context=cells,
            sequences=_SEQUENCES,
            outputs=outputs,
            flash_attn=self._options.flash_attn or fused,
        )
        self._scorer = PackedScorer(LlamaSession(model, settings))
        packs = probe_packs(self._encode_text(PROBE), self._limit())
        pairs = [pair for pack in packs for pair in pack.pairs()]
        alone = [self._score_alone(pair) for pair in pairs]
        packed = [score for pack in packs for score in self._scorer.score(pack)]
        return agreement(pairs, alone, packed, full=False)

    def _score_pack(self, pack: Pack) -> Sequence[TokenScore]:
        assert self._scorer is not None, "sharing() comes first"
        if not self._scorer.holds(pack):  # very many or long choices of one context
            return [self._score_alone(pair) for pair in pack.pairs()]
        return self._scorer.score(pack)

    def _score_alone(self, pair: Pair) -> TokenScore:
        """The plain way: context and continuation in one sequence."""
        first = len(pair.context) - 1
        tally = Tally(self._session.settings.threads)
        for wanted, rows in self._alone(pair.fed, first):
            tally.add(rows, [(at, pair.continuation[cell - first])
                             for at, cell in enumerate(wanted)])  # fmt: skip
        return TokenScore.of(tally.logprobs, tally.greedy)

    def _logprob_parts(self, ids: Ids, first: int) -> Iterator[LogprobMatrix]:
        """Float32 log-softmax after each token from number ``first - 1`` on, some at a time."""
        return (log_softmax(rows) for _, rows in self._alone(ids[:-1], first - 1))

    def _room(self) -> Room:
        model, settings = self._model, self._session.settings
        rows = min(self._options.generate_batch, settings.sequences - 1)  # one for a preamble
        reason = ""
        if model.stateful:
            reason = "the model keeps a running state besides keys and values"
        elif model.window:
            reason = f"some layers have a sliding window of {model.window} tokens"
        elif self._draft is not None:
            reason = DRAFTED
        elif rows < 2:
            reason = "asked for by the target's options"
        return Room(1 if reason else rows, settings.context, reason)

    def _open_batch(self, *, many: bool) -> LlamaBatch:
        return LlamaBatch(self._session)

    def _is_full(self) -> bool:
        return self._model.metadata("general.file_type") == "0"

    def _alone(self, fed: Ids, first: int) -> Iterator[tuple[list[int], Logits]]:
        """Logits after each token from number ``first`` on, from a cold cache."""
        self._session.clear()
        return self._session.feed([Cell(t, at, (0,), at >= first) for at, t in enumerate(fed)])

    def _tokens_within(self, text: str, whole: Ids, before: Ids, characters: int) -> int:
        pieces = [self._model.piece(token) for token in whole]
        if b"".join(pieces) != text.encode():  # a tokenizer that changes the text
            return super()._tokens_within(text, whole, before, characters)
        room, found = len(text[:characters].encode()), 0
        for piece in pieces:
            room -= len(piece)
            if room < 0:
                break
            found += 1
        return found

    def _decoder(self, rows: int) -> Decoder:
        if self._draft is not None:
            one_row(rows)
            target = LlamaReader(self._session, self._limit())
            return SpeculativeDecoder(target, self._draft.reader, self._options.draft_tokens)
        if rows > self._session.settings.sequences:
            raise BackendError(
                Status.UNSUPPORTED,
                f"a batch of {rows} exceeds max_sequences",
                f"set the target's option max_sequences to {rows} or more (at most 64)",
            )
        return LlamaDecoder(self._session, rows)


def _flash(options: LlamaCppOptions) -> Flash:
    """Whether attention is fused in the session that everything but packs runs in."""
    quantized = options.kv_type in ("q8_0", "q4_0")
    if quantized and options.flash_attn == "off":
        raise BackendError(
            Status.UNSUPPORTED,
            f"kv_type {options.kv_type} needs fused attention, which flash_attn: off forbids",
            "leave flash_attn out, or set kv_type: f16",
        )
    return options.flash_attn or ("on" if quantized else "off")


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
