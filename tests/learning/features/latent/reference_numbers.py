# SPDX-License-Identifier: Apache-2.0
"""Prints the numbers that the tests of learning/features/latent expect, from scikit-learn and numpy.

    pip install scikit-learn && python3 reference_numbers.py

Features are those of synthetic_features.h.
"""
import numpy as np
import sklearn
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.manifold import TSNE, _t_sne
from sklearn.metrics import pairwise_distances

print("scikit-learn", sklearn.__version__, "numpy", np.__version__)


def features(first, rows, columns, lift):
    i = np.arange(first, first + rows, dtype=np.uint64)[:, None]
    j = np.arange(columns, dtype=np.uint64)[None, :]
    word = np.uint64(0xFFFFFFFF)
    mixed = (i * np.uint64(2654435761) + j * np.uint64(40503 * 65537)) & word
    mixed ^= mixed >> np.uint64(15)
    mixed = (mixed * np.uint64(2246822519)) & word
    mixed ^= mixed >> np.uint64(13)
    noise = (mixed >> np.uint64(8)).astype(np.float32) / np.float32(16777216)
    raised = ((i % np.uint64(4)) * np.uint64(5) + j * np.uint64(3)) % np.uint64(7) < 2
    return noise + np.where(raised, np.float32(lift), np.float32(0)).astype(np.float32)


def labels(first, rows):
    return np.arange(first, first + rows) % 4


train, train_labels = features(0, 800, 20, 0.3), labels(0, 800)
test, test_labels = features(800, 400, 20, 0.3), labels(800, 400)
print("first row", [float(v) for v in train[0][:4]])

def hard_votes(forest):  # Each tree's own class counted, as OpenCV does; score() averages the leaves' shares.
    answers = np.stack([tree.predict(test) for tree in forest.estimators_]).astype(int)
    return (np.stack([(answers == c).sum(0) for c in range(4)], axis=1).argmax(1) == test_labels).mean()


for depth, trees in ((16, 100), (4, 100), (16, 10)):
    forests = [RandomForestClassifier(trees, max_depth=depth, random_state=s).fit(train, train_labels)
               for s in range(40)]
    for name, scores in (("score", [f.score(test, test_labels) for f in forests]),
                         ("hard votes", [hard_votes(f) for f in forests])):
        print("forest depth", depth, "trees", trees, name, "mean", np.mean(scores), "sd", np.std(scores, ddof=1))

x = features(0, 90, 6, 0.5).astype(np.float64)
pca = PCA(2, svd_solver="full").fit(x)
print("pca variances", pca.explained_variance_.tolist(), "direction 0", pca.components_[0].tolist())

start = np.stack([np.cos(np.arange(90.0)), np.sin(2 * np.arange(90.0))], axis=1) * 1e-2
p = _t_sne._joint_probabilities(pairwise_distances(x, squared=True).astype(np.float32), 20, 0)
kl, gradient = _t_sne._kl_divergence(start.ravel(), p, 1.0, 90, 2)
print("start kl", kl, "gradient", gradient[:4].tolist())
for steps in (5,):  # Later the path depends on the last bits.
    places, _, _ = _t_sne._gradient_descent(_t_sne._kl_divergence, start.ravel().copy(), 0, steps, momentum=0.5,
                                            learning_rate=50.0, min_grad_norm=0, args=[p * 12, 1.0, 90, 2])
    print("steps", steps, "first", places[:2].tolist(), "last", places[-2:].tolist())
ends = []
for k in range(20):
    model = TSNE(perplexity=20, method="exact", init=start * (1 + 1e-6 * k))
    model.fit(x)
    ends.append(model.kl_divergence_)
print("kl at the end", min(ends), "to", max(ends))
