"""Importance matrix: how much the error of each input column of a matrix matters.

Of every matrix of the blocks that a GGUF's text runs through, the mean square of each input
(column) over all tokens: llama.cpp's definition (tools/imatrix, "sum of squared activations" over
the count), on the same tensors (``blk.*``; the embedding and the output head are left out, as there
by default). Its quantizers weigh the squared rounding error of a weight with it.

llama.cpp itself computes the products, so every architecture that it runs can be observed. It
hands each operation to a callback before (is it wanted?) and after it ran; the operands are read
where they lie. Their layout is that of ggml.h (``struct ggml_tensor``), checked at run time.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from llama_cpp import llama_cpp as native
from llama_cpp._ggml import libggml

from slmbench.backends.llama_session import LlamaModel, extra_bufts_safe
from slmbench.backends.protocol import BackendError
from slmbench.errors import ArtefactError, UnsupportedModelError
from slmbench.lifecycle.calibration_text import calibration_text, text_facts
from slmbench.made import TextFacts
from slmbench.spec.recipes.quantization import Calibration

Floats = npt.NDArray[np.float32]
Sums = npt.NDArray[np.float64]

_F32 = 0
_NO_FLASH = 0
_OBJECT_BYTES = 32
"""Of ``struct ggml_object``, which ``ggml_tensor_overhead`` counts too."""


class _Tensor(ctypes.Structure):
    """``struct ggml_tensor`` of ggml 0.25."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("buffer", ctypes.c_void_p),
        ("ne", ctypes.c_int64 * 4),
        ("nb", ctypes.c_size_t * 4),
        ("op", ctypes.c_int),
        ("op_params", ctypes.c_int32 * 16),
        ("flags", ctypes.c_int32),
        ("src", ctypes.c_void_p * 10),
        ("view_src", ctypes.c_void_p),
        ("view_offs", ctypes.c_size_t),
        ("data", ctypes.c_void_p),
        ("name", ctypes.c_char * 64),
        ("extra", ctypes.c_void_p),
        ("padding", ctypes.c_char * 8),
    )


_overhead = libggml.ggml_tensor_overhead
_overhead.restype = ctypes.c_size_t
_op_name = libggml.ggml_op_name
_op_name.argtypes, _op_name.restype = (ctypes.c_int,), ctypes.c_char_p


@dataclass(frozen=True, slots=True)
class Importance:
    """Mean squared inputs of the matrices, by their GGUF names."""

    columns: dict[str, Floats]
    """[columns] of each matrix."""
    text: TextFacts

    def as_argument(self) -> ctypes.Array[Any]:
        """What ``llama_model_quantize_params.imatrix`` takes; this object must outlive its use."""
        entries: ctypes.Array[Any] = (native.llama_model_imatrix_data * (len(self.columns) + 1))()
        pointer = ctypes.POINTER(ctypes.c_float)
        for entry, (name, values) in zip(entries, self.columns.items(), strict=False):
            entry.name = name.encode()
            entry.data = values.ctypes.data_as(pointer)
            entry.size = values.size
        return entries


def importance_of(path: Path, calibration: Calibration, threads: int) -> Importance:
    """The importance matrix of a GGUF on that text.

    Raises MissingDataError for a set that cannot be had, ArtefactError for a file that llama.cpp
    cannot load or that computes NaN, UnsupportedModelError where it has no such matrices.
    """
    texts, sources = calibration_text(calibration)
    try:
        model = LlamaModel(path, gpu=None, extra_bufts=extra_bufts_safe())
    except BackendError as error:
        raise ArtefactError(f"{path}: {error.reason}", hint=error.hint) from error
    try:
        ids = [model.encode(text, special=True)[: calibration.max_tokens] for text in texts]
        columns = observe(model, ids, threads)
    finally:
        model.close()
    facts = text_facts(texts, sources, sum(map(len, ids)))
    return Importance(columns, facts)


