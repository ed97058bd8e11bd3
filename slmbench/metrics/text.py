"""Perplexity (a sample is a window or a document) and fidelity (a scored token)."""

from __future__ import annotations

from slmbench.metrics.kinds import Metric

TEXT: tuple[Metric, ...] = (
    # perplexity
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
    # fidelity: p the parent, q the variant
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
)
