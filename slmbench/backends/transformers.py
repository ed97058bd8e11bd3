"""Hugging Face transformers on a CPU or a CUDA device, with the same code.

Safetensors only, no code from the model folder, nothing fetched. Decoding is a loop of our own,
because ``generate()`` hides when a token became known.
"""

from __future__ import annotations

import copy
import inspect
import math
import os
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any, ClassVar

import torch
import transformers
from pydantic import Field
from transformers.cache_utils import DynamicCache

from slmbench.backends import CAPABILITIES
from slmbench.backends.hf_folder import FolderSize, check_folder
from slmbench.backends.options import read_options
from slmbench.backends.protocol import BackendError, Capabilities, LoadJob
from slmbench.backends.text import PROBE, Ids, LocalBackend, Step, TokenScore
from slmbench.backends.transformers_load import (
    context_train,
    device,
    end_ids,
    endings,
    kv_bytes,
    load_model,
    load_tokenizer,
    plain_cache,
)
from slmbench.records import ModelInfo, Status
from slmbench.requests import ChatMessage
from slmbench.spec.base import Frozen

_BLOCK = 128
"""Positions whose logits are computed at a time: bounds them to rows × 128 × vocabulary."""


class TransformersOptions(Frozen):
    """Options of the transformers backend."""

    attention: str = "sdpa"
    """``attn_implementation`` of transformers: ``sdpa``, ``eager`` …"""
    share_prefix: bool = True
    """Evaluate a shared context once; false scores each continuation from scratch."""
    rows: int | None = Field(default=None, ge=1)
    """Most continuations of one context that are scored in one batch; null: 16 in float32, else
    1, because rounding of activations makes 16-bit and quantized results depend on the batch."""


