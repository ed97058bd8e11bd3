"""A small typed layer over llama.cpp's C functions: a model, and a session with its KV cells.

Only this file and ``llama_cpp.py`` import the engine. Names follow llama.cpp of
llama-cpp-python 0.3.36 (``llama_memory_*`` instead of the former ``llama_kv_cache_*``).
"""

from __future__ import annotations

import ctypes
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import llama_cpp
import llama_cpp.llama_cpp as api
import numpy as np
import numpy.typing as npt

from slmbench.backends.protocol import BackendError
from slmbench.records import Status

Logits = npt.NDArray[np.float32]
Flash = Literal["auto", "off", "on"]
"""Whether attention is fused: llama.cpp decides, never, always."""

_ERROR, _CONTINUED = 4, 5
_FLASH = {"auto": -1, "off": 0, "on": 1}
KvType = Literal["f32", "f16", "q8_0", "q4_0"]
"""Type of cached keys and values."""
_KV: dict[KvType, tuple[int, int, int]] = {
    "f32": (0, 1, 4),
    "f16": (1, 1, 2),
    "q8_0": (8, 32, 34),
    "q4_0": (2, 32, 18),
}
"""ggml type number, values in a block, bytes of a block (scale included)."""
CALL_TOKENS = 2048
"""Most tokens that a prompt hands over at a time, as in llama-bench; evaluated in parts of
``SessionSettings.batch``."""
_logits_address = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(
    ("llama_get_logits", api._lib)  # noqa: SLF001 - its binding makes a new object each time
)
_NO_MEMORY = ("allocate", "out of memory", "mmap failed")


class _Log:
    """Keeps llama.cpp's errors, passes them to stderr, and drops everything else."""

    def __init__(self) -> None:
        self.errors: deque[str] = deque(maxlen=8)
        self._level = 0
        # ctypes keeps no reference of its own: the callback must live as long as the process.
        self._callback = api.llama_log_callback(self._take)

    def install(self) -> None:
        api.llama_log_set(self._callback, ctypes.c_void_p(0))

    def _take(self, level: int, text: bytes, _data: object) -> None:
        if level != _CONTINUED:
            self._level = level
        line = text.decode(errors="replace").strip()
        if self._level == _ERROR and line:
            self.errors.append(line)
            sys.stderr.write(f"llama.cpp: {line}\n")

    def why(self) -> str:
        return "; ".join(self.errors) or "llama.cpp gave no reason"


_LOG = _Log()


def engine_version() -> str:
    """``llama-cpp-python 0.3.36 (AVX512, …)``: version and instruction sets of the build."""
    info = api.llama_print_system_info().decode()
    names = [part.split(":")[-1].split("=")[0].strip() for part in info.split("|") if "= 1" in part]
    return f"llama-cpp-python {llama_cpp.__version__} ({', '.join(names)})"


def extra_bufts_safe() -> bool:
    """False where repacked weights would run AMX code, which dies of SIGILL in many VMs.

    That takes both a build with AMX and a processor that reports it.
    """
    if b"AMX_INT8 = 1" not in api.llama_print_system_info():
        return True
    cpuinfo = Path("/proc/cpuinfo")
    return not cpuinfo.is_file() or "amx_tile" not in cpuinfo.read_text(errors="replace")


def gpu_offload() -> bool:
    """Whether this build can put layers on a GPU."""
    return bool(api.llama_supports_gpu_offload())


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """How a context is made."""

    context: int
    """KV cells, shared by all sequences [tokens]."""
    threads: int
    batch: int
    """Most tokens that are evaluated at a time."""
    sequences: int
    """Most sequences at a time."""
    kv_type: KvType
    flash_attn: Flash
    gpu: bool
    outputs: int = 64
    """Logit rows of one decode call: the engine reserves as many times the vocabulary in floats."""


class Cell(NamedTuple):
    """One token to evaluate."""

    token: int
    position: int
    sequences: tuple[int, ...]
    """Those that see it."""
    wanted: bool
    """Whether its logits are read."""


