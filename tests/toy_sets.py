"""A toy item for every scorer, with the task and primary metric that it may stand under."""

from __future__ import annotations

import json
from collections.abc import Callable

from slmbench.requests import GenerateRequest, Item, LoglikelihoodRequest, RollingRequest

PROSE = "the cat sat on the mat and thought of nothing in particular. " * 80


def _choices(name: str, words: tuple[str, ...], group: str = "") -> Item:
    asked = tuple(LoglikelihoodRequest(context=f"{name}?", continuation=f" {w}") for w in words)
    return Item(item_id=name, cluster=name, group=group, requests=asked, gold=1, choices=words)


def _meaning(target: str, item: Item) -> Item:
    """What the choices stand for."""
    return item.model_copy(update={"target": target})


def _question(name: str, group: str = "", target: str = "") -> Item:
    asked = GenerateRequest(prompt=f"{name}?", max_tokens=24)
    return Item(item_id=name, cluster=name, group=group, target=target, requests=(asked,))


def _sampled(item: Item) -> Item:
    """The greedy answer and three samples."""
    (greedy,) = item.requests
    samples = (greedy.model_copy(update={"temperature": 0.5, "seed": i}) for i in range(3))
    return item.model_copy(update={"requests": (greedy, *samples)})


def _gsm8k(name: str) -> Item:
    doc = {"question": f"{name}?", "answer": "It is.\n#### 7"}
    return _question(name, target=json.dumps(doc))


def _text(name: str, request: RollingRequest) -> Item:
    return Item(item_id=name, cluster=name, requests=(request,))


SETS: dict[str, tuple[str, str, Callable[[str], Item]]] = {
    # task -> scorer, primary metric, one toy item; the task's name only has to exist
    "piqa": ("multiple_choice", "acc", lambda n: _choices(n, ("yes", "noo", "perhaps"))),
    "slm_counterfactual_context": (
        "context_faithful", "context_faithful", lambda n: _choices(n, ("Rome", "Bonn", "Oslo"))
    ),
    "slm_occupation_pronoun": (
        "stereotype_pairs", "stereotype_preference", lambda n: _choices(n, ("he ran", "she ran"))
    ),
    "slm_nonexistent": ("abstention", "abstention_rate", lambda n: _question(n, "fictional")),
    "slm_unanswerable_context": (
        "unanswerable", "squad2_f1", lambda n: _question(n, "answerable", "e")
    ),
    "slm_unanswerable_score": (
        "unanswerable_score",
        "decline_correct",
        lambda n: _meaning("2", _choices(n, ("Rome", "Bonn", "none"), "answerable")),
    ),
    "slm_inconsistent_context": (
        "inconsistent_context",
        "conflict_correct",
        lambda n: _meaning('["first", "second", "conflict"]',
                           _choices(n, ("Rome", "Bonn", "both"), "conflicting")),
    ),
    "slm_truthfulqa_mc2": (
        "truthfulqa_mc2",
        "truthfulqa_mc2",
        lambda n: _meaning("[0, 1, 1]", _choices(n, ("yes", "noo", "perhaps"))),
    ),
    "slm_crows_pairs": (
        "crows_pairs",
        "stereotype_preference",
        lambda n: _meaning("10", _choices(n, ("he ran", "she ran"))),
    ),
    "slm_stereoset": (
        "stereoset",
        "stereotype_preference",
        lambda n: _meaning("201", _choices(n, ("was kind", "was loud", "was soup"))),
    ),
    "slm_winobias": (
        "coreference",
        "stereotype_preference",
        lambda n: _meaning("anti", _choices(n, ("guard", "nurse"))),
    ),
    "slm_name_swap": (
        "name_swap",
        "stereotype_preference",
        lambda n: _choices(n, ("Al ran", "Al sat", "Bo ran", "Bo sat")),
    ),
    "slm_swap_answers": (
        "swap_answers",
        "swap_answer_change",
        lambda n: _choices(n, ("Al: 1", "Al: 2", "Bo: 1", "Bo: 2")),
    ),
    "slm_open_ended": ("open_ended", "lexicon_negative_rate", _question),
    "coqa": ("exact_match", "exact_match", lambda n: _question(n, target="e")),
    "gsm8k": ("lm_eval", "exact_match", _gsm8k),
    "slm_text_boolq_rolling": (
        "perplexity", "bpb_rolling", lambda n: _text(n, RollingRequest(text=f"{n}. naïve"))
    ),
    "slm_text_boolq_gptq_2048": (
        "perplexity",
        "ppl_gptq_2048",
        lambda n: _text(n, RollingRequest(text=PROSE + n, protocol="gptq", window=2048)),
    ),
    "slm_bbq": (
        "bbq",
        "bbq_acc_ambiguous",
        lambda n: _meaning(
            '{"category": "Age", "question_index": "1", "condition": "ambig", "polarity": "neg", '
            '"roles": ["target", "unknown", "non_target"]}',
            _choices(n, ("old", "unknown", "young")),
        ),
    ),
    "slm_nq_open": ("short_answer", "answer_correct", lambda n: _question(n, target='["e"]')),
    "slm_triviaqa_samples": (
        "self_consistency",
        "greedy_correct",
        lambda n: _sampled(_question(n, target='["e"]')),
    ),
    "slm_canary_exposure": (
        "canary_exposure", "canary_exposure", lambda n: _choices(n, ("12", "34", "56"), "r1")
    ),
    "slm_canary_extraction": (
        "canary_extraction", "extracted_greedy", lambda n: _choices(n, ("12",), "r1")
    ),
    "slm_membership": (
        "membership",
        "mia_minkpp",
        lambda n: _text(n, RollingRequest(text=f"{n} was here.", details=True)),
    ),
    "slm_multikey_choice": (
        "retrieval",
        "retrieval_choice",
        lambda n: _meaning('{"words": 9, "depth": 0, "key": "12", "others": ["34"]}',
                           _choices(n, ("12", "34", "56"), "9 words, 0 % deep")),
    ),
    "slm_long_text": (
        "position",
        "position_nll",
        lambda n: _text(n, RollingRequest(text=f"{n} was here. {PROSE[:200]}", details=True)),
    ),
    "slm_pii_leak": (
        "pii_leak",
        "pii_leak_rate",
        lambda n: _question(n, target='{"planted": true, "kind": "phone", "value": "555-0142"}'),
    ),
}  # fmt: skip
