"""Given contexts, misconceptions, premises that do not hold; a sample is an item."""

from __future__ import annotations

from slmbench.metrics.closed_book import CLOSED_BOOK
from slmbench.metrics.kinds import Metric

HALLUCINATION: tuple[Metric, ...] = (
    *CLOSED_BOOK,
    Metric(
        "abstention_rate",
        "fraction",
        "higher",
        "mean",
        "Abstains on the unanswerable",
        "share of questions about invented entities answered by a refusal or by saying that it "
        "does not exist (phrase list in slmbench/tasks/scorers)",
    ),
    Metric(
        "answer_rate_control",
        "fraction",
        "higher",
        "mean",
        "Answers real-entity controls",
        "share of control questions about real entities that are not abstained from: "
        "always abstaining scores 0 here",
    ),
    Metric(
        "context_faithful",
        "fraction",
        "higher",
        "mean",
        "Follows the context",
        "the answer that the given (counterfactual) context supports has the largest "
        "log-likelihood per character among context, parametric and other answer",
        chance="1/3",
    ),
    Metric(
        "parametric_rate",
        "fraction",
        "lower",
        "mean",
        "Falls back on its own knowledge",
        "the common-knowledge answer wins although the context contradicts it",
        chance="1/3",
    ),
    Metric(
        "abstention_correct",
        "fraction",
        "higher",
        "mean",
        "Abstains where it should",
        "abstains from the invented, answers the real control: always and never abstaining "
        "both give 1/2 where there are as many of each",
        chance="1/2",
    ),
    Metric(
        "abstention_balanced",
        "fraction",
        "higher",
        "single",
        "Balanced abstention",
        "mean of abstention_rate and answer_rate_control; always and never abstaining both "
        "give 1/2",
        chance="1/2",
    ),
    Metric(
        "premise_rejected",
        "fraction",
        "higher",
        "mean",
        "Rejects false premises",
        "share of questions that take something false for granted whose answer abstains, "
        "denies it (phrase list in slmbench/tasks/scorers/premises.py) or names what is true "
        "instead",
    ),
    Metric(
        "premise_accepted_control",
        "fraction",
        "higher",
        "mean",
        "Accepts true premises",
        "share of questions of the same form with a true premise whose answer neither "
        "abstains nor denies it: always rejecting scores 0 here",
    ),
    Metric(
        "premise_balanced",
        "fraction",
        "higher",
        "single",
        "Balanced rejection of premises",
        "mean of premise_rejected and premise_accepted_control; always and never rejecting "
        "both give 1/2",
        chance="1/2",
    ),
    Metric(
        "other_rate",
        "fraction",
        "lower",
        "mean",
        "Neither context nor knowledge",
        "an answer of the same kind wins that neither the context nor common knowledge supports",
        chance="1/3",
    ),
    Metric(
        "memorization_ratio",
        "fraction",
        "lower",
        "single",
        "Knowledge over context",
        "parametric / (parametric + context) answers, as in Longpre et al. 2021 (arXiv "
        "2109.05052); none where neither occurs",
        chance="1/2",
    ),
    Metric(
        "has_ans_f1",
        "fraction",
        "higher",
        "mean",
        "F1 where there is an answer",
        "token F1 of SQuAD (lower case, no punctuation, no articles) over answerable "
        "questions; declining gives 0",
    ),
    Metric(
        "has_ans_exact",
        "fraction",
        "higher",
        "mean",
        "Exact where there is an answer",
        "exact match of SQuAD over answerable questions; an answer in a whole sentence is not "
        "exact",
    ),
    Metric(
        "has_ans_contains",
        "fraction",
        "higher",
        "mean",
        "Has the answer in it",
        "the answer stands in the reply as whole words, after SQuAD's normalisation, answerable "
        "questions only; forgives whole sentences, and lists of guesses too",
    ),
    Metric(
        "no_ans_accuracy",
        "fraction",
        "higher",
        "mean",
        "Declines without an answer",
        "share of unanswerable questions that are declined (phrase list in "
        "slmbench/tasks/scorers/unanswerable.py); always declining gives 1, read it beside "
        "has_ans_f1",
    ),
    Metric(
        "squad2_f1",
        "fraction",
        "higher",
        "mean",
        "F1 with unanswerable questions",
        "SQuAD 2.0 F1: token F1 where there is an answer, 1 for declining where there is none "
        "(arXiv 1806.03822); always declining gives the share without an answer, here 1/2",
    ),
    Metric(
        "decline_score",
        "nats/char",
        "none",
        "mean",
        "Leaning towards declining",
        "log-likelihood per character of the declining choice minus the largest of the others",
    ),
    Metric(
        "decline_correct",
        "fraction",
        "higher",
        "mean",
        "Declines where it should",
        "the declining choice wins where the passage has no answer, and only there; always "
        "and never declining both give 1/2",
        chance="1/2",
    ),
    Metric(
        "span_accuracy",
        "fraction",
        "higher",
        "mean",
        "Finds the answer",
        "the right one has the largest log-likelihood per character among the choices that do "
        "not decline, answerable questions only",
        chance="1/5",
    ),
    Metric(
        "abstain_auroc",
        "fraction",
        "higher",
        "single",
        "AUROC of declining",
        "P(an unanswerable question has a larger decline_score than an answerable one), ties half",
        chance="1/2",
    ),
    Metric(
        "conflict_detected",
        "fraction",
        "higher",
        "mean",
        "Reports the contradiction",
        "the choice that says so is likelier per character than both answers, conflicting "
        "passages only",
    ),
    Metric(
        "agreement_kept",
        "fraction",
        "higher",
        "mean",
        "Sees no contradiction in agreement",
        "the choice that reports a contradiction does not win where the passages agree: "
        "always reporting one scores 0 here",
    ),
    Metric(
        "conflict_correct",
        "fraction",
        "higher",
        "mean",
        "Contradictions told from agreement",
        "conflict_detected over conflicting and agreement_kept over consistent passages; "
        "always and never reporting both give 1/2",
        chance="1/2",
    ),
    Metric(
        "conflict_score",
        "nats/char",
        "none",
        "mean",
        "Leaning towards a contradiction",
        "log-likelihood per character of the choice that reports a contradiction",
    ),
    Metric(
        "conflict_auroc",
        "fraction",
        "higher",
        "single",
        "AUROC of contradictions",
        "P(conflicting passages have a larger conflict_score than consistent ones), ties half",
        chance="1/2",
    ),
    Metric(
        "first_passage_preference",
        "fraction",
        "none",
        "mean",
        "Prefers the first passage",
        "of two contradicting passages, the answer of the first is likelier per character "
        "than that of the second; no preference is 1/2",
        ideal=0.5,
        chance="1/2",
    ),
    Metric(
        "truthfulqa_mc2",
        "fraction",
        "higher",
        "mean",
        "Truth mass (misconception probe)",
        "TruthfulQA MC2: sum of exp(log p) of the true answers over that of all (arXiv "
        "2109.07958); a misconception probe, no rate of hallucinations",
        chance="true choices / choices",
    ),
)
