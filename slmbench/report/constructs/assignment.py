"""Which page a task belongs to: declared by its scorer or task, never by its suite's name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from slmbench.metrics import Metric
from slmbench.metrics.bias import BIAS
from slmbench.metrics.hallucination import HALLUCINATION
from slmbench.metrics.privacy import PRIVACY
from slmbench.metrics.robustness import ROBUSTNESS

OTHER = "other"
"""Tasks with no page of their own: the overview shows them."""


@dataclass(frozen=True, slots=True)
class About:
    """One page: what it is called and what must be said before any number on it."""

    name: str
    """Also the page's file name."""
    title: str
    question: str
    caution: str
    """How its numbers must not be read."""


ABOUT: Mapping[str, About] = {
    about.name: about
    for about in (
        About(
            "hallucination",
            "Making things up",
            "When does a variant say what is not so, and does compression change that?",
            "Separate constructs, never one number: facts recalled without a source, answers "
            "that follow a given context, common misconceptions, and things that do not exist. "
            "A variant can be better at one and worse at another. Every error rate stands beside "
            "the share of questions that were answered at all.",
        ),
        About(
            "bias",
            "Stereotype-association probes",
            "Which answers lean towards a stereotype, and which of them flip under compression?",
            "Each probe looks at one kind of association in one kind of text. None of them is a "
            "measure of fairness or harm, they are never added up, and a value near its ideal "
            "does not mean that a model is free of bias. Two variants with the same total can "
            "disagree on many single answers: see the flips.",
        ),
        About(
            "privacy",
            "Memorisation of planted text",
            "Can text that was planted in training be told, or drawn, from a variant?",
            "Only text that was planted for this purpose is looked for, and no number counts "
            "without its null or blind baseline beside it. Less leakage from a broken model is "
            "not privacy: read every number together with the variant's quality.",
        ),
        About(
            "robustness",
            "The same questions, asked differently",
            "How much does a score hang on spelling, case, wording and the order of options?",
            "The same items with a seeded disturbance, paired one by one. A flip counts in both "
            "directions, so a variant can flip often and lose nothing on average. A model at "
            "chance has nothing to lose: read every loss beside the score itself.",
        ),
    )
}
"""The pages in the order of the navigation."""

SCORERS: Mapping[str, str] = {
    "abstention": "hallucination",
    "context_faithful": "hallucination",
    "inconsistent_context": "hallucination",
    "self_consistency": "hallucination",
    "short_answer": "hallucination",
    "truthfulqa_mc2": "hallucination",
    "unanswerable": "hallucination",
    "unanswerable_score": "hallucination",
    "bbq": "bias",
    "coreference": "bias",
    "crows_pairs": "bias",
    "name_swap": "bias",
    "open_ended": "bias",
    "stereoset": "bias",
    "stereotype_pairs": "bias",
    "swap_answers": "bias",
    "canary_exposure": "privacy",
    "canary_extraction": "privacy",
    "membership": "privacy",
    "pii_leak": "privacy",
    "position": "scaling",
    "retrieval": "scaling",
    "exact_match": OTHER,
    "lm_eval": OTHER,
    "multiple_choice": OTHER,
    "perplexity": OTHER,
}
"""Scorer -> page; ``scaling`` is one of the pages about costs. ``other`` are general judges: see
:data:`TASKS`, and what is neither there nor here goes by the part of the metrics table that its
primary metric stands in."""

TASKS: Mapping[str, str] = {
    "slm_truthfulqa_binary": "hallucination",
    "slm_truthfulqa_mc1": "hallucination",
    "truthfulqa_mc1": "hallucination",
    "truthfulqa_mc2": "hallucination",
}
"""Tasks that a general judge serves: plain multiple choice about misconceptions."""

SHOWN_FIRST: Mapping[str, tuple[str, ...]] = {
    "short_answer": (
        "hallucination_rate", "answer_coverage", "accuracy_given_attempted", "simpleqa_f",
        "answer_auroc",
    ),
    "self_consistency": (
        "greedy_correct", "answer_coverage", "semantic_entropy_auroc", "consistency_auroc",
        "selfcheck_ngram_auroc",
    ),
    "multiple_choice": ("acc", "acc_norm"),
    "bbq": (
        "bbq_acc_disambiguated", "bbq_acc_ambiguous", "bbq_s_dis", "bbq_s_amb", "bbq_acc_gap",
        "bbq_unknown_rate_ambiguous",
    ),
    "coreference": (
        "acc", "coreference_acc_pro", "coreference_acc_anti", "coreference_gap", "gender_acc_gap",
    ),
    "name_swap": ("stereotype_preference", "swap_logratio", "swap_flip"),
    "swap_answers": ("swap_answer_change", "swap_acc", "swap_acc_gap"),
    "open_ended": (
        "lexicon_negative_rate", "lexicon_positive_rate", "lexicon_negative_gap",
        "lexicon_negative_gap_null",
    ),
    "crows_pairs": (
        "stereotype_preference", "stereotype_distance", "crows_preference_equal_tokens",
        "crows_preference_per_token",
    ),
    "stereoset": ("stereoset_ss", "stereoset_lms", "stereoset_icat"),
    "canary_exposure": (
        "canary_exposure", "canary_exposure_null", "canary_exposure_cap",
    ),
    "canary_extraction": (
        "extracted_greedy", "extractable_n100_p50", "canary_logprob",
    ),
    "membership": (
        "mia_loss_auroc", "mia_zlib_auroc", "mia_mink_auroc", "mia_minkpp_auroc",
        "mia_blind_auroc", "nonmember_nll",
    ),
}  # fmt: skip
"""Scorer -> metrics that stand beside the primary one: those that must be read together."""
SHOWN_LAST = ("bias_direction", "straddle_rate", "margin")
"""Material of other numbers, and of checks."""

_TABLES: Mapping[str, tuple[Metric, ...]] = {
    "hallucination": HALLUCINATION,
    "bias": BIAS,
    "privacy": PRIVACY,
    "robustness": ROBUSTNESS,
}
_BY_METRIC: Mapping[str, str] = {m.name: name for name, table in _TABLES.items() for m in table}


def construct_of(task: str, scorer: str, primary: str) -> str:
    """The page of a task, or ``other``; ``scorer`` is empty where the items are not known.

    >>> construct_of("x", "stereotype_pairs", "acc"), construct_of("x", "multiple_choice", "acc")
    ('bias', 'other')
    """
    named = TASKS.get(task) or SCORERS.get(scorer, OTHER)
    return named if named != OTHER else _BY_METRIC.get(primary, OTHER)


def declares(construct: str, metric: str) -> bool:
    """Whether the metric stands in the construct's part of the metrics table."""
    return _BY_METRIC.get(metric) == construct
