"""Read a text to a model and compare its next-token distributions with its parent's.

The parent's worker writes its log-probabilities once, as float32 over the full vocabulary, to a
scratch folder; each variant's worker reads them window by window beside its own and keeps a few
numbers per position. So the divergence is exact, the parent is evaluated once for all variants,
and nothing of vocabulary size gets into a record.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from slmbench.backends import Backend
from slmbench.backends.protocol import BackendError
from slmbench.records import Measurement, PhaseRecord, Provenance, Status
from slmbench.runner.phases import Watch
from slmbench.spec import Frozen, Reference, RunSpec, WorkloadSpec
from slmbench.tasks.fidelity import Window, documents, windows

if TYPE_CHECKING:
    import numpy.typing as npt

    Rows = npt.NDArray[np.float32]
    Numbers = npt.NDArray[np.float64]

SCRATCH_CAP = 4 << 30
"""Most that one parent's log-probabilities may take on disk [bytes]."""
PADDING_MASS = 1e-6
"""Probability that rows beyond the shorter of two vocabularies may hold together: padding."""
TOKEN_METRICS = ("kld", "top1_agreement", "logprob_true_delta", "prob_true_delta")
"""One sample per scored token; ``text_bpb_delta`` has one per window."""
_MATRIX, _TEXT = "logprobs.f32", "text.json"
_CHUNK = 8
"""Rows that are compared at once: they stay in the processor's cache."""
_LN2 = math.log(2)


class ReadText(Frozen):
    """What was read to the parent; lies beside its matrix of shape (scored tokens, vocabulary)."""

    windows: tuple[Window, ...]
    vocabulary: int
    """Columns of the matrix."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A loaded model that is to read the text."""

    backend: Backend
    spec: RunSpec
    folder: Path
    """Scratch folder of the reference."""
    step: Callable[[], None]
    """Called after every window."""

    @property
    def work(self) -> WorkloadSpec:
        """The cell's workload."""
        assert isinstance(self.spec.work, WorkloadSpec)
        return self.spec.work


@dataclass(frozen=True, slots=True)
class Distances:
    """Per scored token, each of shape (tokens,)."""

    kld: Numbers
    """KL(parent || variant) over the vocabulary [nats]."""
    top1: Numbers
    """1.0 where both find the same token likeliest."""
    parent_true: Numbers
    """The parent's log p of the true token [nats]."""
    variant_true: Numbers
    """The variant's [nats]."""


def run_fidelity(reading: Reading) -> Iterator[PhaseRecord]:
    """One phase per window; a spec without a reference is the reference's own and only writes.

    BackendError: no room for the matrix, a number that is not finite, or vocabularies that
    cannot be laid over each other.
    """
    if reading.work.reference is None:
        write_reference(reading)
        return
    yield from _compare(reading, reading.work.reference)


def write_reference(reading: Reading) -> None:
    """Write the model's log-probabilities of every window into the scratch folder."""
    work, backend = reading.work, reading.backend
    encode = partial(backend.encode, special=True)
    read = windows(encode, documents(work.text), work.points[0], work.repeats)
    width = 0
    try:
        with (reading.folder / _MATRIX).open("wb") as file:
            for window in read:
                rows = backend.next_logprobs(window.ids, window.first)
                _refuse_nan(rows, window)
                if not width:
                    width = rows.shape[1]
                    _check_room(reading.folder, sum(w.scored for w in read), width)
                file.write(np.ascontiguousarray(rows, dtype=np.float32).data)
                reading.step()
        text = ReadText(windows=read, vocabulary=width).model_dump_json()
        (reading.folder / _TEXT).write_text(text, "utf-8")
    except OSError as error:
        raise BackendError(
            Status.INVALID,
            f"{reading.folder}: the reference's log-probabilities cannot be written: "
            f"{error.strerror}",
            "free some space, or point SLMBENCH_CACHE at a larger disk",
        ) from error


