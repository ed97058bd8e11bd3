"""lm-eval's own evaluator on a backend of ours, through :class:`BackendLM`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from slmbench.errors import UsageError
from slmbench.requests import (
    ChatMessage,
    GenerateOutput,
    GenerateRequest,
    LoglikelihoodOutput,
    RollingRequest,
)
from stock_task import lm_eval_task

pytestmark = [pytest.mark.engine, pytest.mark.network]


class Parrot:
    """A backend whose answers are known: log p is minus the length, text repeats the prompt."""

    def __init__(self, failure: str | None = None) -> None:
        self.failure = failure
        self.asked: list[Any] = []

    def loglikelihood(self, requests: Any) -> Any:
        self.asked.append(tuple(requests))
        for request in requests:
            text = request.text if isinstance(request, RollingRequest) else request.continuation
            yield LoglikelihoodOutput.model_validate(
                {
                    "logprob": None if self.failure else -float(len(text)),
                    "tokens": 1,
                    "context_tokens": 1,
                    "greedy": False,
                    "failure": self.failure,
                }
            )

    def generate(self, request: GenerateRequest) -> GenerateOutput:
        self.asked.append(request)
        return GenerateOutput.model_validate(
            {
                "text": "I do not know.",
                "token_ids": (1,),
                "prompt_tokens": 1,
                "evaluated_tokens": 1,
                "start_ns": 0,
                "token_ns": (1,),
                "finish": "stop",
                "failure": self.failure,
            }
        )


def test_lm_evals_own_evaluator_runs_on_a_backend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import lm_eval

    from slmbench.tasks.backend_lm import BackendLM

    parrot = Parrot()
    theirs = lm_eval_task("arc_easy", tmp_path)
    result = lm_eval.simple_evaluate(
        model=BackendLM(parrot, "parrot", "ab" * 32),
        tasks=[theirs],
        limit=12,
        bootstrap_iters=0,
        log_samples=True,
    )
    # the shortest choice has the largest log-likelihood here
    expected = [
        theirs.doc_to_choice(doc).index(min(theirs.doc_to_choice(doc), key=len))
        == int(theirs.doc_to_target(doc))
        for doc in list(theirs.task_docs)[:12]
    ]
    assert result["results"]["arc_easy"]["acc,none"] == pytest.approx(sum(expected) / 12)
    assert [len(group) for group in parrot.asked] == [
        sum(len(theirs.doc_to_choice(doc)) for doc in list(theirs.task_docs)[:12])
    ], "all at once, so that the backend can share"


def instance(kind: str, *arguments: Any) -> Any:
    from lm_eval.api.instance import Instance

    return Instance(request_type=kind, doc={}, arguments=arguments, idx=0, metadata=("t", 0, 1))  # type: ignore[arg-type]


def test_backend_lm_generation_chat_and_rolling() -> None:
    from slmbench.tasks.backend_lm import BackendLM

    parrot = Parrot()
    model = BackendLM(parrot, "parrot", "ab" * 32)
    prompt = model.apply_chat_template([{"role": "user", "content": "Hi"}])
    options = {"until": ["\n"], "max_gen_toks": 7, "do_sample": False}
    assert model.generate_until([instance("generate_until", prompt, options)]) == ["I do not know."]
    assert parrot.asked == [
        GenerateRequest(
            prompt=(ChatMessage(role="user", content="Hi"),), max_tokens=7, stop=("\n",)
        )
    ]
    assert model.loglikelihood_rolling([instance("loglikelihood_rolling", "four")]) == [-4.0]
    assert "ab" * 32 in model.tokenizer_name


def test_backend_lm_refuses_what_would_give_wrong_scores(tmp_path: Path) -> None:
    from lm_eval.api.model import CachingLM

    from slmbench.errors import SlmbenchError
    from slmbench.tasks.backend_lm import BackendLM

    model = BackendLM(Parrot("non_finite"), "parrot", "ab" * 32)
    with pytest.raises(SlmbenchError, match="non_finite"):
        model.loglikelihood([instance("loglikelihood", "a", " b")])
    with pytest.raises(SlmbenchError, match="non_finite"):
        model.generate_until([instance("generate_until", "a", {"until": []})])
    with pytest.raises(UsageError, match="samples"):
        model.generate_until([instance("generate_until", "a", {"do_sample": True})])
    with pytest.raises(UsageError, match="response cache"):
        CachingLM(model, str(tmp_path / "cache.db"))
