"""The divergence against a second way to compute it, its direction, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import builders as b
from slmbench.backends.protocol import BackendError
from slmbench.records import PhaseRecord, Provenance, Status
from slmbench.runner import fidelity
from slmbench.runner.fidelity import Reading, ReadText, distances, run_fidelity
from slmbench.spec import Reference, RunSpec, WorkloadPoint, WorkloadSpec
from slmbench.tasks.fidelity import text_digest

VOCAB = 96
WINDOWS = 3


class Toy:
    """A model over printable ASCII: a fixed random table, row = the last id."""

    def __init__(
        self, seed: int, *, width: int = VOCAB, shift: int = 0, noise: float = 0.0
    ) -> None:
        base = np.random.default_rng(7).normal(size=(VOCAB, VOCAB))
        extra = np.random.default_rng(seed).normal(size=(VOCAB, VOCAB))
        logits = np.full((VOCAB, width), -60.0)
        logits[:, :VOCAB] = base + noise * extra
        self.table = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        self.shift = shift
        self.asked: list[tuple[int, int]] = []

    def encode(self, text: str, *, special: bool) -> tuple[int, ...]:
        assert special
        return tuple((min(max(ord(c), 32), 126) - 32 + self.shift) % VOCAB for c in text)

    def next_logprobs(self, ids: Sequence[int], first: int) -> Any:
        self.asked.append((len(ids), first))
        return self.table[list(ids[first - 1 : -1])].astype(np.float32)


def spec(*, reference: bool, itself: bool = False) -> RunSpec:
    parent, child = b.variant("base"), b.variant("small", parent="base")
    work = WorkloadSpec(
        workload="fidelity", points=(WorkloadPoint(prompt_tokens=30, output_tokens=60),),
        repeats=WINDOWS, warmup=0, window_s=0, idle_s=0, seed=1, text=text_digest(),
        reference=Reference(variant=parent, target=b.target()) if reference else None,
    )  # fmt: skip
    return b.cell(child if reference and not itself else parent, work, suite="fidelity")


def read(model: Toy, folder: Path, of: RunSpec) -> list[PhaseRecord]:
    steps: list[int] = []
    reading: Any = Reading(model, of, folder, lambda: steps.append(1))  # type: ignore[arg-type]
    phases = list(run_fidelity(reading))
    assert len(steps) == WINDOWS
    return phases


def compared(parent: Toy, variant: Toy, folder: Path, *, itself: bool = False) -> list[PhaseRecord]:
    assert read(parent, folder, spec(reference=False)) == []
    return read(variant, folder, spec(reference=True, itself=itself))


def samples(phases: list[PhaseRecord], metric: str) -> list[float]:
    return [s for p in phases for m in p.measurements if m.metric == metric for s in m.samples]


def test_the_divergence_is_the_parents_from_the_variant_by_hand() -> None:
    p, q = np.array([[0.5, 0.25, 0.25]]), np.array([[0.25, 0.5, 0.25]])
    found = distances(np.log(p).astype(np.float32), np.log(q).astype(np.float32), [1])
    assert found.kld[0] == pytest.approx(0.25 * math.log(2), rel=1e-6)
    assert found.top1[0] == 0
    assert found.parent_true[0] == pytest.approx(math.log(0.25))
    assert found.variant_true[0] == pytest.approx(math.log(0.5))


def test_the_direction_is_not_the_reverse() -> None:
    p, q = np.array([[0.98, 0.01, 0.01]]), np.array([[0.4, 0.3, 0.3]])
    forth = distances(np.log(p), np.log(q), [0]).kld[0]
    back = distances(np.log(q), np.log(p), [0]).kld[0]
    assert forth == pytest.approx((p * np.log(p / q)).sum())
    assert abs(forth - back) > 0.3


def test_masked_rows_of_the_parent_count_nothing() -> None:
    p = np.array([[0.0, -np.inf]], dtype=np.float32)
    q = np.log(np.array([[0.5, 0.5]], dtype=np.float32))
    assert distances(p, q, [0]).kld[0] == pytest.approx(math.log(2))


def test_every_sample_of_a_run_against_numpy(tmp_path: Path) -> None:
    parent, variant = Toy(1), Toy(2, noise=0.5)
    phases = compared(parent, variant, tmp_path)
    text = ReadText.model_validate_json((tmp_path / "text.json").read_text())
    p, q, kld, top, dp, bpb = parent.table, variant.table, [], [], [], []
    for w in text.windows:
        assert w.first <= 30
        assert w.scored > 30
        rows, truth = list(w.ids[w.first - 1 : -1]), list(w.ids[w.first :])
        kld += list((np.exp(p[rows]) * (p[rows] - q[rows])).sum(axis=1))
        top += list(p[rows].argmax(axis=1) == q[rows].argmax(axis=1))
        dp += list(np.exp(q[rows, truth]) - np.exp(p[rows, truth]))
        bits = (p[rows, truth] - q[rows, truth]).sum() / math.log(2)
        bpb.append(bits / len(w.text[len(w.context) :].encode()))
    assert samples(phases, "kld") == pytest.approx(kld, abs=1e-6)
    assert samples(phases, "top1_agreement") == [float(t) for t in top]
    assert samples(phases, "prob_true_delta") == pytest.approx(dp, abs=1e-6)
    assert samples(phases, "text_bpb_delta") == pytest.approx(bpb, abs=1e-6)
    assert 0 < sum(top) < len(top)


def test_a_model_against_itself_is_zero_in_another_order_and_packing(tmp_path: Path) -> None:
    again = Toy(1)
    phases = compared(Toy(1), again, tmp_path, itself=True)
    assert set(samples(phases, "kld")) == {0.0}
    assert set(samples(phases, "top1_agreement")) == {1.0}
    text = ReadText.model_validate_json((tmp_path / "text.json").read_text())
    assert again.asked == [(len(w.ids), 1) for w in reversed(text.windows)]


def test_another_vocabulary_refuses_the_divergence_and_keeps_bits_per_byte(tmp_path: Path) -> None:
    phases = compared(Toy(1), Toy(1, shift=1), tmp_path)
    assert samples(phases, "kld") == []
    reasons = {m.reason for p in phases for m in p.measurements if m.metric == "kld"}
    assert len(reasons) == 1
    assert "vocabulary mismatch: from token 0 on" in reasons.pop()
    assert len(samples(phases, "text_bpb_delta")) == WINDOWS
    for phase in phases:
        for m in phase.measurements:
            wanted = m.metric == "text_bpb_delta"
            assert (m.provenance is Provenance.MEASURED) == wanted


def test_padding_rows_are_left_out_and_real_ones_refused(tmp_path: Path) -> None:
    padded = compared(Toy(1), Toy(1, width=VOCAB + 32), tmp_path)
    assert max(samples(padded, "kld")) < 1e-12
    assert "96 common ids, renormalised" in padded[0].measurements[0].scope
    longer = Toy(1, width=VOCAB + 32)
    longer.table[:, VOCAB:] = math.log(1e-3)
    with pytest.raises(BackendError, match="vocabulary mismatch: 96 ids in base, 128 here") as e:
        read(longer, tmp_path, spec(reference=True))
    assert e.value.status is Status.UNSUPPORTED


def test_what_is_not_a_number_is_an_ending(tmp_path: Path) -> None:
    broken = Toy(1)
    broken.table[:, 5] = np.nan
    with pytest.raises(BackendError, match="not numbers"):
        read(broken, tmp_path, spec(reference=False))
    compared(Toy(1), Toy(1), tmp_path)
    impossible = Toy(1)
    impossible.table[:, 5] = -np.inf
    with pytest.raises(BackendError, match="not finite") as caught:
        read(impossible, tmp_path, spec(reference=True))
    assert caught.value.status is Status.INVALID


def test_a_matrix_that_is_too_large_is_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fidelity, "SCRATCH_CAP", 1000)
    with pytest.raises(BackendError, match=r"the limit is 0\.0 GB") as caught:
        read(Toy(1), tmp_path, spec(reference=False))
    assert "lower repeats" in caught.value.hint
    assert (tmp_path / "logprobs.f32").stat().st_size == 0


def test_a_full_disk_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "logprobs.f32").mkdir()
    with pytest.raises(BackendError, match="cannot be written"):
        read(Toy(1), tmp_path, spec(reference=False))
