"""What MAD's tasks, subsets and arms are called on the page. Names that are not here are shown as they are."""

from __future__ import annotations

from collections.abc import Collection

from vldistill.evaluate.mad.bars import GAP_PLACE
from vldistill.evaluate.mad.chief import CHIEF
from vldistill.params.mad_arms import ON_DEV
from vldistill.report.names import words

TASKS = {"snli_ve": "SNLI-VE", "vcr": "VCR", "vqa": "VQA"}
METRICS = {
    "Q->A": "Q\u2192A",
    "QA->R": "QA\u2192R",
    "Q->AR": "Q\u2192AR",
    "official": "accuracy",
    "both": "both variants",
}
SUBSETS = {
    "hard": "without the hypothesis cue",
    "rules": "rewritten by both rules",
    "rules_original": "original wording of both rules\u2019 items",
    "singular": "Rule-Singular",
    "singular_original": "original wording of Rule-Singular\u2019s items",
    "plural": "Rule-Plural",
    "plural_original": "original wording of Rule-Plural\u2019s items",
    "iid": "priors as in training",
    "shift": "changed priors",
}
ARMS = {
    "baseline": "fine-tuning (baseline)",
    "nkd": "naive distillation",
    "mad": "MAD",
    "nkd_alike": "naive, MAD\u2019s learning rates",
    "nkd_trainable": "naive, trainable projections",
    "ts": "chosen tokens only (TS)",
    "cw": "weights by confidence only (CW)",
    "mad_af": "MAD, teacher adapted first (AF)",
    "random_token": "random token and region",
    "argmin_token": "worst token and region",
    "constant_weight": "constant weight of CW\u2019s mean",
    "mad_constant_weight": "constant weight of MAD\u2019s mean",
    "shuffled_targets": "another item\u2019s targets",
    "undistilled": "MAD\u2019s settings, no distillation",
    "embeddings_init": "teacher\u2019s word vectors to start from",
    "projected_input": "teacher\u2019s features as input",
    "stopped_25": "baseline, 25 % of the steps",
    "stopped_50": "baseline, 50 % of the steps",
    "smoothed": "baseline, smoothed labels",
    "baseline_matching": "baseline, head starts from matching",
    "mad_matching": "MAD, head starts from matching",
    "majority": "majority answer",
    "blind": "classifier without the image",
    "teacher": "teacher\u2019s head alone",
}
ORDER = list(ARMS)


def task(name: str) -> str:
    """A task's name for readers."""
    return TASKS.get(name, name)


def metric(name: str) -> str:
    """A metric's name for readers."""
    return METRICS.get(name, name)


def subset(name: str) -> str:
    """A subset's name for readers."""
    return SUBSETS.get(name, name)


def arm(name: str) -> str:
    """An arm's name for readers; it tells how much its student had not seen, and whether dev chose its settings."""
    if name.endswith(ON_DEV):
        return f"{arm(name.removesuffix(ON_DEV))}, tuned on dev\u2021"
    method, gap, share = name.partition("_gap")
    if gap and share.isdigit():
        return f"{ARMS.get(method, method)}, {share} % unseen"
    return ARMS.get(name, words(name))


def places(found: Collection[tuple[str, int]]) -> str:
    """Tasks with sizes of their training subsets in percent, as in `VCR at 25 %; VQA at 10, 100 %`."""
    return "; ".join(
        f"{task(name)} at {', '.join(str(each) for on, each in sorted(found) if on == name)} %"
        for name in CHIEF
        if name in {on for on, _ in found}
    )


def place_of(name: str) -> tuple[int, str]:
    """Where an arm stands in tables."""
    return (ORDER.index(name) if name in ORDER else len(ORDER), name)


def where_asked(bar: str) -> str:
    """The task and size of a bar, by its dotted name (`evaluate.mad.bars`); that on the gap names neither."""
    of_task, _, rest = bar.partition(".f")
    if not rest:
        return f"{task(GAP_PLACE.task)}, {GAP_PLACE.fraction} %"
    return f"{task(of_task)}, {rest.partition('.')[0]} %"


def chief_label(name: str) -> str:
    """A task with its chief metric."""
    return f"{task(name)} {metric(CHIEF[name])}"
