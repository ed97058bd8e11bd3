"""G2: the same weights in two engines give the same probabilities.

A float32 folder in transformers against its own export to a float32 GGUF in llama.cpp (keys and
values in float32, fused attention off). Whatever a conversion can get wrong (rotary base, norm
epsilon, order of the query and key rows, a missing BOS) shows here, and would otherwise be blamed
on quantization.

Two views: sums over the continuations of real items, as accuracy uses them, and the whole
distribution at every position of a few texts::

    KLD_i = sum_v p_i(v) (log p_i(v) - log q_i(v)),   p: the folder, q: the GGUF

The tolerances are ten times or more what SmolLM2-135M shows on a processor with AVX512 (sums
differ by 2e-5 nats on average and 9e-5 at most, the divergence is 1e-11). They see small faults:
a norm epsilon of 1e-6 for 1e-5 gives a divergence of 1e-7, a rotary base that is off by one per
cent 9e-7; a base of 10,000 for 100,000 moves sums by two nats on average.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from slmbench.gates.result import GateResult, judged
from slmbench.store.gates import GateNumber

GATE = "G2"
MEAN_SUM, MAX_SUM = 1e-3, 5e-3
"""Mean and largest |Δ| of a continuation's summed log-probability [nats]."""
MEAN_TOKEN = 1e-4
"""Mean |Δ log p| of the token that really follows [nats]."""
MEAN_KLD = 1e-8
"""Mean Kullback-Leibler divergence per position [nats]."""
TOP1 = 0.99
"""Share of positions where both find the same token most likely: near-ties may differ."""
ENOUGH = 50
"""Sums, and positions, that must have been compared."""
_ROWS = 16

Rows = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Distributions:
    """Two engines' distributions at the same positions, summed up."""

    positions: int
    same_top: int
    """Positions with the same most likely token."""
    kld_sum: float
    """Sum of the divergences [nats]; NaN where a probability was not finite."""
    token_delta_sum: float
    """Sum of |Δ log p| of the tokens that followed [nats]."""

    def __add__(self, other: Distributions) -> Distributions:
        return Distributions(
            self.positions + other.positions,
            self.same_top + other.same_top,
            self.kld_sum + other.kld_sum,
            self.token_delta_sum + other.token_delta_sum,
        )


def compare_rows(p: Rows, q: Rows, followed: Sequence[int]) -> Distributions:
    """Compare log-probabilities of shape (positions, vocabulary); ``followed``: the real tokens.

    Where the vocabularies differ in length (padding), the common part is compared; a token that
    one of them lacks makes the sums NaN, which no tolerance accepts.
    """
    width = min(p.shape[1], q.shape[1])
    tokens = np.asarray(followed, dtype=np.int64)
    if tokens.max(initial=0) >= width:
        return Distributions(len(p), 0, math.nan, math.nan)
    kld = 0.0
    for start in range(0, len(p), _ROWS):  # a few rows at a time: float64 takes room
        a = _log_softmax(p[start : start + _ROWS, :width])
        b = _log_softmax(q[start : start + _ROWS, :width])
        kld += float((np.exp(a) * (a - b)).sum())
    at = np.arange(len(p))
    deltas = np.abs(p[at, tokens].astype(np.float64) - q[at, tokens])
    same = p[:, :width].argmax(1) == q[:, :width].argmax(1)
    return Distributions(len(p), int(same.sum()), kld, float(deltas.sum()))


def _log_softmax(rows: Rows) -> npt.NDArray[np.float64]:
    """The rows normalised anew in float64: a float32 sum over 50,000 tokens is off by 1e-5, which
    would be most of the divergence between two float32 engines."""
    wide = rows.astype(np.float64)
    top = wide.max(1, keepdims=True)
    shifted = wide - top
    normal: npt.NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return normal


def compare_files(
    pairs: Sequence[tuple[Path, Path]], ids: Sequence[Sequence[int]]
) -> Distributions:
    """:func:`compare_rows` over matrices on disk; row i predicts ``ids[i + 1]``."""
    total = Distributions(0, 0, 0.0, 0.0)
    for (left, right), tokens in zip(pairs, ids, strict=True):
        p, q = np.load(left, mmap_mode="r"), np.load(right, mmap_mode="r")
        total += compare_rows(p, q, tokens[1:])
    return total


def judge_logprobs(
    folder: Sequence[float | None],
    exported: Sequence[float | None],
    rows: Distributions,
    about: str,
    names: Sequence[str] = (),
) -> GateResult:
    """Compare summed log-probabilities (null: failed) of the same requests, and distributions.

    ``names`` says for people what each request was.
    """
    pairs = list(zip(folder, exported, strict=True))
    deltas = [abs(a - b) if a is not None and b is not None else None for a, b in pairs]
    known = [d for d in deltas if d is not None]
    n = rows.positions
    numbers = (
        GateNumber(name="sums", value=len(known), at_least=ENOUGH),
        GateNumber(name="unscored sums", value=len(deltas) - len(known), at_most=0),
        _nats("mean |Δ| of a sum", math.fsum(known) / len(known) if known else None, MEAN_SUM),
        _nats("max |Δ| of a sum", max(known, default=None), MAX_SUM),
        GateNumber(name="positions", value=n, at_least=ENOUGH),
        GateNumber(name="same top token", value=rows.same_top / n if n else None, at_least=TOP1),
        _nats("mean |Δ| of a token", rows.token_delta_sum / n if n else None, MEAN_TOKEN),
        _nats("mean KLD", rows.kld_sum / n if n else None, MEAN_KLD),
    )
    return judged(GATE, numbers, about, _worst(pairs, names))


def _nats(name: str, value: float | None, at_most: float) -> GateNumber:
    known = value if value is not None and math.isfinite(value) else None
    return GateNumber(name=name, value=known, unit="nats", at_most=at_most)


def _worst(
    pairs: Sequence[tuple[float | None, float | None]], names: Sequence[str]
) -> tuple[str, ...]:
    """The three sums that differ most."""
    rows = [
        (math.inf if a is None or b is None else abs(a - b), name, a, b)
        for (a, b), name in zip(pairs, names, strict=False)
    ]
    worst = sorted(rows, key=lambda row: -row[0])[:3]
    return tuple(f"{name}: {_shown(a)} and {_shown(b)}" for size, name, a, b in worst if size > 0)


def _shown(value: float | None) -> str:
    return "failed" if value is None else f"{value:.4f}"
