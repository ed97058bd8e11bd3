"""How far a timing is from what the machine could do: pure functions of what the record holds.

Decoding reads every weight for every token, so the read bandwidth bounds it; prefill multiplies
many tokens with each weight, so the rate of matrix products does. The shares of those peaks::

    MBU = (decode_weight_bytes + batch · KV bytes at the mean position) / TPOT / read bandwidth
    MFU = operations of the prompt / TTFT / largest matrix product of the type

(MBU after Databricks, "LLM Inference Performance Engineering" 2023; MFU after Chowdhery et al.
2022, arXiv 2204.02311, with causal attention counted by halves.) Peaks are measured on the same
cores (:class:`slmbench.records.MachinePeaks`), never taken from a data sheet.
"""

from __future__ import annotations

from collections.abc import Sequence

from slmbench.records import MachinePeaks, Measurement, ModelInfo, PhaseRecord, Provenance
from slmbench.spec import RunSpec, WorkloadPoint, WorkloadSpec
from slmbench.store import StoredRun

LEAST_PROMPT = 32
"""Shorter prompts are bound by reading the weights: their MFU would say nothing."""
_INTEGER_BITS = 12.0
"""Weights stored in fewer bits are multiplied as 8-bit integers (llama.cpp's K- and Q-types,
torchao's int8)."""
_WIDE_BITS = 24.0
_NOT_THE_LOAD = frozenset({"warm_up", "idle_unloaded", "idle_before", "idle_after"})


def decode_bytes(model: ModelInfo, point: WorkloadPoint) -> float | None:
    """Bytes that a decoding step reads, on average over the steps of a point.

    Weights once for the whole batch, keys and values of each sequence up to the position of its
    token: step i of n - 1 attends to depth + prompt + i tokens, on average half an output more.
    None where the model does not tell its parts.
    """
    if model.decode_weight_bytes is None or model.kv_bytes_per_token is None:
        return None
    position = point.depth + point.prompt_tokens + point.output_tokens / 2
    return model.decode_weight_bytes + point.batch * model.kv_bytes_per_token * position


def prefill_operations(model: ModelInfo, point: WorkloadPoint) -> float | None:
    """Multiplications and additions that evaluating a point's prompts needs.

    2 P T for the weights, of which the head (vocabulary x width) is for the last token only, and
    2 L w (T² + 2 T d) for attention: queries with keys, and weights with values, 4 L w per pair of
    tokens, causal. T prompt tokens after d in the cache, L layers, w heads times their size.
    """
    if model.matmul_parameters is None or model.attention_width is None:
        return None
    head = min(model.vocab_size * model.hidden_size, model.matmul_parameters)
    tokens, depth = point.prompt_tokens, point.depth
    weights = 2 * ((model.matmul_parameters - head) * tokens + head)
    attention = 2 * model.layers * model.attention_width * (tokens**2 + 2 * tokens * depth)
    return float(point.batch * (weights + attention))


def product_type(spec: RunSpec, model: ModelInfo) -> str:
    """Type of the matrix products whose peak a run is compared with.

    llama.cpp turns activations into 8-bit integers for quantized weights and into float32 for
    float16 ones. transformers computes in the target's type, else in that of the weights.
    """
    if model.bits_per_weight < _INTEGER_BITS:
        return "int8"
    if spec.target.backend == "llama_cpp":
        on_device = spec.target.device != "cpu" and model.bits_per_weight < _WIDE_BITS
        return "float16" if on_device else "float32"
    if spec.target.dtype != "auto":
        return spec.target.dtype
    return "float32" if model.bits_per_weight > _WIDE_BITS else "bfloat16"


def llc_resident(model: ModelInfo, peaks: MachinePeaks) -> bool:
    """Whether the weights fit into the last-level cache: memory's bandwidth is no bound then."""
    size = model.decode_weight_bytes or model.weight_bytes
    return peaks.llc_bytes is not None and size < peaks.llc_bytes


def in_cache(run: StoredRun) -> bool:
    """Whether a run's weights fit into its machine's last-level cache, where both are known."""
    model, peaks = run.record.model, run.record.peaks
    return model is not None and peaks is not None and llc_resident(model, peaks)


def derived(run: StoredRun, phase: PhaseRecord) -> tuple[Measurement, ...]:
    """mbu, mfu and decode_overhead of a timed phase, a sample a repetition; or why there are none.

    Only for phases with a point of the run's grid.
    """
    work = run.spec.work
    if not isinstance(work, WorkloadSpec) or phase.phase in _NOT_THE_LOAD:
        return ()
    points = {point.label: point for point in work.points}
    found: list[Measurement] = []
    for m in phase.measurements:
        point = points.get(m.point)
        if point is None or not m.samples:
            continue
        if m.metric == "tpot":
            found += [_mbu(run, point, m), *_overhead(phase, m)]
        elif m.metric == "ttft" and point.prompt_tokens >= LEAST_PROMPT:
            found.append(_mfu(run, point, m))
    return tuple(found)


def _mbu(run: StoredRun, point: WorkloadPoint, tpot: Measurement) -> Measurement:
    model, peaks = run.record.model, run.record.peaks
    if peaks is None:
        return _nothing("mbu", tpot, _NO_PEAKS)
    read = None if model is None else decode_bytes(model, point)
    if read is None:
        return _nothing("mbu", tpot, "the backend does not tell what a step of decoding reads")
    shares = [read / seconds / peaks.read_bandwidth for seconds in tpot.samples if seconds > 0]
    return _share("mbu", tpot, shares, f"of the read bandwidth of {_threads(peaks)}")


def _mfu(run: StoredRun, point: WorkloadPoint, ttft: Measurement) -> Measurement:
    model, peaks = run.record.model, run.record.peaks
    if peaks is None:
        return _nothing("mfu", ttft, _NO_PEAKS)
    work = None if model is None else prefill_operations(model, point)
    if model is None or work is None:
        return _nothing("mfu", ttft, "the backend does not tell what a prompt has to compute")
    kind = product_type(run.spec, model)
    peak = peaks.gemm_flops.get(kind)
    if peak is None:
        return _nothing("mfu", ttft, f"no peak of {kind} products could be measured here")
    shares = [work / seconds / peak for seconds in ttft.samples if seconds > 0]
    return _share("mfu", ttft, shares, f"of {kind} products of {_threads(peaks)}")


def _overhead(phase: PhaseRecord, tpot: Measurement) -> tuple[Measurement, ...]:
    """Time per token outside the engine's calls, where the engine's share is known [s]."""
    for m in phase.measurements:
        same = m.metric == "engine_share" and m.point == tpot.point
        if same and len(m.samples) == len(tpot.samples):
            outside = zip(tpot.samples, m.samples, strict=True)
            return (_share("decode_overhead", tpot, [t * (1 - s) for t, s in outside], tpot.scope),)
    return ()


_NO_PEAKS = "the machine's peaks were not measured with this run"


def _threads(peaks: MachinePeaks) -> str:
    return peaks.device if peaks.device != "cpu" else f"{peaks.threads} threads"


def _share(metric: str, of: Measurement, samples: Sequence[float], scope: str) -> Measurement:
    if not samples:
        return _nothing(metric, of, "no time was long enough to divide by")
    return Measurement(
        metric=metric,
        samples=tuple(samples),
        provenance=Provenance.DERIVED,
        method="derived",
        point=of.point,
        scope=scope,
    )


def _nothing(metric: str, of: Measurement, reason: str) -> Measurement:
    return Measurement(
        metric=metric,
        samples=(),
        provenance=Provenance.UNAVAILABLE,
        method="derived",
        point=of.point,
        reason=reason,
    )
