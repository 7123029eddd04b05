"""The formula of VQA accuracy, and the training targets that follow from it.

acc(answer) = mean over the ten human answers i of min(1, #{j != i: answer_j == answer} / 3): 0, 0.3, 0.6, 0.9, 1 for
0, 1, 2, 3, 4 and more matches. Compared by index: the official code compares dicts and collapses equal entries where
`answer_id` is not unique.
"""

from __future__ import annotations

from collections.abc import Sequence

from vldistill.evaluate.metrics.vqa_normalise import canonical

ANSWERS = 10


def accuracy(matches: int, answers: int = ANSWERS) -> float:
    """Leave-one-out accuracy of an answer that ``matches`` of ``answers`` humans gave, as a fraction."""
    # an annotator who gave it has one match fewer among the others
    thirds = matches * min(3, matches - 1) + (answers - matches) * min(3, matches)
    return thirds / (3 * answers)


def soft_targets(answers: Sequence[str]) -> dict[str, float]:
    """Training targets of a question: each distinct normalised answer with its leave-one-out accuracy."""
    plain = [canonical(answer) for answer in answers]
    return {answer: accuracy(plain.count(answer), len(plain)) for answer in dict.fromkeys(plain)}
