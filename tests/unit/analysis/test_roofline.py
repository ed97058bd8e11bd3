"""Shares of the machine's peaks, by hand for SmolLM2-135M."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from builders import Shelf, cell, loaded, measurement, model, phase, target, variant, workload
from slmbench.analysis import load_results
from slmbench.analysis.roofline import (
    decode_bytes,
    llc_resident,
    prefill_operations,
    product_type,
)
from slmbench.analysis.rows import MetricRow
from slmbench.records import MachinePeaks, ModelInfo, Observation
from slmbench.spec import WorkloadPoint

LAYERS, WIDTH, VOCAB, HIDDEN, KV = 30, 576, 49152, 576, 23040
PARAMETERS, HEAD = 134_515_008, 49152 * 576
PEAKS = MachinePeaks(
    threads=2,
    read_bandwidth=50e9,
    gemm_flops={"float32": 2e11, "int8": 2e12},
    llc_bytes=32 << 20,
    measured_utc="2026-01-01T00:00:00+00:00",
    method="by hand",
)


def smol(**changes: Any) -> ModelInfo:
    """SmolLM2-135M at 4.5 bits, with all that a roofline needs."""
    known = {
        "decode_weight_bytes": 80_000_000,
        "matmul_parameters": PARAMETERS,
        "attention_width": WIDTH,
    }
    return model(4.5, **{**known, **changes})


def _point(prompt: int, output: int, *, depth: int = 0, batch: int = 1) -> WorkloadPoint:
    return WorkloadPoint(prompt_tokens=prompt, output_tokens=output, depth=depth, batch=batch)


def test_a_step_reads_the_weights_and_the_cache_up_to_its_token() -> None:
    # three tokens after a prompt of 10: two steps, which attend to 11 and 12 tokens
    assert decode_bytes(smol(), _point(10, 3)) == 80_000_000 + KV * 11.5


def test_a_batch_reads_weights_once_and_every_cache() -> None:
    # 1000 in the cache, 1 prompt token, 8 of output: steps at 1002 … 1008, on average 1005
    read = decode_bytes(smol(), _point(1, 8, depth=1000, batch=4))
    assert read == 80_000_000 + 4 * KV * 1005


def test_a_model_without_a_growing_cache_reads_its_weights() -> None:
    assert decode_bytes(smol(kv_bytes_per_token=0), _point(10, 3)) == 80_000_000


def test_operations_of_a_prompt() -> None:
    body = PARAMETERS - HEAD
    expected = 2 * body * 512 + 2 * HEAD + 2 * LAYERS * WIDTH * 512 * 512
    assert expected == 117_868_658_688
    assert prefill_operations(smol(), _point(512, 1)) == expected
    assert prefill_operations(smol(), _point(512, 1, batch=3)) == 3 * expected


def test_tokens_before_the_prompt_are_attended_to() -> None:
    whole = prefill_operations(smol(), _point(96, 1))
    parts = [prefill_operations(smol(), p) for p in (_point(32, 1), _point(64, 1, depth=32))]
    assert whole is not None
    assert parts[0] is not None
    assert parts[1] is not None
    assert parts[0] + parts[1] - whole == 2 * HEAD  # the head is asked twice


@pytest.mark.parametrize(
    ("backend", "dtype", "bits", "expected"),
    [
        ("llama_cpp", "auto", 4.5, "int8"),
        ("llama_cpp", "auto", 8.5, "int8"),
        ("llama_cpp", "auto", 16.0, "float32"),
        ("transformers", "auto", 32.0, "float32"),
        ("transformers", "auto", 16.0, "bfloat16"),
        ("transformers", "float32", 16.0, "float32"),
        ("transformers", "auto", 10.3, "int8"),
    ],
)
def test_type_of_the_products(backend: str, dtype: str, bits: float, expected: str) -> None:
    spec = cell(variant("v"), workload(), on=target(backend=backend, dtype=dtype))
    assert product_type(spec, model(bits)) == expected


def test_weights_within_the_cache() -> None:
    assert llc_resident(smol(decode_weight_bytes=(32 << 20) - 1), PEAKS)
    assert not llc_resident(smol(decode_weight_bytes=32 << 20), PEAKS)
    assert not llc_resident(smol(), PEAKS.model_copy(update={"llc_bytes": None}))


def _rows(
    tmp_path: Path, *, what: ModelInfo, seen: tuple[Observation, ...] = (), **changes: Any
) -> dict[str, MetricRow]:
    spec = cell(variant("smol"), workload("latency", (512, 3)), suite="latency")
    label = "pp512+tg3"
    timed = phase(
        "timed",
        measurement("ttft", 0.5, 0.25, point=label),
        measurement("tpot", 0.004, 0.002, point=label),
        measurement("engine_share", 0.75, 0.5, point=label),
        seen=seen,
    )
    warm = phase("warm_up", measurement("tpot", 1.0, point=label))
    Shelf(tmp_path).load(spec, warm, timed, model=what, **changes)
    rows = load_results(tmp_path).metric_rows
    return {r.metric: r for r in rows if r.phase == "timed"}


def test_rows_of_a_run(tmp_path: Path) -> None:
    rows = _rows(tmp_path, what=smol(), peaks=PEAKS)
    read = 80_000_000 + KV * 513.5
    mbu = sorted(read / t / 50e9 for t in (0.004, 0.002))
    assert rows["mbu"].estimate.value == pytest.approx(sum(mbu) / 2)
    assert rows["mbu"].estimate.n == 2
    assert rows["mbu"].provenance.value == "derived"
    assert rows["mbu"].scope == "of the read bandwidth of 2 threads"
    assert "llc resident" not in rows["mbu"].flags
    mfu = [117_868_658_688 / t / 2e12 for t in (0.5, 0.25)]
    assert rows["mfu"].estimate.value == pytest.approx(sum(mfu) / 2)
    assert rows["mfu"].scope == "of int8 products of 2 threads"
    assert rows["decode_overhead"].estimate.value == pytest.approx(0.001)


def test_weights_in_the_cache_are_flagged(tmp_path: Path) -> None:
    rows = _rows(tmp_path, what=smol(decode_weight_bytes=30_000_000), peaks=PEAKS)
    assert "llc resident" in rows["mbu"].flags
    assert "llc resident" not in rows["tpot"].flags


def test_shares_of_a_disturbed_timing_are_disturbed(tmp_path: Path) -> None:
    rows = _rows(tmp_path, what=smol(), peaks=PEAKS, seen=(loaded(),))
    assert all("loaded machine" in rows[m].flags for m in ("tpot", "mbu", "mfu"))


@pytest.mark.parametrize(
    ("what", "peaks", "metric", "reason"),
    [
        (smol(), None, "mbu", "peaks were not measured"),
        (smol(), None, "mfu", "peaks were not measured"),
        (smol(kv_bytes_per_token=None), PEAKS, "mbu", "what a step of decoding reads"),
        (smol(decode_weight_bytes=None), PEAKS, "mbu", "what a step of decoding reads"),
        (smol(attention_width=None), PEAKS, "mfu", "what a prompt has to compute"),
        (
            smol(),
            PEAKS.model_copy(update={"gemm_flops": {"float32": 2e11}}),
            "mfu",
            "no peak of int8",
        ),
    ],
)
def test_what_is_missing_is_said(
    tmp_path: Path, what: ModelInfo, peaks: MachinePeaks | None, metric: str, reason: str
) -> None:
    row = _rows(tmp_path, what=what, peaks=peaks)[metric]
    assert row.estimate.value is None
    assert row.provenance.value == "unavailable"
    assert reason in row.reason


def test_short_prompts_have_no_share_of_arithmetic(tmp_path: Path) -> None:
    spec = cell(variant("smol"), workload("latency", (1, 8)), suite="latency")
    timed = phase("timed", measurement("ttft", 0.1, point="tg8"))
    Shelf(tmp_path).load(spec, timed, model=smol(), peaks=PEAKS)
    assert "mfu" not in {r.metric for r in load_results(tmp_path).metric_rows}
