"""The entry of the stage for MAD: ``results/split/TASK/NAME.json`` for its three tasks, low-shot and shifted lists too.

Tasks (`MAD_TASKS`) and what their lists are made of:

- snli_ve: train, dev and test are official; units are images.
- vcr: test is the official val, whose labels are public; dev is carved from the official train; units are movies.
- vqa, on the records of vqav2: test is the official val; train and dev are carved from the official train (`dev` in the
  records, as VLKD uses it); units are images.

Names: ``dev``, ``test``, ``train-F-sSEED`` (F percent of the training units); the shifted lists are

- vqa: ``cp-train-F-sSEED`` (changed answer priors), ``cp-dev`` and ``cp-iid`` (priors as in training), ``cp-shift``;
- vcr: ``rule-singular`` and ``rule-plural``, ids of test items, whose rewritten records stand in the folder of that
  name;
- snli_ve: ``hard-F-sSEED``, the test items that a hypothesis-only classifier gets wrong, trained on ``train-F-sSEED``.

vcr and vqa have the list ``unlabelled``, too: the official test part, for the leaderboard. vqa's is of vqav2's records,
whatever set the others are of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from vldistill import layout
from vldistill.artifact import absence, publish
from vldistill.errors import InputError
from vldistill.files import write_json
from vldistill.params import Params
from vldistill.params.split import MadSplits
from vldistill.provenance import recorded
from vldistill.records import (
    UNLABELLED,
    ChoiceRecord,
    EntailmentRecord,
    QuestionRecord,
    read_choices,
    read_entailments,
    read_questions,
    write_records,
)
from vldistill.split.lists import carve, id_list, listed, low_shot, some
from vldistill.split.priors import TypedQuestion, deal, draw, majority
from vldistill.split.pronouns import RULES, rewrite

MAD_TASKS = {"snli_ve": "snli_ve", "vcr": "vcr", "vqa": "vqav2"}
"""Task -> the data set whose records its ids belong to."""
PUBLISHED_PRIORS = "vqa_cp"
Lists = dict[str, dict[str, Any]]
Units = dict[str, str]
Rewritten = dict[str, list[ChoiceRecord]]


def low_shot_name(percent: int, seed: int, part: str = "train") -> str:
    """The name of a list of ``percent`` of the training units: part is train, cp-train or hard."""
    return f"{part}-{percent}-s{seed}"


def rule_name(rule: str) -> str:
    """The name of the list, and of the folder of rewritten records, of a rule."""
    return f"rule-{rule}"


def list_names(params: Params, task: str) -> list[str]:
    """The names of all lists of a task, whatever the data.

    Raises:
        InputError: no such task.
    """
    if task not in MAD_TASKS:
        raise InputError(f"no task called {task!r}", action=f"Known: {', '.join(MAD_TASKS)}")
    more = {
        "snli_ve": _subset_names(params.split.mad, "hard"),
        "vcr": [*map(rule_name, RULES), UNLABELLED],
        "vqa": [*_subset_names(params.split.mad, "cp-train"), "cp-dev", "cp-iid", "cp-shift", UNLABELLED],
    }
    return ["dev", "test", *_subset_names(params.split.mad, "train"), *more[task]]


def _subset_names(options: MadSplits, part: str) -> list[str]:
    return [low_shot_name(percent, seed, part) for percent, seed in options.subsets]


def mad_splits(params: Params, root: str | Path, task: str) -> list[Path]:
    """Publish all lists of a task, and for vcr the folders of rewritten records, as the artifact results/split/TASK.

    An absent data set has empty lists, and no rewritten records. For vqa the published VQA-CP lists are taken where
    that set is there.

    Returns:
        The lists' files, in the order of `list_names`.

    Raises:
        InputError: no such task, no records, or no training or test items.
    """
    names = list_names(params, task)
    target = layout.split(root, task, names[0]).parent
    with recorded(layout.run_record(target), stage="split", task=task):
        rewritten: Rewritten = {}
        if absence(layout.download(root, MAD_TASKS[task])) is not None:
            made = {name: listed([], "id", params.split.seed, 0.0) for name in names}
        else:
            made, rewritten = _made(params, root, task)

        def build(folder: Path) -> None:
            for name in names:
                write_json(folder / f"{name}.json", made[name])
            for rule, records in rewritten.items():
                publish(folder / rule_name(rule), partial(_write, records), {"rule": rule})

        publish(target, build, {"task": task})
    return [layout.split(root, task, name) for name in names]


def _write(records: Sequence[ChoiceRecord], folder: Path) -> None:
    write_records(folder, records)


def _made(params: Params, root: str | Path, task: str) -> tuple[Lists, Rewritten]:
    source = layout.download(root, MAD_TASKS[task])
    rewritten: Rewritten = {}
    if task == "snli_ve":
        made = entailment_lists(params, read_entailments(source))
    elif task == "vcr":
        records = read_choices(source)
        made = choice_lists(params, records)
        rewritten = _rewritten(params, records, made)
    else:
        priors = layout.download(root, PUBLISHED_PRIORS)
        published = None if absence(priors) is not None else read_questions(priors)
        made = question_lists(params, read_questions(source), published)
    for name in ("test", *_subset_names(params.split.mad, "train")):
        if not made[name]["ids"]:
            raise InputError(f"no items for the list {name}", file=source, action="Download the set again")
    return made, rewritten


def entailment_lists(params: Params, records: Sequence[EntailmentRecord]) -> Lists:
    """All lists of snli_ve."""
    from vldistill.split.hypothesis import hard  # scipy takes long to import; nothing else here needs it

    units = {split: {r.id: r.image for r in records if r.split == split} for split in ("train", "dev", "test")}
    lists = _parts(params, "snli_ve", "image", units["train"], units["dev"], units["test"])
    by_id = {record.id: record for record in records}
    test = [by_id[identity] for identity in lists["test"]["ids"]]
    found: dict[tuple[str, ...], list[str]] = {}
    for percent, seed in params.split.mad.subsets:
        chosen = tuple(sorted(lists[low_shot_name(percent, seed)]["ids"]))
        if chosen not in found:  # the seeds of the whole training part differ in order only
            train = [by_id[identity] for identity in chosen]
            found[chosen] = hard(
                [(r.hypothesis, r.label) for r in train], [(r.id, r.hypothesis, r.label) for r in test]
            )
        lists[low_shot_name(percent, seed, "hard")] = _part_of(lists["test"], found[chosen], of="test", seed=seed)
    return lists


def choice_lists(params: Params, records: Sequence[ChoiceRecord]) -> Lists:
    """All lists of vcr."""
    options = params.split.mad
    units = {split: {r.id: r.movie for r in records if r.split == split} for split in ("train", "test", UNLABELLED)}
    train, dev = carve(units["train"], options.dev_share, params.split.seed)
    lists = _parts(params, "vcr", "movie", train, dev, units["test"])
    kept = set(lists["test"]["ids"])
    for rule in RULES:
        fitting = {r.id for r in records if r.id in kept and rewrite(r, rule, options.tagged)}
        ids = [identity for identity in lists["test"]["ids"] if identity in fitting]
        lists[rule_name(rule)] = _part_of(lists["test"], ids, of="test", seed=params.split.seed)
    lists[UNLABELLED] = id_list(units[UNLABELLED], "movie", params.split.seed, None)
    return lists


def question_lists(
    params: Params, records: Sequence[QuestionRecord], published: Sequence[QuestionRecord] | None = None
) -> Lists:
    """All lists of vqa.

    Args:
        params: the experiment.
        records: of vqav2.
        published: of vqa_cp: its train part, parted by image, is cp-train, cp-dev and cp-iid, its test part is cp-shift
            (and shares images with them, as published); None splits ``records`` anew.
    """
    options, seed = params.split.mad, params.split.seed
    units = {split: {r.id: r.image for r in records if r.split == split} for split in ("dev", "test", UNLABELLED)}
    train, dev = carve(units["dev"], options.dev_share, seed)
    lists = _parts(params, "vqa", "image", train, dev, units["test"])
    if published is None:
        parts = {"train": list(train), "dev": lists["dev"]["ids"], "test": lists["test"]["ids"]}
        drawn = _changed_priors(params, records, parts)
    else:
        drawn = _published_priors(params, published)
    for name, limit in (("cp-dev", options.vqa.dev), ("cp-iid", options.vqa.test), ("cp-shift", options.vqa.test)):
        lists[name] = id_list(drawn[name], "image", seed, limit)
    for percent, number in options.subsets:
        lists[low_shot_name(percent, number, "cp-train")] = low_shot(drawn["cp-train"], "image", number, percent / 100)
    lists[UNLABELLED] = id_list(units[UNLABELLED], "image", seed, None)
    return lists


def _changed_priors(
    params: Params, records: Sequence[QuestionRecord], parts: Mapping[str, Sequence[str]]
) -> dict[str, Units]:
    share, seed = params.split.mad.prior_share, params.split.seed
    image_of = {record.id: record.image for record in records}
    answered = [record for record in records if record.split != UNLABELLED]
    typed = {r.id: TypedQuestion(r.id, r.question_type, majority(r.answers)) for r in answered}
    items = {part: [typed[identity] for identity in ids] for part, ids in parts.items()}
    sides = deal(items["train"], seed)
    wanted = {
        "cp-train": ("train", share),
        "cp-dev": ("dev", share),
        "cp-iid": ("test", share),
        "cp-shift": ("test", 1 - share),
    }
    return {name: some(image_of, set(draw(items[part], sides, of_a, seed))) for name, (part, of_a) in wanted.items()}


def _published_priors(params: Params, published: Sequence[QuestionRecord]) -> dict[str, Units]:
    units = {split: {r.id: r.image for r in published if r.split == split} for split in ("train", "test")}
    rest, iid = carve(units["train"], params.split.mad.dev_share, params.split.seed)
    train, dev = carve(rest, params.split.mad.dev_share, params.split.seed)
    return {"cp-train": train, "cp-dev": dev, "cp-iid": iid, "cp-shift": units["test"]}


def _parts(params: Params, task: str, unit: str, train: Units, dev: Units, test: Units) -> Lists:
    """dev, test and every training subset."""
    limits, seed = getattr(params.split.mad, task), params.split.seed
    lists = {"dev": id_list(dev, unit, seed, limits.dev), "test": id_list(test, unit, seed, limits.test)}
    for percent, number in params.split.mad.subsets:
        lists[low_shot_name(percent, number)] = low_shot(train, unit, number, percent / 100)
    return lists


def _part_of(whole: Mapping[str, Any], ids: Sequence[str], *, of: str, seed: int) -> dict[str, Any]:
    """A list of some items of another one; fraction is the share of its items."""
    fraction = len(ids) / len(whole["ids"]) if whole["ids"] else 0.0
    return listed(ids, "id", seed, fraction, of=of)


def _rewritten(params: Params, records: Sequence[ChoiceRecord], lists: Lists) -> Rewritten:
    by_id = {record.id: record for record in records}
    found: Rewritten = {}
    for rule in RULES:
        originals = [by_id[identity] for identity in lists[rule_name(rule)]["ids"]]
        found[rule] = [
            done for record in originals if (done := rewrite(record, rule, params.split.mad.tagged)) is not None
        ]
    return found