class TransformersBackend(LocalBackend):
    """One model folder in transformers."""

    capabilities: ClassVar[Capabilities] = CAPABILITIES["transformers"]

    def __init__(self) -> None:
        self._options = TransformersOptions()
        self._model: Any = None
        self._tokenizer: Any = None
        self._device = torch.device("cpu")
        self._ends: frozenset[int] = frozenset()
        self._context = 0
        self._rows = 1
        self._keeps_logits = False
        self._shares = False

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
        self._context = min(job.target.context, context_train(config) or job.target.context)
        self._ends = end_ids(model, self._tokenizer)
        self._rows = _rows(options, model)
        self._keeps_logits = "logits_to_keep" in inspect.signature(model.forward).parameters
        self._shares = options.share_prefix and plain_cache(model)
        return self._info(job, size, config)

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
        self._model = self._tokenizer = None
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
        first = self.encode(PROBE, special=True)
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
            kv_bytes_per_token=kv_bytes(config, self._model.dtype) if self._shares else None,
            adds_bos=first[:1] == (self._tokenizer.bos_token_id,),
            first_ids=first[:8],
            engine_version=f"transformers {transformers.__version__}, torch {torch.__version__}",
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

    def _score(self, context: Ids, continuations: Sequence[Ids]) -> Sequence[TokenScore]:
        with torch.inference_mode(), endings():
            if not self._shares:
                return [self._score_alone(context, tokens) for tokens in continuations]
            cache = DynamicCache(config=self._require_model().config)
            first = self._logits(self._tensor([context]), cache, keep=1)
            scores: list[TokenScore] = []
            for start in range(0, len(continuations), self._rows):
                chunk = continuations[start : start + self._rows]
                scores += self._score_rows(first, cache, chunk)
            return scores

    def _score_alone(self, context: Ids, tokens: Ids) -> TokenScore:
        """The plain way: one forward pass over context and continuation."""
        ids = self._tensor([context + tokens[:-1]])
        logits = self._logits(ids, None, keep=len(tokens))
        logprobs, greedy = _at_goals(logits, self._tensor([tokens]))
        return _token_score(logprobs[0].tolist(), greedy[0].tolist())

    def _score_rows(
        self, first: torch.Tensor, cache: DynamicCache, chunk: Sequence[Ids]
    ) -> list[TokenScore]:
        """Score continuations side by side, each after the context that the cache holds.

        ``first``: logits after the context, shape (1, 1, vocabulary). Padding comes last, so
        the causal mask hides it from every scored position.
        """
        rows, width = len(chunk), max(map(len, chunk))
        goals = self._tensor([tokens + (0,) * (width - len(tokens)) for tokens in chunk])
        parts = [_at_goals(first.expand(rows, -1, -1), goals[:, :1])]
        branch = copy.deepcopy(cache)
        branch.batch_repeat_interleave(rows)
        for start in range(0, width - 1, _BLOCK):
            stop = min(start + _BLOCK, width - 1)
            logits = self._logits(goals[:, start:stop], branch, keep=stop - start)
            parts.append(_at_goals(logits, goals[:, start + 1 : stop + 1]))
        values = torch.cat([part[0] for part in parts], 1).tolist()
        greedy = torch.cat([part[1] for part in parts], 1).tolist()
        return [
            _token_score(values[row][: len(tokens)], greedy[row][: len(tokens)])
            for row, tokens in enumerate(chunk)
        ]

    def _steps(self, prompts: Sequence[Ids]) -> Generator[Step, None, None]:
        batch = self._start(prompts)
        ids, evaluated = batch.ids, tuple(map(len, prompts))
        while True:
            with torch.inference_mode(), endings():
                extra: dict[str, Any] = {}
                if batch.mask is not None:
                    extra = {"attention_mask": batch.mask, "position_ids": batch.positions}
                logits = self._logits(ids, batch.cache, keep=1, **extra)[:, -1]
                top, best = logits.max(-1)
                # one transfer: on a GPU it also waits for the kernels
                chosen, finite = torch.stack((best, top.isfinite().long())).tolist()
                now = perf_counter_ns()
                batch.grow()
                ids = best[:, None]
            yield Step(tuple(chosen), now, all(finite), evaluated)
            evaluated = ()

    def _start(self, prompts: Sequence[Ids]) -> _Batch:
        """Prompts as one batch; padded on the left and masked when their lengths differ."""
        cache = DynamicCache(config=self._require_model().config)
        width = max(map(len, prompts))
        gaps = [width - len(prompt) for prompt in prompts]
        rows = [(0,) * gap + prompt for gap, prompt in zip(gaps, prompts, strict=True)]
        ids = self._tensor(rows)
        if not any(gaps):
            return _Batch(ids, cache, None, None)
        columns = torch.arange(width, device=self._device)
        positions = columns[None, :] - torch.tensor(gaps, device=self._device)[:, None]
        return _Batch(ids, cache, (positions >= 0).long(), positions.clamp(min=0))

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

    def _tensor(self, rows: Sequence[Ids]) -> torch.Tensor:
        return torch.tensor(rows, dtype=torch.long, device=self._device)


@dataclass(slots=True)
class _Batch:
    """What greedy decoding carries from step to step."""

    ids: torch.Tensor
    """Prompts, shape (rows, width)."""
    cache: DynamicCache
    mask: torch.Tensor | None
    """1 where a token is real, shape (rows, tokens so far); None when nothing is padded."""
    positions: torch.Tensor | None
    """Positions of the tokens fed next; None with ``mask``."""

    def grow(self) -> None:
        """Make room for one more token per row."""
        if self.mask is not None and self.positions is not None:
            self.mask = torch.cat((self.mask, self.mask.new_ones(len(self.mask), 1)), 1)
            self.positions = self.positions[:, -1:] + 1


def _at_goals(logits: torch.Tensor, goals: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probability (float32 log-softmax) of each goal and whether it is the arg max.

    ``logits``: (rows, n, vocabulary); ``goals``: (rows, n); both results: (rows, n).
    """
    logprobs = torch.log_softmax(logits, -1, dtype=torch.float32)
    found = logprobs.gather(-1, goals[..., None])[..., 0]
    return found, logprobs.argmax(-1) == goals


def _token_score(logprobs: Sequence[float], greedy: Sequence[bool]) -> TokenScore:
    total = math.fsum(logprobs) if all(map(math.isfinite, logprobs)) else None
    return TokenScore(total, total is not None and all(greedy))


def _rows(options: TransformersOptions, model: Any) -> int:
    """Continuations per batch: many only where the batch cannot change the numbers."""
    if options.rows is not None:
        return options.rows
    quantized = getattr(model.config, "quantization_config", None) is not None
    return 16 if model.dtype is torch.float32 and not quantized else 1