def observe(
    model: LlamaModel, sequences: Sequence[Sequence[int]], threads: int
) -> dict[str, Floats]:
    """Mean squared input of every column of the blocks' matrices.

    ``sequences``: token ids, each read from an empty cache. Raises as :func:`importance_of`.
    """
    longest = max(map(len, sequences), default=0)
    if not longest:
        raise ArtefactError("the calibration texts hold no token")
    collector = _Collector()
    params = native.llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = params.n_outputs_max = longest
    params.n_threads = params.n_threads_batch = threads
    params.type_k = params.type_v = _F32
    params.flash_attn_type = _NO_FLASH
    params.cb_eval = collector.callback
    context = native.llama_init_from_model(model.handle, params)
    if not context:
        raise ArtefactError(f"no memory for a context of {longest} tokens")
    batch = native.llama_batch_init(longest, 0, 1)
    try:
        for ids in sequences:
            if ids:
                _read(context, batch, ids)
                collector.check()
    finally:
        native.llama_batch_free(batch)
        native.llama_free(context)
    return collector.means()


def _read(context: Any, batch: Any, ids: Sequence[int]) -> None:
    """Evaluate one text; every token is an output, or the last block would see only some."""
    native.llama_memory_clear(native.llama_get_memory(context), False)
    batch.n_tokens = len(ids)
    for i, token in enumerate(ids):
        batch.token[i], batch.pos[i], batch.n_seq_id[i] = token, i, 1
        batch.seq_id[i][0], batch.logits[i] = 0, True
    code = native.llama_decode(context, batch)
    if code != 0:
        raise ArtefactError(f"llama.cpp could not read the calibration text (code {code})")


class _Collector:
    """Adds up squared inputs while llama.cpp computes."""

    def __init__(self) -> None:
        expected = ctypes.sizeof(_Tensor) + _OBJECT_BYTES
        if _overhead() != expected:
            raise UnsupportedModelError(
                f"this llama.cpp lays tensors out in another way ({_overhead()} bytes instead of "
                f"{expected}): no importance matrix can be taken",
                hint="install the llama-cpp-python of constraints.txt, or leave importance out",
            )
        self._sums: dict[str, tuple[Sums, int]] = {}
        self._error: Exception | None = None
        # ctypes keeps no reference of its own: it must live as long as the context
        self.callback = native.ggml_backend_sched_eval_callback(self._called)

    def check(self) -> None:
        """Raise what went wrong inside the callback, where nothing can be raised."""
        if self._error is not None:
            raise self._error

    def means(self) -> dict[str, Floats]:
        """Over all that was seen; ArtefactError where that is not finite."""
        if not self._sums:
            raise UnsupportedModelError("no matrix of a block was seen: nothing to weigh")
        found = {name: (total / n).astype(np.float32) for name, (total, n) in self._sums.items()}
        for name, values in found.items():
            if not np.isfinite(values).all():
                raise ArtefactError(f"the input of {name} is NaN or infinite on the text")
        return found

    def _called(self, address: int, ask: bool, _data: object) -> bool:
        try:
            tensor = _Tensor.from_address(address)
            name = _weight_name(tensor)
            if name is None:
                return not ask
            if not ask:
                self._add(name, _Tensor.from_address(tensor.src[1]))
        except Exception as error:  # noqa: BLE001  it is raised by check(), outside of C
            self._error = error
            return False
        return True

    def _add(self, name: str, inputs: _Tensor) -> None:
        rows = _rows(inputs)
        squares = np.einsum("ij,ij->j", rows, rows, dtype=np.float64)
        total, n = self._sums.get(name, (np.zeros(rows.shape[1]), 0))
        self._sums[name] = total + squares, n + rows.shape[0]


def _weight_name(tensor: _Tensor) -> str | None:
    """The matrix of a product of a block's matrix with activations; None for all else.

    The scheduler may wrap a name (``CPU#blk.0.attn_q.weight#0``).
    """
    if _op_name(tensor.op) != b"MUL_MAT" or _Tensor.from_address(tensor.src[1]).type != _F32:
        return None
    raw: bytes = _Tensor.from_address(tensor.src[0]).name
    name = raw.decode(errors="replace")
    if "#" in name:
        name = name.split("#")[1]
    return name if name.startswith("blk.") and name.endswith(".weight") else None


def _rows(tensor: _Tensor) -> Floats:
    """A float32 tensor's values [tokens, columns]; a view of llama.cpp's memory."""
    shape, strides = tuple(tensor.ne)[::-1], tuple(tensor.nb)[::-1]
    span = sum((n - 1) * step for n, step in zip(shape, strides, strict=True)) + 4
    raw = (ctypes.c_char * span).from_address(tensor.data)
    values: Floats = np.ndarray(shape, np.float32, buffer=raw, strides=strides)
    return values.reshape(-1, shape[-1])
