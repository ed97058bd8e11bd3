"""When answers may be written in batches."""

from __future__ import annotations

from slmbench.backends.probe import batch_agreement, probe_requests
from slmbench.requests import GenerateOutput


def told(*ids: int, gap: float = 0.0) -> GenerateOutput:
    return GenerateOutput(
        text="", token_ids=ids, prompt_tokens=1, evaluated_tokens=1, start_ns=0,
        token_ns=tuple(range(len(ids))), finish="length",
        token_logprobs=tuple(-1.0 - gap for _ in ids),
    )  # fmt: skip


ALONE = [told(1, 2, 3), told(4, 5), told(6)]


def test_float32_must_say_the_same() -> None:
    same = batch_agreement(ALONE, [told(1, 2, 3, gap=9.0), *ALONE[1:]], rows=8, full=True)
    assert (same.rows, same.reason) == (8, "")
    other = batch_agreement(ALONE, [told(1, 2, 7), *ALONE[1:]], rows=8, full=True)
    assert other.rows == 1
    assert other.reason.startswith("1 of 3 trial answers")


def test_rounding_may_turn_a_close_call_and_it_is_said() -> None:
    turned = [told(1, 2, 7, gap=0.1), ALONE[1], told(9)]
    verdict = batch_agreement(ALONE, turned, rows=8, full=False)
    assert verdict.rows == 8
    assert "2 of 3 trial answers" in verdict.reason
    quiet = batch_agreement(ALONE, ALONE, rows=8, full=False)
    assert quiet.rows == 8
    assert "close calls" in quiet.reason, "three short answers prove nothing"


def test_what_rounding_cannot_explain_is_refused() -> None:
    wrong = [told(1, 2, 7, gap=1.0), told(4, 5, gap=1.0), told(6, gap=1.0)]
    verdict = batch_agreement(ALONE, wrong, rows=8, full=False)
    assert verdict.rows == 1
    assert "beyond what rounding explains" in verdict.reason
    assert batch_agreement(ALONE, [told(8), told(8), told(8)], rows=8, full=False).rows == 1


def test_trial_prompts_are_of_different_lengths() -> None:
    lengths = {len(str(request.prompt)) for request in probe_requests()}
    assert len(lengths) == len(probe_requests()) == 3
