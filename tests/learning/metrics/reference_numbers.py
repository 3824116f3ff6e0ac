# SPDX-License-Identifier: Apache-2.0
"""Prints the numbers that the tests of learning/metrics expect, from scikit-learn, scipy and numpy.

    pip install scikit-learn && python3 reference_numbers.py

Written with scikit-learn 1.9.1, scipy 1.17.1, numpy 2.4.6. The predictions are those of predictions.h.
"""
import numpy as np
from scipy import stats
from sklearn import metrics

PICTURES, CLASSES = 200, 4
labels, rows = [], []
for i in range(PICTURES):
    label = 3 if i % 40 == 7 else (i * i + i // 3) % 3
    weights = [(i * 37 + c * 101 + i * i * 13 + c * i * 7) % 23 + 1 + (12 if c == label and i % 3 != 0 else 0)
               for c in range(CLASSES)]
    labels.append(label)
    rows.append([w / sum(weights) for w in weights])
y = np.array(labels)
p = np.array(rows)
guess = p.argmax(axis=1)
numbers = "{:.15g}".format


def show(name, values):
    print(name, ", ".join(numbers(v) for v in np.atleast_1d(values)))


print("confusion", metrics.confusion_matrix(y, guess).tolist())
precision, recall, f1, support = metrics.precision_recall_fscore_support(y, guess, zero_division=0)
show("precision", precision)
show("sensitivity", recall)
show("f1", f1)
print("support", support.tolist())
show("specificity", [metrics.recall_score(y != c, guess != c) for c in range(CLASSES)])
for average in ("macro", "weighted"):
    show(average, metrics.precision_recall_fscore_support(y, guess, average=average, zero_division=0)[:3])
show("accuracy", metrics.accuracy_score(y, guess))
show("balanced accuracy", metrics.balanced_accuracy_score(y, guess))
# A class that is never right, one that is absent, one that is never predicted: 0 / 0 in three places.
odd_y, odd_guess = [0, 0, 0, 1, 3, 3], [0, 0, 1, 2, 0, 3]
show("odd precision, sensitivity, f1", np.concatenate(
    metrics.precision_recall_fscore_support(odd_y, odd_guess, labels=[0, 1, 2, 3], zero_division=0)[:3]))
for average in ("macro", "weighted"):
    show("odd " + average, metrics.precision_recall_fscore_support(
        odd_y, odd_guess, labels=[0, 1, 3], average=average, zero_division=0)[:3])

show("auc by class", [metrics.roc_auc_score(y == c, p[:, c]) for c in range(CLASSES)])
for average in ("macro", "weighted"):
    show("auc " + average, metrics.roc_auc_score(y, p, multi_class="ovr", average=average))
fpr, tpr, thresholds = metrics.roc_curve([0, 0, 1, 1, 0, 1], [.1, .4, .35, .8, .8, .35], drop_intermediate=False)
print("curve", fpr.tolist(), tpr.tolist(), thresholds.tolist())

show("log loss", metrics.log_loss(y, p))
show("brier", np.mean(np.sum((p - np.eye(CLASSES)[y]) ** 2, axis=1)))
show("brier, scikit-learn", metrics.brier_score_loss(y, p, labels=range(CLASSES), scale_by_half=False))
sure, right = p.max(axis=1), guess == y
for bins in (5, 15):
    # Guo et al.: bin m holds (m-1)/M < confidence <= m/M.
    edges = np.arange(1, bins) / bins
    where = np.digitize(sure, edges, right=True)
    gaps = [abs(right[where == b].mean() - sure[where == b].mean()) for b in range(bins) if (where == b).any()]
    shares = [(where == b).mean() for b in range(bins) if (where == b).any()]
    show(f"ece and mce, {bins} bins", [np.dot(shares, gaps), max(gaps)])

for k, n, level in ((0, 10, .95), (10, 10, .95), (7, 10, .95), (47, 94, .95), (1, 1, .99), (81, 263, .9)):
    interval = stats.binomtest(k, n).proportion_ci(level, method="wilson")
    show(f"wilson {k}/{n} {level}", [interval.low, interval.high])
show("normal quantiles", stats.norm.ppf([1e-300, 1e-10, .025, .3, .5, .9, .975, .995]))
values = [.81, .84, .79, .9, .66]
show("mean, sd of runs", [np.mean(values), np.std(values, ddof=1)])
show("quantiles", np.quantile(np.sort(values), [0, .1, .25, .5, .77, 1]))

# Percentile intervals with numpy's own generator: only close to ours, which draws other words.
generator = np.random.default_rng(0)
hits = right.astype(float)
draws = generator.integers(0, PICTURES, (200_000, PICTURES))
show("bootstrap of accuracy, about", np.quantile(hits[draws].mean(axis=1), [.025, .975]))
