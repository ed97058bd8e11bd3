"""Latency (a sample is a repetition), memory, energy, and what a variant weighs."""

from __future__ import annotations

from slmbench.metrics.kinds import Metric

COST: tuple[Metric, ...] = (
    # latency
    Metric(
        "load_time",
        "s",
        "lower",
        "median",
        "Load time",
        "from the start of loading until the model can answer, page cache warm or not as noted",
    ),
    Metric(
        "ttft",
        "s",
        "lower",
        "median",
        "Time to first token",
        "from handing over the request until the first token's id is known",
    ),
    Metric(
        "tpot",
        "s",
        "lower",
        "median",
        "Time per output token",
        "(last token - first token) / (n_out - 1), n_out >= 2",
    ),
    Metric("itl", "s", "lower", "median", "Inter-token latency", "gap between successive tokens"),
    Metric(
        "e2e", "s", "lower", "median", "End-to-end latency", "from handing over to the last token"
    ),
    Metric(
        "prefill_rate",
        "tok/s",
        "higher",
        "median",
        "Prefill rate",
        "evaluated prompt tokens / time to first token",
    ),
    Metric(
        "decode_rate",
        "tok/s",
        "higher",
        "median",
        "Decode rate",
        "(n_out - 1) / (last - first token)",
    ),
    # memory
    Metric("artefact_size", "bytes", "lower", "single", "Size on disk", "bytes of the artefact"),
    Metric(
        "peak_rss",
        "bytes",
        "lower",
        "max",
        "Peak memory (VmHWM)",
        "VmHWM of the worker since the phase began (reset through clear_refs where permitted); "
        "includes file-mapped pages",
    ),
    Metric(
        "peak_memory",
        "bytes",
        "lower",
        "max",
        "Peak memory",
        "largest VmHWM over the phases of a fresh process, runtime included",
    ),
    Metric(
        "runtime_overhead",
        "bytes",
        "lower",
        "max",
        "Runtime overhead",
        "Pss of the worker with its engine imported and no model loaded",
    ),
    Metric(
        "pss_anon",
        "bytes",
        "lower",
        "max",
        "Anonymous memory (Pss_Anon)",
        "Pss_Anon of smaps_rollup at the end of the phase: memory that cannot be evicted",
    ),
    Metric(
        "pss_file",
        "bytes",
        "lower",
        "max",
        "File-backed memory (Pss_File)",
        "Pss_File of smaps_rollup at the end of the phase: mapped weights, evictable",
    ),
    Metric(
        "cuda_allocated",
        "bytes",
        "lower",
        "max",
        "CUDA allocated",
        "torch.cuda.max_memory_allocated in the phase",
    ),
    Metric(
        "cuda_reserved",
        "bytes",
        "lower",
        "max",
        "CUDA reserved",
        "torch.cuda.max_memory_reserved in the phase",
    ),
    Metric(
        "gpu_memory",
        "bytes",
        "lower",
        "max",
        "GPU memory in use",
        "device memory used (NVML), whole device",
    ),
    # energy
    Metric(
        "energy_gross",
        "J",
        "lower",
        "median",
        "Energy",
        "difference of a hardware counter over the window",
    ),
    Metric(
        "energy_per_token",
        "J/token",
        "lower",
        "median",
        "Energy per output token",
        "energy_total / output tokens, what the prompt took included",
    ),
    Metric(
        "energy_estimate",
        "J",
        "none",
        "median",
        "Energy (codecarbon model)",
        "codecarbon's model of power x time; without RAPL a constant times wall time",
    ),
    Metric(
        "energy_estimate_per_token",
        "J/token",
        "none",
        "median",
        "Energy per output token (codecarbon model)",
        "energy_estimate / output tokens: restates decode rate when power is a constant",
    ),
    Metric(
        "co2e_estimate",
        "gCO2e",
        "none",
        "median",
        "Carbon (codecarbon model)",
        "energy_estimate x grid factor; never ranked",
    ),
    Metric("gpu_power", "W", "none", "mean", "GPU power", "NVML counter difference / window"),
    # identity
    Metric(
        "bits_per_weight",
        "bits",
        "lower",
        "single",
        "Effective bits per weight",
        "8 x stored weight bytes / logical parameters, scales, embeddings and head included",
    ),
    Metric("parameters", "count", "none", "single", "Parameters", "logical parameters, tied once"),
)