def _check_room(folder: Path, tokens: int, width: int) -> None:
    wanted, free = 4 * tokens * width, shutil.disk_usage(folder).free
    if wanted > SCRATCH_CAP or wanted > free:
        bound = f"limit is {SCRATCH_CAP / 1e9:.1f} GB" if wanted > SCRATCH_CAP else (
            f"disk has {free / 1e9:.1f} GB left")  # fmt: skip
        raise BackendError(
            Status.INVALID,
            f"the reference's log-probabilities take {wanted / 1e9:.1f} GB "
            f"({tokens} tokens x {width} ids x 4 bytes), the {bound}",
            "lower repeats or output_tokens in the suite's size",
        )


def _compare(reading: Reading, reference: Reference) -> Iterator[PhaseRecord]:
    read = ReadText.model_validate_json((reading.folder / _TEXT).read_text("utf-8"))
    tokens = sum(w.scored for w in read.windows)
    matrix = np.memmap(
        reading.folder / _MATRIX, np.float32, mode="r", shape=(tokens, read.vocabulary)
    )
    own = [tuple(reading.backend.encode(w.text, special=True)) for w in read.windows]
    mismatch = next(
        (_mismatch(w, ids) for w, ids in zip(read.windows, own, strict=True) if ids != w.ids), ""
    )
    starts = np.cumsum([0, *(w.scored for w in read.windows)])
    watch = Watch.of(("interference",), reading.spec.target.device)
    floor = reference.variant.digest == reading.spec.variant.digest
    order = range(len(read.windows))
    for index in reversed(order) if floor else order:
        window = read.windows[index]
        parent = matrix[starts[index] : starts[index + 1]]
        with watch.phase("window", point=reading.work.points[0].label) as phase:
            if mismatch:
                made = _other_vocabulary(reading, reference, window, parent, mismatch)
            else:
                rows = _rows(reading.backend, window, everything=floor)
                made = _same_vocabulary(reading, reference, window, parent, rows)
            phase.add(*made)
        reading.step()
        yield phase.finished()


def _rows(backend: Backend, window: Window, *, everything: bool) -> Rows:
    """The scored positions; ``everything`` asks for all of them, so that they are packed anew."""
    first = 1 if everything else window.first
    rows = backend.next_logprobs(window.ids, first)[window.first - first :]
    _refuse_nan(rows, window)
    return rows


def _same_vocabulary(
    reading: Reading, reference: Reference, window: Window, parent: Rows, rows: Rows
) -> list[Measurement]:
    widths = sorted((parent.shape[1], rows.shape[1]))
    common = widths[0]
    for wider in (parent, rows):
        extra = float(np.exp(wider[:, common:], dtype=np.float64).sum(axis=1).max(initial=0.0))
        if extra > PADDING_MASS:
            raise BackendError(
                Status.UNSUPPORTED,
                f"vocabulary mismatch: {parent.shape[1]} ids in {reference.variant.name}, "
                f"{rows.shape[1]} here, and those beyond {common} hold {extra:.1e} of the "
                "probability: no padding",
                "compare answers instead (flips), which need no common vocabulary",
            )
    found = distances(parent[:, :common], rows[:, :common], window.ids[window.first :])
    if not np.isfinite(found.kld).all():
        raise BackendError(
            Status.INVALID,
            f"the divergence is not finite in the window {window.text[:30]!r}: a token that the "
            "parent finds possible has probability 0 here",
        )
    delta = found.variant_true - found.parent_true
    samples = {
        "kld": found.kld,
        "top1_agreement": found.top1,
        "logprob_true_delta": delta,
        "prob_true_delta": np.exp(found.variant_true) - np.exp(found.parent_true),
        "text_bpb_delta": np.array([-delta.sum() / _LN2 / window.scored_bytes]),
    }
    place = _place(reading, reference)
    ids = f"{common} ids" if widths[0] == widths[1] else f"{common} common ids, renormalised"
    return [
        Measurement(
            metric=name,
            samples=tuple(values.tolist()),
            provenance=Provenance.MEASURED,
            method="derived",
            scope=f"{place}, {ids}",
            point=reading.work.points[0].label,
        )
        for name, values in samples.items()
    ]


