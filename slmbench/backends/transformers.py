"""Hugging Face transformers on a CPU or a CUDA device, with the same code.

Safetensors only, no code from the model folder, nothing fetched. Decoding is a loop of our own,
because ``generate()`` hides when a token became known.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
import transformers
from pydantic import Field
from transformers.cache_utils import DynamicCache

from slmbench.backends import CAPABILITIES
from slmbench.backends.decoding import Room
from slmbench.backends.hf_folder import FolderSize, check_folder
from slmbench.backends.options import read_options
from slmbench.backends.probe import NUDGE, agreement, probe_packs
from slmbench.backends.protocol import BackendError, Batching, Capabilities, LoadJob, Sharing
from slmbench.backends.speculative import DRAFTED, SpeculativeDecoder, one_row, with_draft
from slmbench.backends.steps import Decoder
from slmbench.backends.text import PROBE, LocalBackend
from slmbench.backends.transformers_attention import UnsupportedAttentionError
from slmbench.backends.transformers_decode import TorchDecoder, TorchReader
from slmbench.backends.transformers_draft import load_draft
from slmbench.backends.transformers_generate import TorchBatch
from slmbench.backends.transformers_kernels import FastKernels, available
from slmbench.backends.transformers_kv import QUANTIZED, quantized_cache
from slmbench.backends.transformers_load import (
    context_train,
    device,
    end_ids,
    endings,
    kv_bytes,
    load_model,
    load_tokenizer,
    plain_cache,
    soft_prompt,
)
from slmbench.backends.transformers_packed import PackedScorer, nudged
from slmbench.backends.transformers_weights import attention_width, weights_read
from slmbench.backends.units import TokenScore
from slmbench.prefix_tree import Ids, Pack, Pair
from slmbench.records import ModelInfo, Status
from slmbench.requests import ChatMessage
from slmbench.spec.base import Frozen

if TYPE_CHECKING:
    from slmbench.backends.protocol import LogprobMatrix

_CELLS = 8192
"""Tokens of all answers that are written together, unless the context is longer."""
_BLOCK = 128
"""Positions whose logits are computed at a time: bounds them to rows × 128 × vocabulary."""


_STATEFUL = "a layer has a sliding window or a running state"


class TransformersOptions(Frozen):
    """Options of the transformers backend."""

    attention: str | None = None
    """``attn_implementation`` of transformers: ``sdpa``, ``eager`` …; null: ``sdpa``, or what a
    model has that knows no other."""
    kv_type: Literal["model", "quantized"] = "model"
    """Cached keys and values in the compute type, or quantized by transformers' own cache, which
    needs optimum-quanto or hqq; what is scored is then scored request by request."""
    kv_bits: int = Field(default=4, ge=1, le=8)
    """Bits of quantized keys and values."""
    pack_tokens: int = Field(default=2048, ge=1)
    """New tokens that are evaluated in one pass when log-likelihoods are scored, about."""
    fast_kernels: bool = True
    """On a CPU, score and write batches of answers with weights laid out for oneDNN where this
    build of PyTorch can: the same precision, up to 2.4 times as fast, a second copy of the weights
    in memory. Answers written alone and the latency, memory and energy workloads always use the
    layers as they are."""
    generate_batch: int = Field(default=32, ge=1, le=256)
    """Most answers of a quality task that are written at a time; 1: each alone. Workloads that
    are timed take no notice of it."""
    draft: str | None = None
    """Variant that proposes tokens (speculative decoding); of the same models file."""
    draft_tokens: int = Field(default=4, ge=1, le=32)
    """Most tokens that it proposes at a time."""


class TransformersBackend(LocalBackend):
    """One model folder in transformers."""

    capabilities: ClassVar[Capabilities] = CAPABILITIES["transformers"]

    def __init__(self) -> None:
        self._options = TransformersOptions()
        self._model: Any = None
        self._draft: TorchReader | None = None
        self._tokenizer: Any = None
        self._device = torch.device("cpu")
        self._ends: frozenset[int] = frozenset()
        self._context = 0
        self._keeps_logits = False
        self._plain_cache = False
        self._quantized: Callable[[], Any] | None = None
        self._odd_cache = ""
        self._soft_prompt: tuple[Ids, str] = ((), "")
        self._scorer: PackedScorer | None = None
        self._kernels: FastKernels | None = None
        self._verdict: Sharing | None = None

    def load(self, job: LoadJob) -> ModelInfo:
        """Load a folder; BackendError: invalid (incomplete, damaged), oom, unsupported."""
        self._options = options = read_options(TransformersOptions, job.target)
        self._device = device(job.target)
        size = check_folder(job.path)
        torch.set_num_threads(job.target.threads or len(os.sched_getaffinity(0)))
        transformers.utils.logging.disable_progress_bar()
        transformers.utils.logging.set_verbosity_error()
        with endings(loading=job.path.name):
            self._tokenizer = load_tokenizer(job.path)
            model = load_model(job.path, job.target.dtype, attention=options.attention)
            self._model = model.to(self._device)
        config = model.config.get_text_config(decoder=True)
        self._soft_prompt = soft_prompt(model, self._tokenizer)
        self._context = min(job.target.context, context_train(config) or job.target.context)
        self._ends = end_ids(model, self._tokenizer)
        self._budget = options.pack_tokens
        self._keeps_logits = "logits_to_keep" in inspect.signature(model.forward).parameters
        self._plain_cache = plain_cache(model)
        self._odd_cache = "" if self._plain_cache else _STATEFUL
        self._quantized = None
        if options.kv_type == "quantized":
            self._quantized = self._quantize_cache(config)
        self._scorer = self._kernels = self._verdict = self._batching = self._draft = None
        info = self._info(job, size, config)
        if job.draft is not None:
            with endings(loading=job.draft.name):
                self._draft, kv = load_draft(job, self._model, self._tokenizer)
            info = with_draft(info, kv)
        return info

    def _quantize_cache(self, config: Any) -> Callable[[], Any]:
        if self._odd_cache:
            raise BackendError(
                Status.UNSUPPORTED,
                f"kv_type quantized: {self._odd_cache}",
                "leave kv_type out",
            )
        self._odd_cache = QUANTIZED
        return quantized_cache(config, self._options.kv_bits)

    def encode(self, text: str, *, special: bool) -> Ids:
        """Token ids of the folder's tokenizer."""
        ids = self._require_tokenizer().encode(text, add_special_tokens=special)
        return tuple(int(token) for token in ids)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of the ids, special tokens left out, white space as it is."""
        return str(
            self._require_tokenizer().decode(
                list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )

    def vocab_size(self) -> int:
        """Ids that both the tokenizer and the embedding know."""
        embedded = self._require_model().get_input_embeddings().num_embeddings
        return min(len(self._require_tokenizer()), int(embedded))

    def close(self) -> None:
        """Free the model; may be called again."""
        self._model = self._tokenizer = self._scorer = self._kernels = self._draft = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _require_model(self) -> Any:
        if self._model is None:
            raise BackendError(Status.INVALID, "no model is loaded", "call load() first")
        return self._model

    def _require_tokenizer(self) -> Any:
        if self._tokenizer is None:
            raise BackendError(Status.INVALID, "no model is loaded", "call load() first")
        return self._tokenizer

    def _info(self, job: LoadJob, size: FolderSize, config: Any) -> ModelInfo:
        parameters = sum(p.numel() for p in self._model.parameters())  # tied ones come once
        first, read = self.encode(PROBE, special=True), weights_read(self._model)
        own = first[len(self._soft_prompt[0]) :]
        return ModelInfo(
            artefact_sha256=job.artefact_sha256,
            artefact_bytes=size.artefact_bytes,
            weight_bytes=size.weight_bytes,
            parameters=parameters,
            bits_per_weight=8 * size.weight_bytes / parameters,
            layers=int(config.num_hidden_layers),
            hidden_size=int(config.hidden_size),
            vocab_size=int(config.vocab_size),
            context_train=context_train(config) or job.target.context,
            kv_bytes_per_token=None if self._odd_cache else kv_bytes(config, self._model.dtype),
            adds_bos=own[:1] == (self._tokenizer.bos_token_id,),
            first_ids=first[:8],
            engine_version=f"transformers {transformers.__version__}, torch {torch.__version__}",
            decode_weight_bytes=read.weight_bytes if read else None,
            matmul_parameters=read.parameters if read else None,
            attention_width=attention_width(config) if self._plain_cache else None,
        )

    def _prefix(self) -> tuple[int, str]:
        tokenizer = self._require_tokenizer()
        if tokenizer.bos_token_id is not None:
            return int(tokenizer.bos_token_id), str(tokenizer.bos_token)
        if tokenizer.eos_token_id is not None:
            return int(tokenizer.eos_token_id), str(tokenizer.eos_token)
        raise BackendError(
            Status.INVALID,
            "the tokenizer has neither a BOS nor an EOS token",
            "set one of them in tokenizer_config.json",
        )

    def _lead(self) -> tuple[Ids, str]:
        return self._soft_prompt

    def _render(self, messages: Sequence[ChatMessage], *, reply: bool) -> str:
        tokenizer = self._require_tokenizer()
        if not tokenizer.chat_template:
            raise BackendError(
                Status.UNSUPPORTED,
                "this model has no chat template",
                "use plain prompts, or add chat_template.jinja to the folder",
            )
        turns = [{"role": m.role, "content": m.content} for m in messages]
        return str(
            tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=reply)
        )

    def _is_end(self, token: int) -> bool:
        return token in self._ends

    def _limit(self) -> int:
        return self._context

    def sharing(self) -> Sharing:
        """Whether packs of prefix trees give this model's own numbers, tried on a probe."""
        if self._verdict is None:
            self._verdict = self._try_packs()
        return self._verdict

    def _try_packs(self) -> Sharing:
        model = self._require_model()
        if self._odd_cache:
            return Sharing(False, self._odd_cache)
        self._scorer = PackedScorer(
            model, self._device, attention=_attention(model), kernels=self._fast()
        )
        packs = probe_packs(self._encode_text(PROBE), self._limit())
        pairs = [pair for pack in packs for pair in pack.pairs()]
        alone = [self._score_alone(pair) for pair in pairs]
        try:
            packed = [score for pack in packs for score in self._score_pack(pack)]
        except (UnsupportedAttentionError, TypeError, AttributeError, RuntimeError) as error:
            return Sharing(False, f"this model cannot be packed: {error}")

        def again() -> list[TokenScore]:
            with nudged(model, NUDGE):
                return [self._score_alone(pair) for pair in pairs]

        return agreement(pairs, alone, packed, full=self._is_full(), nudged=again)

    def _tokens_within(self, text: str, whole: Ids, before: Ids, characters: int) -> int:
        tokenizer = self._require_tokenizer()
        if not tokenizer.is_fast:
            return super()._tokens_within(text, whole, before, characters)
        added = self._encode_text(text) != self.encode(text, special=False)
        found = tokenizer(text, return_offsets_mapping=True, add_special_tokens=added)
        ends = [end for _, end in found["offset_mapping"]]
        return next((at for at, end in enumerate(ends) if end > characters), len(ends))

    def _is_full(self) -> bool:
        quantized = getattr(self._require_model().config, "quantization_config", None)
        return self._require_model().dtype is torch.float32 and quantized is None

    def _score_pack(self, pack: Pack) -> Sequence[TokenScore]:
        assert self._scorer is not None, "sharing() comes first"
        with torch.inference_mode(), endings():
            return self._scorer.score(pack)

    def _score_alone(self, pair: Pair) -> TokenScore:
        """The plain way: one forward pass over context and continuation."""
        with torch.inference_mode(), endings():
            parts = list(self._positions(pair.fed, len(pair.context) - 1))
            goals = self._tensor([pair.continuation])[0]
            logprobs = torch.cat(
                [p.gather(-1, g[:, None])[:, 0] for p, g in _matched(parts, goals)]
            )
            greedy = torch.cat([p.amax(-1) == p.gather(-1, g[:, None])[:, 0]
                                for p, g in _matched(parts, goals)])  # fmt: skip
        return TokenScore.of(logprobs.tolist(), greedy.tolist())

    def _logprob_parts(self, ids: Ids, first: int) -> Iterator[LogprobMatrix]:
        """Float32 log-softmax after each token from number ``first - 1`` on, some at a time."""
        parts = self._positions(ids[:-1], first - 1)
        while True:
            with torch.inference_mode(), endings():
                part = next(parts, None)
            if part is None:
                return
            yield part.cpu().numpy()

    def _try_batches(self) -> Batching:
        try:
            return super()._try_batches()
        except (TypeError, AttributeError, ValueError, RuntimeError) as error:
            return Batching(1, f"this model cannot be batched: {error}")

    def _room(self) -> Room:
        rows, reason = self._options.generate_batch, self._odd_cache
        reason = reason or (DRAFTED if self._draft is not None else "")
        if not reason and rows < 2:
            reason = "asked for by the target's options"
        return Room(1 if reason else rows, max(_CELLS, self._context), reason)

    def _open_batch(self, *, many: bool) -> TorchBatch:
        forward = self._fast_logits if many else self._logits
        return TorchBatch(forward, self._new_cache, self._device)

    def _fast(self) -> FastKernels | None:
        """Stand-ins for the model's layers, where they are wanted and can be had."""
        wanted = self._options.fast_kernels and self._device.type == "cpu" and available()
        if wanted and self._kernels is None:
            self._kernels = FastKernels(self._require_model())
        return self._kernels

    def _positions(self, fed: Ids, first: int) -> Iterator[torch.Tensor]:
        """Float32 log-softmax after each token from number ``first`` on, some rows at a time."""
        cache = self._new_cache() if self._plain_cache else None
        if cache is None:
            logits = self._logits(self._tensor([fed]), None, keep=len(fed) - first)
            yield torch.log_softmax(logits[0], -1, dtype=torch.float32)
            return
        start = 0
        while start < len(fed):
            stop = first + 1 if start < first + 1 else min(start + _BLOCK, len(fed))
            keep = 1 if stop == first + 1 else stop - start
            logits = self._logits(self._tensor([fed[start:stop]]), cache, keep=keep)
            yield torch.log_softmax(logits[0], -1, dtype=torch.float32)
            start = stop

    def _decoder(self, rows: int) -> Decoder:
        if self._draft is not None:
            one_row(rows)
            target = TorchReader(
                self._require_model(), self._device, self._new_cache, self._context
            )
            return SpeculativeDecoder(target, self._draft, self._options.draft_tokens)
        known = self._plain_cache or self._quantized is not None
        return TorchDecoder(self._require_model(), self._device, self._new_cache if known else None)

    def _new_cache(self) -> Any:
        if self._quantized is not None:
            return self._quantized()
        return DynamicCache(config=self._require_model().config)

    def _logits(
        self, ids: torch.Tensor, cache: DynamicCache | None, *, keep: int, **extra: Any
    ) -> torch.Tensor:
        """Logits of the last ``keep`` positions, shape (rows, keep, vocabulary)."""
        if self._keeps_logits:
            extra["logits_to_keep"] = keep
        use = cache is not None
        output = self._require_model()(input_ids=ids, past_key_values=cache, use_cache=use, **extra)
        logits: torch.Tensor = output.logits[:, -keep:]
        return logits

    def _fast_logits(
        self, ids: torch.Tensor, cache: DynamicCache | None, *, keep: int, **extra: Any
    ) -> torch.Tensor:
        with self._fast() or nullcontext():
            return self._logits(ids, cache, keep=keep, **extra)

    def _tensor(self, rows: Sequence[Ids]) -> torch.Tensor:
        return torch.tensor(rows, dtype=torch.long, device=self._device)


def _attention(model: Any) -> str:
    """What the model was loaded with."""
    return str(getattr(model.config, "_attn_implementation", None) or "eager")


def _matched(
    parts: Sequence[torch.Tensor], goals: torch.Tensor
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Rows of log-probabilities with their goals."""
    return zip(parts, goals.split([len(part) for part in parts]), strict=True)
