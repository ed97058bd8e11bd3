"""Short answers without a given context, and whether several answers agree; a sample is an item."""

from __future__ import annotations

from slmbench.metrics.kinds import Direction, Metric

_STATED = (
    "mean of 1 for a right answer, -t/(1-t) for a wrong one and 0 for none, with t = {t} stated "
    "in the prompt (Kalai et al. 2025, arXiv 2509.04664); always abstaining scores 0"
)
_UNSTATED = (
    "as penalised_{name} on answers to a prompt that states no t: not the published measure, "
    "which asks the model to weigh its answer; always abstaining scores 0"
)


def _penalised(name: str, t: str) -> tuple[Metric, Metric]:
    return (
        Metric(f"penalised_{name}", "score", "higher", "mean", f"Penalised score, t = {t}",
               _STATED.format(t=t)),
        Metric(f"penalised_{name}_unstated", "score", "higher", "mean",
               f"Penalised score, t = {t}, not stated", _UNSTATED.format(name=name)),
    )  # fmt: skip


def _auroc(measure: str, label: str, sign: str = "", name: str = "") -> tuple[Metric, Metric]:
    """Against strict and lenient correctness."""
    what = (
        f"AUROC of {sign}{measure} against being {{right}}, over the questions whose greedy answer "
        "attempts one (ties half): 0.5 tells nothing"
    )
    direction: Direction = "none" if measure.endswith("estimated") else "higher"
    return (
        Metric(f"{name or measure}_auroc", "fraction", direction, "single",
               f"{label} tells right from wrong", what.format(right="correct"), chance="1/2"),
        Metric(f"{name or measure}_auroc_lenient", "fraction", direction, "single",
               f"{label} tells right from wrong (lenient)",
               what.format(right="correct in the lenient sense"), chance="1/2"),
    )  # fmt: skip


CLOSED_BOOK: tuple[Metric, ...] = (
    Metric(
        "answer_correct",
        "fraction",
        "higher",
        "mean",
        "Correct",
        "share of all questions answered by an accepted answer, equal after SQuAD's normalisation "
        "(lower case, no punctuation, no articles, single blanks; arXiv 1606.05250)",
    ),
    Metric(
        "answer_incorrect",
        "fraction",
        "none",
        "mean",
        "Incorrect",
        "share of all questions with an answer that is neither accepted nor an abstention; 0 for "
        "who always abstains, so never to be read without not_attempted",
    ),
    Metric(
        "not_attempted",
        "fraction",
        "none",
        "mean",
        "Not attempted",
        "share of all questions answered by an abstention (phrases in "
        "slmbench/tasks/scorers/abstention.py, short ones in grading.py); empty answers are "
        "failures and no abstentions",
    ),
    Metric(
        "answer_contains",
        "fraction",
        "higher",
        "mean",
        "Correct (lenient)",
        "share of all questions whose answer attempts one and contains an accepted answer as whole "
        "words, both normalised: forgives answers in sentences, and also answers that name several "
        "things",
    ),
    Metric(
        "accuracy_given_attempted",
        "fraction",
        "higher",
        "mean",
        "Accuracy given attempted",
        "correct / (correct + incorrect) (SimpleQA, arXiv 2411.04368); to be read beside "
        "answer_coverage",
    ),
    Metric(
        "hallucination_rate",
        "fraction",
        "lower",
        "mean",
        "Hallucination rate at its coverage",
        "incorrect / (correct + incorrect), means nothing without answer_coverage. Counts an "
        "accepted answer inside a sentence as incorrect: an upper bound",
    ),
    Metric(
        "hallucination_rate_lenient",
        "fraction",
        "lower",
        "mean",
        "Hallucination rate (lenient)",
        "share of the attempted answers that do not contain an accepted answer as whole words",
    ),
    *_penalised("50", "0.5"),
    *_penalised("75", "0.75"),
    *_penalised("90", "0.9"),
    Metric(
        "answer_confidence",
        "fraction",
        "none",
        "mean",
        "Answer confidence",
        "exp of the mean log-probability of the answer's tokens, the one that ends it included "
        "(length-normalised probability: arXiv 2002.07650); attempted answers only",
    ),
    Metric(
        "answer_coverage",
        "fraction",
        "none",
        "mean",
        "Coverage",
        "share of all questions that are attempted: what the rates given attempted rest on",
    ),
    Metric(
        "simpleqa_f",
        "fraction",
        "higher",
        "single",
        "F of accuracy and coverage",
        "harmonic mean of correct / (correct + incorrect) and correct / n, which is 2 correct / "
        "(correct + incorrect + n) (SimpleQA, arXiv 2411.04368); unavailable where nothing is "
        "attempted",
    ),
    *_auroc("answer_confidence", "Answer confidence", name="answer"),
    Metric(
        "answer_aurc",
        "fraction",
        "lower",
        "single",
        "Risk-coverage area of answers",
        "mean over k of the share of incorrect answers among the k most confident of the attempted "
        "(AURC: arXiv 1705.08500); equals hallucination_rate where confidence ranks nothing. Spans "
        "the model's own coverage only",
    ),
    Metric(
        "greedy_correct",
        "fraction",
        "higher",
        "mean",
        "Greedy answer correct",
        "as accuracy_given_attempted, for the greedy answer beside the samples",
    ),
    Metric(
        "greedy_contains",
        "fraction",
        "higher",
        "mean",
        "Greedy answer correct (lenient)",
        "share of the attempted greedy answers that contain an accepted answer as whole words",
    ),
    Metric(
        "majority_correct",
        "fraction",
        "higher",
        "mean",
        "Majority answer correct",
        "share of questions whose most frequent sampled answer (by normalised text) is accepted; "
        "ties share the credit",
    ),
    Metric(
        "semantic_entropy",
        "nats",
        "none",
        "mean",
        "Semantic entropy (normalised match)",
        "-sum p ln p over the shares p of sampled answers with one normalised text, abstentions "
        "being one (discrete form: arXiv 2302.09664, Nature 630:625). Equal meanings in different "
        "words count as different: an upper bound",
    ),
    Metric(
        "semantic_entropy_estimated",
        "nats",
        "none",
        "mean",
        "Semantic entropy, estimated(classifier)",
        "as semantic_entropy with clusters by an installed model (entry point "
        "slmbench.answer_clusterers): its errors are in the number",
    ),
    Metric(
        "consistency",
        "fraction",
        "none",
        "mean",
        "Consistency of samples",
        "share of the sampled answers that are in the largest cluster; says nothing about truth: "
        "a model that repeats one text scores 1",
    ),
    Metric(
        "selfcheck_ngram",
        "nats",
        "none",
        "mean",
        "SelfCheck unigram, mean",
        "mean over the greedy answer's words of -ln p under a unigram model of the samples and the "
        "answer, one added to each count (SelfCheckGPT n-gram variant, arXiv 2303.08896)",
    ),
    Metric(
        "selfcheck_ngram_max",
        "nats",
        "none",
        "mean",
        "SelfCheck unigram, max",
        "as selfcheck_ngram with the largest -ln p of a word instead of the mean",
    ),
    Metric(
        "sample_failure_rate",
        "fraction",
        "lower",
        "mean",
        "Failed samples",
        "share of a question's sampled answers that failed or say nothing; they are left out",
    ),
    *_auroc("semantic_entropy", "Semantic entropy", "-"),
    *_auroc("semantic_entropy_estimated", "Semantic entropy, estimated(classifier),", "-"),
    *_auroc("consistency", "Consistency"),
    *_auroc("selfcheck_ngram", "SelfCheck unigram", "-"),
)
