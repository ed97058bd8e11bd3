from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from slmbench.backends.protocol import Sharing
from slmbench.requests import (
    GenerateOutput,
    GenerateRequest,
    Item,
    LoglikelihoodOutput,
    LoglikelihoodRequest,
    RollingRequest,
)
from slmbench.runner.answering import answers, sharing_observation

CHOICE = LoglikelihoodRequest(context="c", continuation=" a")
TEXT = RollingRequest(text="a text")
PROMPT = GenerateRequest(prompt="p", max_tokens=2)


class Notes:
    """Answers with the number of the call, and keeps how it was asked."""

    def __init__(self, *, exact: bool = True) -> None:
        self.calls: list[tuple[int, bool]] = []
        self.exact = exact

    def loglikelihood(
        self, requests: Sequence[Any], *, share: bool = True
    ) -> Iterator[LoglikelihoodOutput]:
        self.calls.append((len(requests), share))
        for number in range(len(requests)):
            yield LoglikelihoodOutput(logprob=-float(number), tokens=1, context_tokens=1)

    def generate(self, request: GenerateRequest) -> GenerateOutput:
        return GenerateOutput(
            text="x", token_ids=(1,), prompt_tokens=1, evaluated_tokens=1, start_ns=0,
            token_ns=(1,), finish="length",
        )  # fmt: skip

    def sharing(self) -> Sharing:
        return Sharing(self.exact, "" if self.exact else "it rounds")


def item(name: str, *requests: Any) -> Item:
    return Item(item_id=name, cluster=name, requests=requests)


def test_items_are_handed_over_together_and_come_back_apart() -> None:
    notes: Any = Notes()
    items = [item("one", CHOICE, CHOICE), item("two", TEXT), item("three", CHOICE)]
    found = list(answers(notes, items, share=True))
    assert notes.calls == [(4, True)]
    assert [o.item_id for o in found] == ["one", "two", "three"]
    told = [[a.logprob for a in o.outputs if a.kind == "loglikelihood"] for o in found]
    assert told == [[0.0, -1.0], [-2.0], [-3.0]]


def test_generations_are_asked_item_by_item_in_the_order_of_the_requests() -> None:
    notes: Any = Notes()
    found = list(answers(notes, [item("one", CHOICE, PROMPT, CHOICE), item("two", PROMPT)],
                         share=False))  # fmt: skip
    assert notes.calls == [(2, False)]
    assert [[a.kind for a in o.outputs] for o in found] == [
        ["loglikelihood", "generate", "loglikelihood"], ["generate"]]  # fmt: skip


def test_the_record_says_why_prefixes_were_not_shared() -> None:
    items = [item("one", CHOICE)]
    exact: Any = Notes()
    rounding: Any = Notes(exact=False)
    assert sharing_observation(exact, items, share=True) is None
    seen = sharing_observation(rounding, items, share=True)
    assert seen is not None
    assert (seen.kind, seen.message) == (
        "shared_prefix", "every request was evaluated from scratch: it rounds")  # fmt: skip
    asked = sharing_observation(exact, items, share=False)
    assert asked is not None
    assert "scoring.shared_prefix" in asked.message
    assert sharing_observation(rounding, [item("two", PROMPT)], share=True) is None