def distances(parent: Rows, variant: Rows, truth: Sequence[int]) -> Distances:
    """Compare two matrices of log-probabilities, shape (tokens, ids); ``truth`` has the true ids.

    KL(parent || variant) = sum_v p_v (log p_v - log q_v), p the parent's, q the variant's. Both
    are normalised again in float64, over the ids given: then rounding cannot make it negative.
    """
    size = len(truth)
    kld, top1, left, right = (np.empty(size) for _ in range(4))
    for begin in range(0, size, _CHUNK):
        part = slice(begin, min(begin + _CHUNK, size))
        p, q = _normalised(parent[part]), _normalised(variant[part])
        with np.errstate(invalid="ignore"):
            gap = p.logs - q.logs
        if np.isneginf(parent[part]).any():  # the parent excludes it: p log p is 0
            gap[np.isneginf(p.logs)] = 0.0
        kld[part] = np.maximum(np.einsum("ij,ij->i", p.weights, gap) / p.total, 0.0)
        top1[part] = p.logs.argmax(axis=1) == q.logs.argmax(axis=1)
        at = (np.arange(part.stop - part.start), np.asarray(truth[part]))
        left[part], right[part] = p.logs[at], q.logs[at]
    return Distances(kld, top1, left, right)


class _Rows(NamedTuple):
    """Some rows of a distribution: ``weights`` / ``total`` are its probabilities."""

    weights: Numbers
    total: Numbers
    logs: Numbers


def _normalised(logprobs: Rows) -> _Rows:
    logs = np.asarray(logprobs, dtype=np.float64)
    logs = logs - logs.max(axis=1, keepdims=True)
    weights = np.exp(logs)
    total = weights.sum(axis=1)
    logs -= np.log(total)[:, None]
    return _Rows(weights, total, logs)


def _other_vocabulary(
    reading: Reading, reference: Reference, window: Window, parent: Rows, why: str
) -> list[Measurement]:
    """No divergence, with the reason; the change in bits per byte needs no common tokens."""
    place, point = _place(reading, reference), reading.work.points[0].label
    made = [
        Measurement(
            metric=name, samples=(), provenance=Provenance.UNAVAILABLE, method="derived",
            scope=place, point=point, reason=why,
        )
        for name in TOKEN_METRICS
    ]  # fmt: skip
    encode = partial(reading.backend.encode, special=True)
    ids, context = tuple(encode(window.text)), tuple(encode(window.context))
    if not context or ids[: len(context)] != context:
        return made
    own = reading.backend.next_logprobs(ids, len(context))
    nats = _of_true(parent, window.ids[window.first :]) - _of_true(own, ids[len(context) :])
    if math.isfinite(nats):
        made.append(
            Measurement(
                metric="text_bpb_delta", samples=(nats / _LN2 / window.scored_bytes,),
                provenance=Provenance.MEASURED, method="derived", scope=place, point=point,
            )
        )  # fmt: skip
    return made


def _of_true(rows: Rows, truth: Sequence[int]) -> float:
    """Sum of log p of the true tokens [nats]."""
    return float(rows[np.arange(len(truth)), np.asarray(truth)].sum(dtype=np.float64))


def _place(reading: Reading, reference: Reference) -> str:
    return f"against {reference.variant.name} on {reference.target.name}"


def _mismatch(window: Window, ids: Sequence[int]) -> str:
    """Which token differs first, for people."""
    at = next(
        (i for i, (a, b) in enumerate(zip(window.ids, ids, strict=False)) if a != b),
        min(len(window.ids), len(ids)),
    )
    theirs, mine = window.ids[at : at + 3], tuple(ids[at : at + 3])
    return (
        f"vocabulary mismatch: from token {at} on, the parent reads the text as ids "
        f"{', '.join(map(str, theirs)) or 'nothing'} and this variant as "
        f"{', '.join(map(str, mine)) or 'nothing'}"
    )


def _refuse_nan(rows: Rows, window: Window) -> None:
    if np.isnan(rows).any() or np.isposinf(rows).any():
        raise BackendError(
            Status.INVALID,
            f"log-probabilities that are not numbers, in the window {window.text[:30]!r}",
            "check the artefact: `slmbench doctor`",
        )
