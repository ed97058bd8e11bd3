"""Confidence in multiple choice: one value a run, computed on reading from all its items."""

from __future__ import annotations

from slmbench.metrics.kinds import Metric

CALIBRATION: tuple[Metric, ...] = (
    Metric(
        "ece",
        "fraction",
        "lower",
        "single",
        "Calibration error (raw)",
        "ECE over 10 equal-mass bins: share-weighted |mean confidence - accuracy|; biased upwards "
        "on few items (0.10 on 100, 0.03 on 1000 for a perfectly calibrated model)",
    ),
    Metric(
        "ece_null",
        "fraction",
        "none",
        "single",
        "Calibration error of a calibrated model",
        "mean ECE of simulated runs in which each item is right with its stated confidence",
    ),
    Metric(
        "ece_null_q95",
        "fraction",
        "none",
        "single",
        "Calibration error of a calibrated model (95 %)",
        "95 % quantile of the same simulation: an ECE below it is no evidence of miscalibration",
    ),
    Metric(
        "ece_debiased",
        "fraction",
        "lower",
        "single",
        "Calibration error (debiased)",
        "ece - ece_null; can be negative; takes off too much where a model is miscalibrated, so "
        "the interval reaches up from the raw ECE",
    ),
    Metric(
        "temperature",
        "score",
        "none",
        "single",
        "Temperature that calibrates best",
        "T that minimises choice_nll of softmax(log-likelihoods / T); above 1: over-confident",
        ideal=1.0,
    ),
    Metric(
        "ece_scaled",
        "fraction",
        "lower",
        "single",
        "Calibration error after scaling (raw)",
        "ece with each item's confidence at a temperature fitted without its fold (5 folds)",
    ),
    Metric(
        "ece_scaled_null_q95",
        "fraction",
        "none",
        "single",
        "Calibration error after scaling, of a calibrated model (95 %)",
        "ece_null_q95 at the scaled confidences",
    ),
    Metric(
        "ece_scaled_debiased",
        "fraction",
        "lower",
        "single",
        "Calibration error after scaling (debiased)",
        "ece_scaled minus its simulated null: the miscalibration that is not just temperature",
    ),
    Metric(
        "overconfidence",
        "fraction",
        "none",
        "single",
        "Over-confidence",
        "mean confidence - accuracy (acc): above 0 too sure, below 0 too modest",
        ideal=0.0,
    ),
    Metric(
        "confidence_auroc",
        "fraction",
        "higher",
        "single",
        "Confidence tells right from wrong",
        "AUROC of confidence against being right (ties half): 0.5 tells nothing. Where items "
        "differ in their number of choices, confidence is the place among those with as many: "
        "fewer choices alone make a guess surer and oftener right",
        chance="1/2",
    ),
    Metric(
        "selective_acc_50",
        "fraction",
        "higher",
        "single",
        "Accuracy on the surest half",
        "acc of the 50 % of the items with the largest confidence (as in confidence_auroc)",
    ),
    Metric(
        "selective_acc_80",
        "fraction",
        "higher",
        "single",
        "Accuracy on the surest 80 %",
        "acc of the 80 % of the items with the largest confidence (as in confidence_auroc)",
    ),
    Metric(
        "aurc",
        "fraction",
        "lower",
        "single",
        "Area under risk-coverage",
        "mean over k of the error among the k most confident items (arXiv 1705.08500; "
        "confidence as in confidence_auroc)",
    ),
    Metric(
        "brier_reliability",
        "score",
        "lower",
        "single",
        "Brier, reliability part",
        "of the Brier score of confidence as a forecast of being right (0 to 1, 10 equal-mass "
        "bins): squared gap to the accuracy, corrected for finite bins (Ferro & Fricker 2012)",
    ),
    Metric(
        "brier_resolution",
        "score",
        "higher",
        "single",
        "Brier, resolution part",
        "of the same: how far the accuracies of the bins differ",
    ),
    Metric(
        "brier_uncertainty",
        "score",
        "none",
        "single",
        "Brier, uncertainty part",
        "of the same: acc (1 - acc)",
    ),
)
