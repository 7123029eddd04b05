"""A classifier that sees hypotheses only, never the image: where it is right, the wording gives the label away.

Multinomial logistic regression on words and pairs of neighbouring words, fitted by L-BFGS: no randomness.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_array

LEAST_COUNT = 2  # training hypotheses that must hold a word or pair
PENALTY = 1.0  # weight of half the squared weights, beside the summed cross-entropy
ITERATIONS = 200


class HypothesisOnly:
    """The fitted classifier.

    Args:
        texts: training hypotheses.
        labels: their labels.

    Raises:
        ValueError: there are no texts.
    """

    def __init__(self, texts: Sequence[str], labels: Sequence[str]) -> None:
        if not texts:
            raise ValueError("nothing to fit")
        self.labels = sorted(set(labels))
        counts = Counter(name for text in texts for name in _features(text))
        names = sorted(name for name, count in counts.items() if count >= LEAST_COUNT)
        self._column = {name: index for index, name in enumerate(names)}
        target = np.array([self.labels.index(label) for label in labels])
        self._weights = _fit(self._matrix(texts), target, len(self.labels))

    def predict(self, texts: Sequence[str]) -> list[str]:
        """The most probable label of each text."""
        scores = self._matrix(texts) @ self._weights
        return [self.labels[index] for index in scores.argmax(axis=1)]

    def _matrix(self, texts: Sequence[str]) -> csr_array:
        """Which features each text holds, [n, features + 1]; the last column is 1, for the bias."""
        bias = len(self._column)
        rows = [
            [*sorted(self._column[name] for name in _features(text) if name in self._column), bias] for text in texts
        ]
        ends = np.cumsum([0, *(len(row) for row in rows)])
        columns = np.array([column for row in rows for column in row], dtype=np.int64)
        return csr_array((np.ones(len(columns)), columns, ends), shape=(len(texts), bias + 1))


def hard(train: Sequence[tuple[str, str]], test: Sequence[tuple[str, str, str]]) -> list[str]:
    """The ids of the test items that the classifier gets wrong.

    Args:
        train: (hypothesis, label) of the training subset.
        test: (id, hypothesis, label).
    """
    if not train or not test:
        return [identity for identity, _, _ in test]
    model = HypothesisOnly([text for text, _ in train], [label for _, label in train])
    guesses = model.predict([text for _, text, _ in test])
    return [identity for (identity, _, label), guess in zip(test, guesses, strict=True) if guess != label]


def _features(text: str) -> set[str]:
    words = re.findall(r"[\w']+", text.lower())
    return {*words, *(f"{one} {two}" for one, two in zip(["^", *words], [*words, "$"], strict=True))}


def _fit(matrix: csr_array, target: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """Weights [features + 1, classes] that minimise summed cross-entropy plus penalty; the bias is not penalised."""
    rows, columns = matrix.shape
    truth = np.zeros((rows, classes))
    truth[np.arange(rows), target] = 1
    transposed = matrix.T.tocsr()

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = flat.reshape(columns, classes)
        scores = matrix @ weights
        scores -= scores.max(axis=1, keepdims=True)
        total = np.log(np.exp(scores).sum(axis=1, keepdims=True))
        shrunk = weights.copy()
        shrunk[-1] = 0
        value = float((total - (scores * truth).sum(axis=1, keepdims=True)).sum() + PENALTY / 2 * (shrunk**2).sum())
        gradient = transposed @ (np.exp(scores - total) - truth) + PENALTY * shrunk
        return value / rows, gradient.ravel() / rows

    found = minimize(loss, np.zeros(columns * classes), jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS})
    weights: NDArray[np.float64] = found.x.reshape(columns, classes)
    return weights
