from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from slmbench.backends.protocol import Batching, Sharing
from slmbench.requests import (
    GenerateOutput,
    GenerateRequest,
    Item,
    LoglikelihoodOutput,
    LoglikelihoodRequest,
    RollingRequest,
)
from slmbench.runner.answering import answers, batching_observation, sharing_observation

CHOICE = LoglikelihoodRequest(context="c", continuation=" a")
TEXT = RollingRequest(text="a text")
PROMPT = GenerateRequest(prompt="p", max_tokens=2)


class Notes:
    """Answers with the number of the call, and keeps how it was asked."""

    def __init__(self, *, exact: bool = True, why: str = "") -> None:
        self.calls: list[tuple[int, bool]] = []
        self.exact, self.why = exact, why
        self.together: list[int] = []
        self.written = 0
        self.batches = Batching(16)

    def loglikelihood(
        self, requests: Sequence[Any], *, share: bool = True
    ) -> Iterator[LoglikelihoodOutput]:
        self.calls.append((len(requests), share))
        for number in range(len(requests)):
            yield LoglikelihoodOutput(logprob=-float(number), tokens=1, context_tokens=1)

    def generate_many(self, requests: Sequence[GenerateRequest]) -> Iterator[GenerateOutput]:
        self.together.append(len(requests))
        yield from map(self.generate, requests)

    def batching(self) -> Batching:
        return self.batches

    def generate(self, request: GenerateRequest) -> GenerateOutput:
        self.written += 1
        return GenerateOutput(
            text=str(request.prompt), token_ids=(1,), prompt_tokens=1, evaluated_tokens=1,
            start_ns=0, token_ns=(1,), finish="length",
        )  # fmt: skip

    def sharing(self) -> Sharing:
        return Sharing(self.exact, self.why or ("" if self.exact else "it rounds"))


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


def prompt(text: str) -> GenerateRequest:
    return GenerateRequest(prompt=text, max_tokens=2)


def texts(outputs: Sequence[Any]) -> list[str]:
    return [a.text if a.kind == "generate" else str(a.logprob) for a in outputs]


def test_answers_in_words_are_handed_over_together_and_come_back_apart() -> None:
    notes: Any = Notes()
    items = [item("one", prompt("a"), prompt("b")), item("two", prompt("c"))]
    found = answers(notes, items, share=True)
    assert texts(next(found).outputs) == ["a", "b"]
    assert notes.written == 2, "what is known is told before the rest is written"
    assert texts(next(found).outputs) == ["c"]
    assert (notes.together, notes.calls) == ([3], [])


def test_without_sharing_every_answer_is_written_alone() -> None:
    notes: Any = Notes()
    found = list(answers(notes, [item("one", prompt("a"), prompt("b"))], share=False))
    assert [texts(o.outputs) for o in found] == [["a", "b"]]
    assert (notes.together, notes.written) == ([], 2)


def test_scores_and_words_come_in_the_order_of_the_requests() -> None:
    notes: Any = Notes()
    items = [item(str(at), CHOICE, prompt(str(at)), CHOICE) for at in range(70)]
    found = list(answers(notes, items, share=True))
    assert notes.calls == [(128, True), (12, True)]
    assert notes.together == [64, 6]
    assert texts(found[1].outputs) == ["-2.0", "1", "-3.0"]
    assert texts(found[64].outputs) == ["-0.0", "64", "-1.0"]
    assert [o.item_id for o in found] == [i.item_id for i in items]


def test_the_record_says_what_a_batch_changes() -> None:
    items = [item("one", prompt("a"), prompt("b"))]
    notes: Any = Notes()
    assert batching_observation(notes, items, share=True) is None
    notes.batches = Batching(16, "1 of 3 trial answers came out differently")
    seen = batching_observation(notes, items, share=True)
    assert seen is not None
    assert (seen.kind, seen.value) == ("batched_answers", 16.0)
    assert seen.message.startswith("answers were written up to 16 at a time: 1 of 3")
    notes.batches = Batching(1, "a running state")
    seen = batching_observation(notes, items, share=True)
    assert seen is not None
    assert seen.message == "answers were written one by one: a running state"
    asked = batching_observation(notes, items, share=False)
    assert asked is not None
    assert "scoring.shared_prefix" in asked.message
    assert batching_observation(notes, [item("one", prompt("a"), CHOICE)], share=True) is None


def test_the_record_says_why_prefixes_were_not_shared() -> None:
    items = [item("one", CHOICE)]
    exact: Any = Notes()
    rounding: Any = Notes(exact=False)
    assert sharing_observation(exact, items, share=True) is None
    seen = sharing_observation(rounding, items, share=True)
    assert seen is not None
    assert (seen.kind, seen.message) == (
        "shared_prefix", "every request was evaluated from scratch: it rounds")  # fmt: skip
    coarse: Any = Notes(why="rounds coarsely")
    noted = sharing_observation(coarse, items, share=True)
    assert noted is not None
    assert (noted.value, noted.message) == (1.0, "prefixes were shared: rounds coarsely")
    asked = sharing_observation(exact, items, share=False)
    assert asked is not None
    assert "scoring.shared_prefix" in asked.message
    assert sharing_observation(rounding, [item("two", PROMPT)], share=True) is None
