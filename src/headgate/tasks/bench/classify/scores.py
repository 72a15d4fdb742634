"""How good predicted probabilities of labels are.

Written out, so that a prediction of one line need not wait for scikit-learn and torchmetrics to load; the tests compare
every number with theirs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

BINS = 15  # of the calibration error, as in Guo, Pleiss, Sun & Weinberger 2017, section 2
SMALLEST = 1e-12  # of a probability whose logarithm is taken


def scores(probabilities: np.ndarray, answers: np.ndarray) -> dict[str, float]:
    """All metrics of classification.

    Args:
        probabilities: of each label, [N, C].
        answers: the right label of each row, [N] (below 0 one that training did not have, which is never right); or,
            where a row may have several, whether it has each, [N, C].

    Returns:
        loss (natural logarithm; mean over labels where a row may have several), accuracy (all labels of a row right),
        macro_f1 (mean over the labels that are there or were predicted; 0 for one that training did not have),
        micro_f1, auroc (mean over the labels that some rows have and some have not; left out where there is none), ece.
    """
    multi = answers.ndim == 2
    truth = answers.astype(bool) if multi else answers[:, None] == np.arange(probabilities.shape[1])
    predicted = chosen(probabilities, multi)
    counted = counts(truth, predicted)
    seen = counted.sum(0) > 0
    named = int(seen.sum()) + (0 if multi else len(np.unique(answers[answers < 0])))
    f1 = 2 * counted[0] / np.maximum(2 * counted[0] + counted[1] + counted[2], 1)
    right, wrong = counted[0].sum(), counted[1:].sum()
    if not multi:
        # One label a row: a row counts once as right, or once as a false answer and once as a missed one.
        right, wrong = (truth & predicted).sum(), 2 * (len(truth) - (truth & predicted).sum())
    found = {
        "loss": _loss(probabilities, truth, multi),
        "accuracy": float((truth == predicted).all(1).mean()),
        "macro_f1": float(f1[seen].sum()) / max(named, 1),
        "micro_f1": float(2 * right / max(2 * right + wrong, 1)),
        "ece": calibration_error(probabilities, truth, multi),
    }
    areas = [area for area in aurocs(probabilities, truth) if area is not None]
    return found | ({"auroc": float(np.mean(areas))} if areas else {})


def chosen(probabilities: np.ndarray, multi: bool) -> np.ndarray:
    """Which labels are the answer, [N, C]: the likeliest, or all with more than one half."""
    if multi:
        return probabilities > 0.5
    return probabilities.argmax(1)[:, None] == np.arange(probabilities.shape[1])


def counts(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """True positives, false positives and false negatives of each label, [3, C], from [N, C] each."""
    return np.stack([(truth & predicted).sum(0), (~truth & predicted).sum(0), (truth & ~predicted).sum(0)])


def aurocs(probabilities: np.ndarray, truth: np.ndarray) -> list[float | None]:
    """The area under each label's ROC curve against all others; None where all rows or none have the label.

    It is the chance that a row with the label gets a higher probability than one without, ties counting half (Hanley &
    McNeil 1982).
    """
    found: list[float | None] = []
    for values, own in zip(probabilities.T, truth.T, strict=True):
        with_it, without = int(own.sum()), int((~own).sum())
        if not with_it or not without:
            found.append(None)
            continue
        _, place, count = np.unique(values, return_inverse=True, return_counts=True)
        ranks = (np.cumsum(count) - (count - 1) / 2)[place]
        found.append(float((ranks[own].sum() - with_it * (with_it + 1) / 2) / (with_it * without)))
    return found


def calibration_error(probabilities: np.ndarray, truth: np.ndarray, multi: bool) -> float:
    """Expected calibration error: how far confidence and share of right answers are apart, mean over BINS bins.

    Of the likeliest label; of every label by itself where a row may have several.
    """
    if multi:
        confidence, right = probabilities.ravel(), truth.ravel()
    else:
        best = probabilities.argmax(1)
        rows = np.arange(len(best))
        confidence, right = probabilities[rows, best], truth[rows, best]
    confidence = confidence.astype(np.float64)
    # A bin holds its upper edge, as in Guo et al.
    place = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    gap = np.bincount(place, confidence - right, BINS)
    return float(np.abs(gap).sum() / len(confidence))


def details(probabilities: np.ndarray, answers: np.ndarray, labels: list[str]) -> dict[str, Any]:
    """Each label's precision, recall, F1, AUROC and count, and the confusion matrix.

    Returns:
        JSON types. "confusion" has a row for each true label and a column for each predicted one, in the order of
        "labels", and is left out where a row may have several; "strange" counts rows whose label training did not have,
        and "notes" say so.
    """
    multi = answers.ndim == 2
    truth = answers.astype(bool) if multi else answers[:, None] == np.arange(len(labels))
    predicted = chosen(probabilities, multi)
    right, false, missed = counts(truth, predicted).astype(float)
    areas = aurocs(probabilities, truth)
    by_label = {
        label: {
            "precision": right[k] / max(right[k] + false[k], 1),
            "recall": right[k] / max(right[k] + missed[k], 1),
            "f1": 2 * right[k] / max(2 * right[k] + false[k] + missed[k], 1),
            "auroc": areas[k],
            "rows": int(right[k] + missed[k]),
        }
        for k, label in enumerate(labels)
    }
    found: dict[str, Any] = {"labels": labels, "by_label": by_label}
    if multi:
        return found
    known = answers >= 0
    confusion = np.zeros((len(labels), len(labels)), int)
    np.add.at(confusion, (answers[known], probabilities.argmax(1)[known]), 1)
    strange = int((~known).sum())
    notes = [f"{strange:,} of {len(answers):,} rows have a label that training did not have; they count as wrong"]
    return found | {"confusion": confusion.tolist(), "strange": strange, "notes": notes if strange else []}


def _loss(probabilities: np.ndarray, truth: np.ndarray, multi: bool) -> float:
    safe = np.clip(probabilities.astype(np.float64), SMALLEST, 1 - SMALLEST if multi else 1)
    if multi:
        return float(-np.where(truth, np.log(safe), np.log1p(-safe)).mean())
    known = truth.any(1)
    return float(-np.log(safe[truth]).mean()) if known.any() else 0.0
