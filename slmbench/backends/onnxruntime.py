"""onnxruntime through onnxruntime-genai, on the CPU.

The engine allocates the cache for the whole context at once and keeps one sequence; requests that
begin alike are scored one after the other in it, going back to where they part.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from slmbench.backends import CAPABILITIES
from slmbench.backends.chat_template import render_chat
from slmbench.backends.decoding import Room
from slmbench.backends.onnxruntime_decode import (
    OnnxBatch,
    OnnxBatchDecoder,
    OnnxDecoder,
    OnnxReader,
)
from slmbench.backends.onnxruntime_folder import FolderFacts, FolderTokenizer, read_folder
from slmbench.backends.onnxruntime_graph import GraphFacts, read_graph
from slmbench.backends.onnxruntime_session import (
    OnnxModel,
    OnnxSession,
    SessionSettings,
    engine_version,
    softmax_of,
)
from slmbench.backends.options import read_options
from slmbench.backends.probe import agreement, probe_packs
from slmbench.backends.protocol import BackendError, Capabilities, LoadJob, Sharing
from slmbench.backends.speculative import (
    DRAFTED,
    SpeculativeDecoder,
    one_row,
    other_vocabulary,
    with_draft,
)
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

_ALONE = "onnxruntime-genai begins and ends the rows of a batch together"


class OnnxRuntimeOptions(Frozen):
    """Options of the onnxruntime backend."""

    arena: bool = True
    """Memory that a pass has freed is kept for the next one: faster, and it never shrinks."""
    prepack: bool = True
    """Weights are laid out for the kernels when they are loaded, which may keep them twice. Without
    it int4 runs on other kernels, which are much slower and round activations otherwise."""
    draft: str | None = None
    """Variant that proposes tokens (speculative decoding); of the same models file."""
    draft_tokens: int = Field(default=4, ge=1, le=32)
    """Most tokens that it proposes at a time."""


class OnnxRuntimeBackend(LocalBackend):
    """One folder of onnxruntime-genai."""

    capabilities: ClassVar[Capabilities] = CAPABILITIES["onnxruntime"]

    def __init__(self) -> None:
        self._options = OnnxRuntimeOptions()
        self._loaded: tuple[FolderFacts, FolderTokenizer, OnnxSession] | None = None
        self._draft: OnnxSession | None = None
        self._graph: GraphFacts | None = None
        self._verdict: Sharing | None = None

    def load(self, job: LoadJob) -> ModelInfo:
        """Load a folder; BackendError: invalid (incomplete, damaged), oom, unsupported."""
        self._options = read_options(OnnxRuntimeOptions, job.target)
        self._verdict = self._batching = self._draft = None
        _check_target(job.target)
        folder = read_folder(job.path)
        self._graph = read_graph(folder.graph)
        tokenizer = FolderTokenizer(job.path)
        session = self._session_of(job.path, folder, job.target)
        self._loaded = folder, tokenizer, session
        info = self._info(job)
        if job.draft is not None:
            other = read_folder(job.draft)
            self._check_draft(folder, tokenizer, other, job.draft)
            self._draft = self._session_of(job.draft, other, job.target)
            info = with_draft(info, _kv_bytes(other, read_graph(other.graph)))
        return info

    def encode(self, text: str, *, special: bool) -> Ids:
        """Token ids of the folder's tokenizer."""
        return self._tokenizer.encode(text, special=special)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of the ids, special tokens left out."""
        return self._tokenizer.decode(ids)

    def vocab_size(self) -> int:
        """Ids that both tokenizer and model know, but for the last, which pads batches."""
        return min(self._tokenizer.size, self._folder.vocab_size - 1)

    def close(self) -> None:
        """Free the model; may be called again."""
        self._loaded = self._draft = None

    @property
    def _folder(self) -> FolderFacts:
        return self._require()[0]

    @property
    def _tokenizer(self) -> FolderTokenizer:
        return self._require()[1]

    @property
    def _session(self) -> OnnxSession:
        return self._require()[2]

    def _require(self) -> tuple[FolderFacts, FolderTokenizer, OnnxSession]:
        if self._loaded is None:
            raise BackendError(Status.INVALID, "no model is loaded", "call load() first")
        return self._loaded

    def _session_of(self, path: Path, folder: FolderFacts, target: Target) -> OnnxSession:
        settings = SessionSettings(
            context=min(target.context, folder.context),
            threads=target.threads or len(os.sched_getaffinity(0)),
            arena=self._options.arena,
            prepack=self._options.prepack,
            pad=folder.vocab_size - 1,
        )
        return OnnxSession(OnnxModel(path, settings))

    def _check_draft(
        self, folder: FolderFacts, tokenizer: FolderTokenizer, draft: FolderFacts, path: Path
    ) -> None:
        for facts in (folder, draft):
            if facts.odd_cache:
                raise BackendError(
                    Status.UNSUPPORTED,
                    f"speculative decoding: {facts.odd_cache}, so refused tokens cannot be undone",
                    "leave the target's draft out",
                )
        if draft.vocab_size != folder.vocab_size:
            how = f"{draft.vocab_size} outputs instead of {folder.vocab_size}"
            raise other_vocabulary(str(self._options.draft), how)
        if FolderTokenizer(path).vocabulary() != tokenizer.vocabulary():
            raise other_vocabulary(str(self._options.draft), "its tokens are others")

    def _info(self, job: LoadJob) -> ModelInfo:
        folder, graph = self._folder, self._graph
        assert graph is not None
        files = [file for file in job.path.rglob("*") if file.is_file()]
        first = self.encode(PROBE, special=True)
        knobs = {"arena": self._options.arena, "prepacking": self._options.prepack}
        settings = "".join(f", {name} off" for name, on in knobs.items() if not on)
        return ModelInfo(
            artefact_sha256=job.artefact_sha256,
            artefact_bytes=sum(file.stat().st_size for file in files),
            weight_bytes=graph.weight_bytes,
            parameters=graph.parameters,
            bits_per_weight=8 * graph.weight_bytes / graph.parameters,
            layers=folder.layers,
            hidden_size=folder.hidden_size,
            vocab_size=folder.vocab_size,
            context_train=folder.context,
            kv_bytes_per_token=_kv_bytes(folder, graph),
            adds_bos=first[:1] == (self._tokenizer.id_of("bos_token"),),
            first_ids=first[:8],
            engine_version=f"{engine_version()}{settings}",
            decode_weight_bytes=graph.decode_weight_bytes,
            matmul_parameters=graph.matmul_parameters,
            attention_width=folder.heads * folder.head_size,
        )

    def _prefix(self) -> tuple[int, str]:
        tokenizer = self._tokenizer
        for name in ("bos_token", "eos_token"):
            if (token := tokenizer.id_of(name)) is not None:
                return token, tokenizer.special[name]
        raise BackendError(
            Status.INVALID,
            "the tokenizer has neither a BOS nor an EOS token",
            "set one of them in tokenizer_config.json",
        )

    def _render(self, messages: Sequence[ChatMessage], *, reply: bool) -> str:
        template = self._tokenizer.template
        if template is None:
            raise BackendError(
                Status.UNSUPPORTED,
                "this model has no chat template",
                "use plain prompts, or add chat_template.jinja to the folder",
            )
        return render_chat(template, messages, self._tokenizer.special, reply=reply)

    def _is_end(self, token: int) -> bool:
        return token in self._folder.ends or token == self._tokenizer.id_of("eos_token")

    def _limit(self) -> int:
        return self._session.model.settings.context

    def _is_full(self) -> bool:
        return self._graph is not None and self._graph.is_full

    def sharing(self) -> Sharing:
        """Whether going back in a sequence gives this model's own numbers, tried on a probe."""
        if self._verdict is None:
            self._verdict = self._try_packs()
        return self._verdict

    def _try_packs(self) -> Sharing:
        if self._folder.odd_cache:
            return Sharing(False, self._folder.odd_cache)
        packs = probe_packs(self._encode_text(PROBE), self._limit())
        pairs = [pair for pack in packs for pair in pack.pairs()]
        alone = [self._score_alone(pair) for pair in pairs]
        packed = [score for pack in packs for score in self._score_pack(pack)]
        return agreement(pairs, alone, packed, full=self._is_full())

    def _tokens_within(self, text: str, whole: Ids, before: Ids, characters: int) -> int:
        added = self._encode_text(text) != self.encode(text, special=False)
        ends = self._tokenizer.ends(text, special=added)
        return next((at for at, end in enumerate(ends) if end > characters), len(ends))

    def _score_pack(self, pack: Pack) -> Sequence[TokenScore]:
        return [self._score(pair) for pair in pack.pairs()]

    def _score_alone(self, pair: Pair) -> TokenScore:
        self._session.keep(0)
        return self._score(pair)

    def _score(self, pair: Pair) -> TokenScore:
        """From whatever the session holds: what both begin with is kept."""
        logprobs: list[float] = []
        greedy: list[bool] = []
        for rows in self._session.after(pair.fed, len(pair.context) - 1):
            goals = pair.continuation[len(logprobs) : len(logprobs) + len(rows)]
            own = rows[np.arange(len(rows)), goals]
            greedy += (own == rows.max(1)).tolist()
            logprobs += softmax_of(rows)[np.arange(len(rows)), goals].tolist()
        return TokenScore.of(logprobs, greedy)

    def _logprob_parts(self, ids: Ids, first: int) -> Iterator[LogprobMatrix]:
        """Float32 log-softmax after each token from number ``first - 1`` on, some at a time."""
        self._session.keep(0)
        return (softmax_of(rows) for rows in self._session.after(ids[:-1], first - 1))

    def _room(self) -> Room:
        return Room(1, self._limit(), DRAFTED if self._draft is not None else _ALONE)

    def _open_batch(self, *, many: bool) -> OnnxBatch:
        return OnnxBatch(self._session)

    def _decoder(self, rows: int) -> Decoder:
        if self._draft is not None:
            one_row(rows)
            target, draft = OnnxReader(self._session), OnnxReader(self._draft)
            return SpeculativeDecoder(target, draft, self._options.draft_tokens)
        if rows > 1:
            return OnnxBatchDecoder(self._session.model, rows)
        return OnnxDecoder(self._session)


def _kv_bytes(folder: FolderFacts, graph: GraphFacts) -> int | None:
    """Keys and values of one token, all layers [bytes]."""
    if folder.odd_cache or graph.kv_bits is None:
        return None
    return folder.values_per_token * graph.kv_bits // 8


def _check_target(target: Target) -> None:
    """BackendError (unsupported) for what this engine has no setting for."""
    if target.device != "cpu":
        raise BackendError(Status.UNSUPPORTED, f"device {target.device!r}", "use cpu")
    if target.dtype != "auto":
        raise BackendError(
            Status.UNSUPPORTED,
            f"target {target.name!r}: an exported graph computes in its own types",
            "set dtype: auto, or export with another precision",
        )