class LlamaModel:
    """Weights and vocabulary of one GGUF file."""

    def __init__(self, path: Path, *, gpu: int | None, extra_bufts: bool) -> None:
        """Load ``path``; all layers on GPU number ``gpu`` unless it is None.

        Raises BackendError: oom when memory was refused, else invalid.
        """
        _LOG.install()
        _LOG.errors.clear()
        params = api.llama_model_default_params()
        params.n_gpu_layers = 0 if gpu is None else -1
        params.main_gpu = gpu or 0
        params.use_extra_bufts = extra_bufts
        self.extra_bufts = extra_bufts
        self.handle: Any = api.llama_model_load_from_file(str(path).encode(), params)
        if not self.handle:
            raise _load_error(path)
        self._vocab = api.llama_model_get_vocab(self.handle)
        self.vocab_size = int(api.llama_vocab_n_tokens(self._vocab))
        self.layers = int(api.llama_model_n_layer(self.handle))
        self.hidden_size = int(api.llama_model_n_embd(self.handle))
        self.context_train = int(api.llama_model_n_ctx_train(self.handle))
        self.parameters = int(api.llama_model_n_params(self.handle))
        self.weight_bytes = int(api.llama_model_size(self.handle))
        self.adds_bos = bool(api.llama_vocab_get_add_bos(self._vocab))
        self.bos = int(api.llama_vocab_bos(self._vocab))
        self.eos = int(api.llama_vocab_eos(self._vocab))
        self.stateful = bool(
            api.llama_model_is_recurrent(self.handle) or api.llama_model_is_hybrid(self.handle)
        )
        """Keeps a running state besides (or instead of) keys and values."""
        self.window = int(api.llama_model_n_swa(self.handle))
        """Sliding window of some layers [tokens]; 0: none."""

    def kv_bytes_per_token(self, kv_type: KvType) -> int | None:
        """Keys and values of one token, all layers [bytes]; None for stateful models.

        Raises BackendError (unsupported) where a head does not fill blocks of that type.
        """
        if self.stateful:
            return None
        _, values, size = _KV[kv_type]
        if any(length % values for length in self._head_sizes()):
            raise BackendError(
                Status.UNSUPPORTED,
                f"heads of {self._head_sizes()[0]} values do not fill blocks of {values}, which "
                f"kv_type {kv_type} needs",
                "set kv_type: f16",
            )
        heads = int(api.llama_model_n_head_kv(self.handle))
        return self.layers * heads * sum(self._head_sizes()) // values * size

    def attention_width(self) -> int | None:
        """Query heads times size of a key; None for stateful models."""
        if self.stateful:
            return None
        return int(api.llama_model_n_head(self.handle)) * self._head_sizes()[0]

    def _head_sizes(self) -> tuple[int, int]:
        """Values of a key and of a value of one head."""
        arch = self.metadata("general.architecture")
        head = self.hidden_size // max(1, int(api.llama_model_n_head(self.handle)))
        key = int(self.metadata(f"{arch}.attention.key_length") or head)
        return key, int(self.metadata(f"{arch}.attention.value_length") or head)

    def metadata(self, key: str) -> str:
        """A metadata value as text, empty when absent."""
        buffer = ctypes.create_string_buffer(256)
        size = api.llama_model_meta_val_str(self.handle, key.encode(), buffer, len(buffer))
        return buffer.value.decode(errors="replace") if size >= 0 else ""

    def chat_template(self) -> str | None:
        """The file's own Jinja template."""
        found = api.llama_model_chat_template(self.handle, None)
        return found.decode() if found else None

    def encode(self, text: str, *, special: bool) -> tuple[int, ...]:
        """Token ids; special tokens that are spelled out in the text are recognised."""
        data = text.encode()
        room = len(data) + 8
        for _ in range(2):
            buffer = (api.llama_token * room)()
            count = api.llama_tokenize(self._vocab, data, len(data), buffer, room, special, True)
            if count >= 0:
                return tuple(buffer[:count])
            room = -count
        raise BackendError(Status.INVALID, f"llama.cpp cannot tokenize {text[:80]!r}")

    def decode(self, ids: Sequence[int], *, special: bool = False) -> str:
        """Text of the ids; special tokens are written out on request."""
        if not ids:
            return ""
        tokens = (api.llama_token * len(ids))(*ids)
        room = 16 * len(ids) + 64
        for _ in range(2):
            buffer = ctypes.create_string_buffer(room)
            count = api.llama_detokenize(
                self._vocab, tokens, len(ids), buffer, room, False, special
            )
            if count >= 0:
                return buffer.raw[:count].decode(errors="replace")
            room = -count
        raise BackendError(Status.INVALID, "llama.cpp cannot turn these tokens into text")

    def piece(self, token: int) -> bytes:
        """The bytes that a token stands for; special tokens stand for none."""
        room = 64
        for _ in range(2):
            buffer = ctypes.create_string_buffer(room)
            count = api.llama_token_to_piece(self._vocab, token, buffer, room, 0, False)
            if count >= 0:
                return buffer.raw[:count]
            room = -count
        raise BackendError(Status.INVALID, f"llama.cpp has no text for token {token}")

    def is_end(self, token: int) -> bool:
        """Whether the token ends a generation (EOS, EOT …)."""
        return bool(api.llama_vocab_is_eog(self._vocab, token))

    def close(self) -> None:
        """Free the weights; harmless when done before."""
        if self.handle:
            api.llama_model_free(self.handle)
            self.handle = None


