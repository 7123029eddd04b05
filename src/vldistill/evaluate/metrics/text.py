"""Text metrics: ROUGE of the `rouge-score` package with its stemmer, exact match and token F1.

This ROUGE is the summarisation literature's; the ROUGE-L of caption evaluation (`captions`) is another number.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

ROUGE = ("rouge1", "rouge2", "rougeL", "rougeLsum")
_REMOVED = str.maketrans("", "", string.punctuation)
_ARTICLE = re.compile(r"\b(a|an|the)\b")


def rouge(predictions: Sequence[str], targets: Sequence[str]) -> list[dict[str, float]]:
    """ROUGE-1, -2, -L and -Lsum F-measures of N texts, as fractions; a set's score is their mean.

    Source: Lin 2004, as google-research's rouge-score computes it with Porter stems.
    """
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(list(ROUGE), use_stemmer=True)
    pairs = zip(targets, predictions, strict=True)
    return [
        {name: float(score.fmeasure) for name, score in scorer.score(target, text).items()} for target, text in pairs
    ]


def squad_normalise(text: str) -> str:
    """Lower case, without punctuation and articles, single spaces (Rajpurkar et al. 2016)."""
    return " ".join(_ARTICLE.sub(" ", text.lower().translate(_REMOVED)).split())


def exact_match(predictions: Sequence[str], targets: Sequence[str]) -> list[float]:
    """1.0 where a prediction equals its target after `squad_normalise`, else 0.0."""
    pairs = zip(predictions, targets, strict=True)
    return [float(squad_normalise(text) == squad_normalise(target)) for text, target in pairs]


def token_f1(predictions: Sequence[str], targets: Sequence[str]) -> list[float]:
    """F1 of the words two texts share after `squad_normalise`; two empty texts agree."""
    pairs = zip(predictions, targets, strict=True)
    return [_f1(squad_normalise(text).split(), squad_normalise(target).split()) for text, target in pairs]


def _f1(words: list[str], target: list[str]) -> float:
    if not words or not target:
        return float(words == target)
    shared = (Counter(words) & Counter(target)).total()
    return 2 * shared / (len(words) + len(target))
