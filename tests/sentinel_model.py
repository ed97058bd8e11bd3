"""Models that know nothing: they answer requests without reading what is asked.

``nan``: no number is finite. ``constant``: every token is equally likely, so the shortest text
is the likeliest. ``tied``: every choice is equally likely, whatever its length. ``random``: a hash
of the request decides. ``abstain``: prefers what reads like an abstention, and writes one.
``first``: the choice that is asked for first. ``longest``: the longest choice; it writes the whole
prompt out again, which holds the answer wherever a context is given.

Running text is uniform noise to all of them, and no choice is likely in itself: only which of
several is preferred differs.
"""

from __future__ import annotations

import hashlib
import math
import re
from typing import Literal, get_args

from slmbench.requests import (
    Failure,
    GenerateOutput,
    GenerateRequest,
    Item,
    ItemOutput,
    ItemSet,
    LoglikelihoodOutput,
    Output,
    Prompt,
    Request,
    RollingRequest,
    TokenDetail,
    WindowScore,
)
from slmbench.tasks.scorers.abstention import abstains

Mode = Literal["nan", "constant", "tied", "random", "abstain", "first", "longest"]
MODES: tuple[Mode, ...] = get_args(Mode)
_UNLIKELY = -10_000.0
"""What the preferred choice gets [nats]."""
_LETTERS = "etaoinshrdlu"
_DECLINES = re.compile(
    r"\b(?:unknown|cannot|can't|not (?:enough|known|say|answerable)|undetermined|"
    r"no (?:comment|answer)|not sure|(?:does|do) not)\b",
    re.IGNORECASE,
)
"""Choices that an abstaining model would take; a guess at wordings, wide on purpose."""


def answers(items: ItemSet, mode: Mode) -> list[ItemOutput]:
    """What the model says to every item."""
    return [
        ItemOutput(item_id=item.item_id, outputs=tuple(_outputs(item, mode)))
        for item in items.items
    ]


def _outputs(item: Item, mode: Mode) -> list[Output]:
    return [_answer(request, place, mode) for place, request in enumerate(item.requests)]


def _answer(request: Request, place: int, mode: Mode) -> Output:
    if isinstance(request, GenerateRequest):
        return _written(request, mode)
    rolling = isinstance(request, RollingRequest)
    text = request.text if isinstance(request, RollingRequest) else request.continuation
    tokens = max(1, len(text.encode()))
    failure: Failure | None = "non_finite" if mode == "nan" else None
    value = None if failure else _logprob(request, text, place, mode)
    windows = () if value is None else (WindowScore(logprob=value, tokens=tokens),)
    return LoglikelihoodOutput(
        logprob=value,
        tokens=tokens,
        context_tokens=1,
        greedy=False,
        failure=failure,
        windows=windows if rolling else (),
        details=_details(request, value, tokens),
    )


def _logprob(request: Request, text: str, place: int, mode: Mode) -> float:
    size = len(text.encode())
    if mode == "random":
        return -size * (math.log(257) + unit(request.model_dump_json()))
    if mode == "constant" or isinstance(request, RollingRequest):
        return -math.log(257) * size
    if mode == "abstain":
        return _UNLIKELY if abstains(text) or _DECLINES.search(text) else 2 * _UNLIKELY
    if mode == "first":
        return (1 + place) * _UNLIKELY
    if mode == "longest":
        return 100 * _UNLIKELY / (1 + len(text))
    return _UNLIKELY


def _details(request: Request, value: float | None, tokens: int) -> tuple[TokenDetail, ...]:
    """The same for every token, with a spread that says nothing."""
    if value is None or not isinstance(request, RollingRequest) or not request.details:
        return ()
    one = TokenDetail(logprob=value / tokens, mean=-math.log(257), sd=1.0)
    return (one,) * tokens


def _written(request: GenerateRequest, mode: Mode) -> GenerateOutput:
    text = "" if mode == "nan" else _text(request, mode)
    for stop in request.stop:
        text = text.partition(stop)[0]
    failure: Failure | None = None
    if not text:
        failure = "non_finite" if mode == "nan" else "empty_output"
    words = tuple(range(1, len(text.split()) + 1))[: request.max_tokens] or (1,)
    return GenerateOutput(
        text=text,
        token_ids=words,
        prompt_tokens=9,
        evaluated_tokens=9,
        start_ns=0,
        token_ns=words,
        finish="length" if mode == "longest" else "stop",
        failure=failure,
        token_logprobs=tuple(-1.0 - unit(f"{request.seed}{w}{text}") for w in words)
        if request.logprobs and not failure
        else (),
    )


def _text(request: GenerateRequest, mode: Mode) -> str:
    if mode == "abstain":
        return "I don't know."
    if mode == "longest":
        return " ".join(_plain(request.prompt).split())
    if mode == "random":
        numbers = hashlib.sha256(request.model_dump_json().encode()).digest()
        letters = "".join(_LETTERS[n % 12] if n % 5 else " " for n in numbers)
        return " ".join(letters.split())
    return {"constant": " ", "tied": "yes", "first": "the"}[mode]


def _plain(prompt: Prompt) -> str:
    return prompt if isinstance(prompt, str) else prompt[-1].content


def unit(text: str) -> float:
    """A number in [0, 1) from a hash."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:13], 16) / 16**13