class LlamaSession:
    """KV cells of a model, and the evaluation of tokens."""

    def __init__(self, model: LlamaModel, settings: SessionSettings) -> None:
        """Raises BackendError (oom) when the cells cannot be allocated."""
        self._model, self.settings = model, settings
        params = api.llama_context_default_params()
        params.n_ctx = settings.context
        params.n_ubatch = self._batch_size = min(settings.batch, settings.context)
        params.n_batch = self.call_tokens = min(max(settings.batch, CALL_TOKENS), settings.context)
        params.n_seq_max = settings.sequences
        params.n_outputs_max = min(max(settings.outputs, settings.sequences), self._batch_size)
        params.n_outputs_max_per_seq = 0
        params.n_threads = params.n_threads_batch = settings.threads
        params.type_k = params.type_v = _KV[settings.kv_type][0]
        params.flash_attn_type = _FLASH[settings.flash_attn]
        params.offload_kqv = params.op_offload = settings.gpu
        params.kv_unified = True
        self._outputs = int(params.n_outputs_max)
        self._handle: Any = api.llama_init_from_model(model.handle, params)
        if not self._handle:
            raise BackendError(
                Status.OOM,
                f"no memory for a context of {settings.context} tokens: {_LOG.why()}",
                "lower the target's context",
            )
        self._memory = api.llama_get_memory(self._handle)
        self._batch = api.llama_batch_init(self._batch_size, 0, settings.sequences)
        self._lent: tuple[int, Logits] = 0, np.empty((0, 0), dtype=np.float32)

    def clear(self) -> None:
        """Forget everything: the next evaluation starts cold."""
        api.llama_memory_clear(self._memory, False)

    def fork(self, source: int, target: int) -> None:
        """Sequence ``target`` sees what ``source`` holds; nothing is copied."""
        api.llama_memory_seq_cp(self._memory, source, target, -1, -1)

    def drop(self, sequence: int) -> None:
        """Forget a sequence; cells that another one shares stay."""
        api.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def cut(self, sequence: int, length: int) -> None:
        """Forget all but the first ``length`` tokens of a sequence."""
        api.llama_memory_seq_rm(self._memory, sequence, length, -1)

    def feed(self, cells: Sequence[Cell]) -> Iterator[tuple[list[int], Logits]]:
        """Evaluate the cells in order; yields the wanted ones' indices and logits, call by call.

        Logits have the shape (indices, vocabulary). They lie in the engine's memory: valid, and
        the caller's to overwrite, until the next are asked for.
        """
        start = 0
        while start < len(cells):
            stop = self._slice_end(cells, start)
            self.decode(self._filled(cells[start:stop]))
            if wanted := [i for i in range(start, stop) if cells[i].wanted]:
                yield wanted, self.rows(len(wanted))
            start = stop

    def decode(self, batch: Any) -> None:
        """Evaluate a ``llama_batch`` of at most ``call_tokens`` tokens."""
        code = api.llama_decode(self._handle, batch)
        if code == 0:
            return
        if code == 1:
            raise BackendError(
                Status.UNSUPPORTED,
                f"all {self.settings.context} KV cells are in use",
                "raise the target's context: a batch shares its cells",
            )
        status = Status.OOM if _mentions_memory() else Status.CRASHED
        raise BackendError(status, f"llama_decode returned {code}: {_LOG.why()}")

    def rows(self, count: int) -> Logits:
        """Logits of the last call's wanted tokens, in their order; waits for the engine.

        They lie in the engine's memory, which is lent until the next call.
        """
        address = _logits_address(self._handle)
        if not address:
            raise BackendError(Status.CRASHED, "llama.cpp has no logits for the last call")
        if self._lent[0] != address or len(self._lent[1]) != count:
            floats = ctypes.cast(address, ctypes.POINTER(ctypes.c_float))
            view = np.ctypeslib.as_array(floats, shape=(count, self._model.vocab_size))
            self._lent = address, view
        return self._lent[1]

    def wait(self) -> None:
        """Until the engine has done what it was given."""
        api.llama_synchronize(self._handle)

    def close(self) -> None:
        """Free the cells; harmless when done before."""
        if self._handle:
            api.llama_batch_free(self._batch)
            api.llama_free(self._handle)
            self._handle = None

    def _slice_end(self, cells: Sequence[Cell], start: int) -> int:
        """End of the longest slice that fits one decode call: tokens and logit rows."""
        outputs, stop = 0, start
        while stop < len(cells) and stop - start < self._batch_size:
            outputs += cells[stop].wanted
            if outputs > self._outputs:
                break
            stop += 1
        return stop

    def _filled(self, cells: Sequence[Cell]) -> Any:
        batch = self._batch
        batch.n_tokens = len(cells)
        for i, cell in enumerate(cells):
            batch.token[i] = cell.token
            batch.pos[i] = cell.position
            batch.n_seq_id[i] = len(cell.sequences)
            owners = batch.seq_id[i]
            for place, sequence in enumerate(cell.sequences):
                owners[place] = sequence
            batch.logits[i] = cell.wanted
        return batch


def _mentions_memory() -> bool:
    text = " ".join(_LOG.errors).lower()
    return any(mark in text for mark in _NO_MEMORY)


def _load_error(path: Path) -> BackendError:
    reason = f"{path.name}: llama.cpp cannot load it: {_LOG.why()}"
    if _mentions_memory():
        return BackendError(
            Status.OOM, reason, "raise the target's memory limit or use a smaller variant"
        )
    return BackendError(
        Status.INVALID, reason, "the file is damaged or of a newer format: fetch or make it again"
    )
