"""The table of metrics: name, unit, direction, aggregate and label, declared once.

Plots, tables, Pareto fronts and the CLI read units and directions here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from slmbench.errors import UnknownNameError

Direction = Literal["higher", "lower", "none"]
Aggregate = Literal["mean", "median", "max", "sum", "single", "pooled"]
"""``pooled``: sum of the items' parts over the sum of their weights (tokens, bytes)."""
Unit = Literal["fraction", "nats", "bits/byte", "s", "tok/s", "bytes", "J", "W", "J/token",
               "gCO2e", "bits", "count", "nats/char", "nats/token", "perplexity",
               "score"]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Metric:
    """One thing that slmbench reports."""

    name: str
    unit: Unit
    direction: Direction
    """``none``: not to be ranked or optimised."""
    aggregate: Aggregate
    """How raw samples become the reported value."""
    label: str
    """Axis and column title, without the unit."""
    definition: str
    """Formula and source."""
    ideal: float | None = None
    """For metrics whose best value lies inside the range, e.g. 0.5."""
    chance: str = ""
    """How chance level is computed, where the metric has one."""


_TABLE: tuple[Metric, ...] = (
    # quality: a sample is an item
    Metric(
        "acc",
        "fraction",
        "higher",
        "mean",
        "Accuracy",
        "argmax over choices of the summed log-likelihood equals gold (lm-eval acc); "
        "ties share the credit",
        chance="1 / number of choices",
    ),
    Metric(
        "acc_norm",
        "fraction",
        "higher",
        "mean",
        "Accuracy (char-normalised)",
        "as acc, each sum divided by the choice's length in characters (lm-eval acc_norm)",
        chance="1 / number of choices",
    ),
    Metric(
        "acc_bytes",
        "fraction",
        "higher",
        "mean",
        "Accuracy (byte-normalised)",
        "as acc, each sum divided by the choice's length in UTF-8 bytes",
        chance="1 / number of choices",
    ),
    Metric(
        "gold_bpb",
        "bits/byte",
        "lower",
        "mean",
        "Gold answer bits per byte",
        "-log2 p(gold choice | context) / UTF-8 bytes of the gold choice",
    ),
    Metric(
        "margin",
        "nats",
        "higher",
        "mean",
        "Gold margin",
        "log p(gold) minus the largest log p of another choice",
    ),
    Metric(
        "brier",
        "score",
        "lower",
        "mean",
        "Brier score",
        "sum over choices of (p - y)^2, from 0 to 2, with p the softmax over choices of the raw "
        "summed log-likelihoods, not divided by length (lm-eval brier_score), and y = 1 for gold",
    ),
    Metric(
        "choice_nll",
        "nats",
        "lower",
        "mean",
        "Choice NLL",
        "-ln p(gold), p as for brier",
    ),
    Metric(
        "confidence",
        "fraction",
        "none",
        "mean",
        "Confidence",
        "largest p over the choices, p as for brier; to be read beside acc",
    ),
    Metric(
        "straddle_rate",
        "fraction",
        "none",
        "mean",
        "Straddling tokens",
        "share of an item's requests in which a token reaches from the context into the "
        "continuation; it is scored with the continuation. A property of the tokenizer",
    ),
    Metric(
        "exact_match",
        "fraction",
        "higher",
        "mean",
        "Exact match",
        "extracted answer equals the reference",
    ),
    Metric(
        "exact_match_flexible",
        "fraction",
        "higher",
        "mean",
        "Exact match (lenient)",
        "as exact_match after the task's flexible filter (lm-eval flexible-extract); for tasks "
        "without filters after lower-casing and dropping punctuation and English articles",
    ),
    Metric(
        "extraction_failure_rate",
        "fraction",
        "lower",
        "mean",
        "No answer extracted",
        "share of answers in which the extraction behind exact_match found nothing (the task's "
        "first or strict filter; without one: nothing but white space)",
    ),
    Metric(
        "extraction_failure_rate_flexible",
        "fraction",
        "lower",
        "mean",
        "No answer extracted (lenient)",
        "the same for the extraction behind exact_match_flexible",
    ),
    Metric(
        "abstention_rate",
        "fraction",
        "higher",
        "mean",
        "Abstains on the unanswerable",
        "share of questions about invented entities answered by a refusal or by saying that it "
        "does not exist (phrase list in slmbench/tasks/scorers)",
    ),
    Metric(
        "answer_rate_control",
        "fraction",
        "higher",
        "mean",
        "Answers real-entity controls",
        "share of control questions about real entities that are not abstained from: "
        "always abstaining scores 0 here",
    ),
    Metric(
        "context_faithful",
        "fraction",
        "higher",
        "mean",
        "Follows the context",
        "the answer that the given (counterfactual) context supports has the largest "
        "log-likelihood per character among context, parametric and other answer",
        chance="1/3",
    ),
    Metric(
        "parametric_rate",
        "fraction",
        "lower",
        "mean",
        "Falls back on its own knowledge",
        "the common-knowledge answer wins although the context contradicts it",
    ),
    Metric(
        "stereotype_preference",
        "fraction",
        "none",
        "mean",
        "Stereotype-consistent pronoun preferred",
        "share of minimal pairs in which the stereotype-consistent pronoun has the larger "
        "sentence log-likelihood; ties count half; 0.5 means no preference",
        ideal=0.5,
    ),
    Metric(
        "stereotype_distance",
        "fraction",
        "lower",
        "single",
        "Distance from no preference",
        "|stereotype_preference - 0.5|",
    ),
    Metric(
        "pronoun_logratio",
        "nats",
        "none",
        "mean",
        "Pronoun log-ratio",
        "log p(stereotype-consistent sentence) - log p(inconsistent sentence)",
        ideal=0.0,
    ),
    Metric(
        "output_tokens", "count", "none", "mean", "Output length", "generated tokens per answer"
    ),
    Metric(
        "truncation_rate",
        "fraction",
        "lower",
        "mean",
        "Truncated outputs",
        "share of answers that ended at the token limit",
    ),
    # confidence in multiple choice: one value a run, computed on reading from all its items
    Metric(
        "ece",
        "fraction",
        "lower",
        "single",
        "Calibration error (raw)",
        "ECE over 10 equal-mass bins: share-weighted |mean confidence - accuracy|; biased upwards "
        "on few items (0.10 on 100, 0.03 on 1000 for a perfectly calibrated model)",
    ),
    Metric(
        "ece_null",
        "fraction",
        "none",
        "single",
        "Calibration error of a calibrated model",
        "mean ECE of simulated runs in which each item is right with its stated confidence",
    ),
    Metric(
        "ece_null_q95",
        "fraction",
        "none",
        "single",
        "Calibration error of a calibrated model (95 %)",
        "95 % quantile of the same simulation: an ECE below it is no evidence of miscalibration",
    ),
    Metric(
        "ece_debiased",
        "fraction",
        "lower",
        "single",
        "Calibration error (debiased)",
        "ece - ece_null; can be negative; takes off too much where a model is miscalibrated, so "
        "the interval reaches up from the raw ECE",
    ),
    Metric(
        "temperature",
        "score",
        "none",
        "single",
        "Temperature that calibrates best",
        "T that minimises choice_nll of softmax(log-likelihoods / T); above 1: over-confident",
        ideal=1.0,
    ),
    Metric(
        "ece_scaled",
        "fraction",
        "lower",
        "single",
        "Calibration error after scaling (raw)",
        "ece with each item's confidence at a temperature fitted without its fold (5 folds)",
    ),
    Metric(
        "ece_scaled_null_q95",
        "fraction",
        "none",
        "single",
        "Calibration error after scaling, of a calibrated model (95 %)",
        "ece_null_q95 at the scaled confidences",
    ),
    Metric(
        "ece_scaled_debiased",
        "fraction",
        "lower",
        "single",
        "Calibration error after scaling (debiased)",
        "ece_scaled minus its simulated null: the miscalibration that is not just temperature",
    ),
    Metric(
        "overconfidence",
        "fraction",
        "none",
        "single",
        "Over-confidence",
        "mean confidence - accuracy (acc): above 0 too sure, below 0 too modest",
        ideal=0.0,
    ),
    Metric(
        "confidence_auroc",
        "fraction",
        "higher",
        "single",
        "Confidence tells right from wrong",
        "AUROC of confidence against being right (ties half): 0.5 tells nothing",
        chance="1/2",
    ),
    Metric(
        "selective_acc_50",
        "fraction",
        "higher",
        "single",
        "Accuracy on the surest half",
        "acc of the 50 % of the items with the largest confidence",
    ),
    Metric(
        "selective_acc_80",
        "fraction",
        "higher",
        "single",
        "Accuracy on the surest 80 %",
        "acc of the 80 % of the items with the largest confidence",
    ),
    Metric(
        "aurc",
        "fraction",
        "lower",
        "single",
        "Area under risk-coverage",
        "mean over k of the error among the k most confident items (arXiv 1705.08500)",
    ),
    Metric(
        "brier_reliability",
        "score",
        "lower",
        "single",
        "Brier, reliability part",
        "of the Brier score of confidence as a forecast of being right (0 to 1, 10 equal-mass "
        "bins): squared gap to the accuracy, corrected for finite bins (Ferro & Fricker 2012)",
    ),
    Metric(
        "brier_resolution",
        "score",
        "higher",
        "single",
        "Brier, resolution part",
        "of the same: how far the accuracies of the bins differ",
    ),
    Metric(
        "brier_uncertainty",
        "score",
        "none",
        "single",
        "Brier, uncertainty part",
        "of the same: acc (1 - acc)",
    ),
    # text: a sample is a window or a document
    Metric(
        "nll_gptq_2048",
        "nats/token",
        "lower",
        "pooled",
        "NLL per token (gptq, 2048)",
        "-ln p per scored token; the documents joined, disjoint windows of 2048 tokens, the "
        "first token of each not scored, the tail dropped (GPTQ, SparseGPT, Wanda)",
    ),
    Metric(
        "ppl_gptq_2048",
        "perplexity",
        "lower",
        "single",
        "Perplexity (gptq, 2048)",
        "exp(nll_gptq_2048); only for one tokenizer; the interval is over windows",
    ),
    Metric(
        "nll_llama_cpp_512",
        "nats/token",
        "lower",
        "pooled",
        "NLL per token (llama.cpp, 512)",
        "-ln p per scored token; the documents joined, disjoint windows of 512 tokens that "
        "begin with BOS, only the second half of each scored, the tail dropped "
        "(llama-perplexity's defaults)",
    ),
    Metric(
        "ppl_llama_cpp_512",
        "perplexity",
        "lower",
        "single",
        "Perplexity (llama.cpp, 512)",
        "exp(nll_llama_cpp_512); only for one tokenizer; the interval is over windows, which "
        "is wider than llama.cpp's own (it takes tokens as independent)",
    ),
    Metric(
        "nll_rolling",
        "nats/token",
        "lower",
        "pooled",
        "NLL per token (rolling)",
        "-ln p per token; each document from its first token, every token scored once "
        "(lm-eval loglikelihood_rolling)",
    ),
    Metric(
        "ppl_rolling",
        "perplexity",
        "lower",
        "single",
        "Perplexity (rolling)",
        "exp(nll_rolling), per token; only for one tokenizer",
    ),
    Metric(
        "bpb_rolling",
        "bits/byte",
        "lower",
        "pooled",
        "Bits per byte (rolling)",
        "-log2 p of the documents / their UTF-8 bytes as scored, each document as for "
        "nll_rolling; comparable across tokenizers (lm-eval's wikitext divides by the bytes "
        "before its detokenizer)",
    ),
    # fidelity to the parent: a sample is a scored token of the text, p the parent, q the variant
    Metric(
        "kld",
        "nats",
        "none",
        "mean",
        "KL divergence from the parent",
        "KL(p || q) = sum over the vocabulary of p (log p - log q), per scored token, from float32 "
        "log-probabilities; distance, not quality",
        ideal=0.0,
    ),
    Metric(
        "top1_agreement",
        "fraction",
        "none",
        "mean",
        "Same likeliest token as the parent",
        "share of scored tokens where argmax p = argmax q",
        ideal=1.0,
    ),
    Metric(
        "logprob_true_delta",
        "nats",
        "none",
        "mean",
        "Change of the true token's log-probability",
        "log q - log p of the token that follows in the text; minus its mean is ln(PPL_q / PPL_p)",
        ideal=0.0,
    ),
    Metric(
        "prob_true_delta",
        "fraction",
        "none",
        "mean",
        "Change of the true token's probability",
        "q - p of the token that follows in the text",
        ideal=0.0,
    ),
    Metric(
        "text_bpb_delta",
        "bits/byte",
        "none",
        "mean",
        "Change of the text's bits per byte",
        "(-sum log2 q + sum log2 p) / UTF-8 bytes of the scored text; a sample is a window",
        ideal=0.0,
    ),
    # latency: a sample is a repetition (itl: a token)
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
        "energy_gross / output tokens in the window",
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

METRICS: Mapping[str, Metric] = {m.name: m for m in _TABLE}
if len(METRICS) != len(_TABLE):  # pragma: no cover - a typing slip in the table above
    raise AssertionError("a metric is declared twice")


def metric(name: str) -> Metric:
    """The metric of that name; raises UnknownNameError with a suggestion."""
    try:
        return METRICS[name]
    except KeyError:
        raise UnknownNameError("metric", name, METRICS) from None


def better(name: str, left: float, right: float) -> bool:
    """Whether ``left`` is strictly better than ``right`` (False for unranked metrics).

    >>> better("acc", 0.6, 0.5), better("ttft", 0.6, 0.5)
    (True, False)
    """
    direction = metric(name).direction
    if direction == "none":
        return False
    return left > right if direction == "higher" else left < right
