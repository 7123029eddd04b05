"""The tables of scores: headline, controls, ablation, domains, question types, retention, retrieval, VQA variants."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from vldistill.evaluate.summary import BEFORE, MAJORITY, RETENTION_LOSS, RETRIEVED, UNTRAINED
from vldistill.report.names import DOMAINS, VQA_TASKS, Measure, entity, metric, task, words
from vldistill.report.numbers import Numbers
from vldistill.report.scores import Estimate, difference
from vldistill.report.table import Cell, Table, of

IMAGE_TASKS = (*VQA_TASKS, "coco", "nocaps")
TEXT_TASKS = ("reading", "summary", "corpus")
TASKS = (*IMAGE_TASKS, "retrieval", *TEXT_TASKS)
BESIDE = "both"  # the VQA variant that is printed beside the headline's
CAPTION_METRICS = ("Bleu_4", "METEOR", "ROUGE_L", "SPICE")
CHIEF = ("accuracy", "CIDEr", "R@1", "rougeL", "loss")  # one metric a task, for tables of many arms


def _usual(measures: Iterable[Measure], beside: str | None = None) -> list[Measure]:
    """VQA accuracy in one variant only, the first, which is the headline's; and in the variant ``beside``."""
    seen: dict[tuple[str, str], Measure] = {}
    for measure in measures:
        name = measure.metric if measure.is_vqa and measure.variant != beside else f"{measure.label} {measure.variant}"
        seen.setdefault((measure.task, name), measure)
    return list(seen.values())


def _of_tasks(
    numbers: Numbers, tasks: Sequence[str], metrics: Sequence[str] | None = None, beside: str | None = None
) -> list[Measure]:
    usual = _usual(numbers.measures, beside)
    return [m for m in usual if m.task in tasks and (metrics is None or m.metric in metrics)]


def _key(measure: Measure) -> str:
    return f"{measure.task}_{measure.metric}_{measure.variant or ''}"


def headline(numbers: Numbers, prompts: dict[str, str]) -> Table:
    """The chief measures of the headline arm with all that says what each number is."""
    return _listing(
        numbers,
        prompts,
        "headline",
        f"Zero-shot scores of the arm \u201c{words(numbers.headline)}\u201d",
        [m for m in _of_tasks(numbers, TASKS, beside=BESIDE) if m.metric in (*CHIEF, *CAPTION_METRICS)],
    )


def all_measures(numbers: Numbers, prompts: dict[str, str]) -> Table:
    """Every measure of the headline arm, all variants included."""
    return _listing(numbers, prompts, "measures", "Every measure of the headline arm", numbers.measures)


def _listing(numbers: Numbers, prompts: dict[str, str], name: str, title: str, measures: Sequence[Measure]) -> Table:
    rows: list[dict[str, Cell]] = []
    left_out: list[str] = []
    for measure in measures:
        estimate, reason = numbers.get(measure), numbers.missing(measure)
        if estimate is None and reason is None:
            continue
        if reason:
            left_out.append(f"{measure.label} was not computed: {reason}.")
        rows.append(
            {
                "task": Cell(task(measure.task)),
                "metric": Cell(metric(measure.metric)),
                "variant": Cell(words(measure.variant) if measure.variant else "\u2013"),
                "split": Cell(measure.split),
                "value": of(estimate, digits=measure.digits),
                "n": Cell(number=estimate.n, digits=0) if estimate else Cell(),
                "seeds": Cell(number=len(estimate.seeds), digits=0) if estimate else Cell(),
                "prompt": Cell(prompts.get(measure.task, "\u2013")),
            }
        )
    columns = [("task", "task"), ("metric", "metric"), ("variant", "variant"), ("split", "split"), ("value", "value")]
    return Table(
        name,
        title,
        [*columns, ("n", "n"), ("seeds", "seeds"), ("prompt", "prompt and decoding")],
        rows,
        head=("task",),
        notes=(
            _note(numbers),
            "Intervals over seeds are conditional on one world, one teacher, one language model and these items; those "
            "over images (bootstrap) on one training. "
            "Percent; caption metrics times 100, losses in nats a token.",
            *left_out,
        ),
    )


def _note(numbers: Numbers) -> str:
    level = f"{100 * numbers.level:g} %"
    return f"\u00b1: half of the {level} interval over seeds (Student\u2019s t); with one seed (\u2020) over images."


def comparison(
    numbers: Numbers,
    name: str,
    title: str,
    measures: Sequence[Measure],
    pairs: Sequence[tuple[str, str | None]],
    notes: Sequence[str] = (),
) -> Table:
    """Rows of arms or controls, columns of measures; the best of each column is marked."""
    rows: list[dict[str, Cell]] = []
    shown = [pair for pair in pairs if any(numbers.get(measure, *pair) for measure in measures)]
    used = [measure for measure in measures if any(numbers.get(measure, *pair) for pair in shown)]
    for pair in shown:
        row = {"arm": Cell(entity(*pair))}
        row |= {_key(measure): of(numbers.get(measure, *pair), digits=measure.digits) for measure in used}
        rows.append(row)
    for measure in used:
        _mark_best(rows, measure)
    return Table(
        name,
        title,
        [("arm", "arm"), *((_key(measure), measure.label) for measure in used)],
        rows,
        head=("arm",),
        notes=(*notes, _note(numbers)),
        emphasised=tuple(index for index, pair in enumerate(shown) if pair == (numbers.headline, None)),
    )


def _mark_best(rows: list[dict[str, Cell]], measure: Measure) -> None:
    key = _key(measure)
    valued = [(row[key].number, row) for row in rows if row[key].number is not None]
    if len({number for number, _ in valued}) < 2:
        return
    best = (min if measure.lower_is_better else max)(number for number, _ in valued if number is not None)
    for number, row in valued:
        if number == best:
            row[key] = replace(row[key], tone="best")


def controls(numbers: Numbers) -> Table:
    """The headline beside everything that lacks what the method claims to use."""
    ours = (numbers.headline, None)
    lacking = [pair for pair in numbers.entities if pair[1] is not None and pair[0] == numbers.headline]
    others = [pair for pair in numbers.entities if pair[0] not in numbers.trained and pair[1] is None]
    weak = [pair for pair in numbers.entities if pair == (UNTRAINED, None)]
    pairs = list(dict.fromkeys([ours, *lacking, *weak, *others]))
    return comparison(
        numbers,
        "controls",
        "The headline arm beside its controls",
        _of_tasks(numbers, IMAGE_TASKS, ("accuracy", "CIDEr")),
        pairs,
        notes=("A control does without what the method claims to use; it must stay far below the first row.",),
    )


def ablation(numbers: Numbers) -> Table:
    """Trained arms against the chief measure of each task."""
    pairs: list[tuple[str, str | None]] = [(arm, None) for arm in numbers.trained]
    measures = _of_tasks(numbers, TASKS, CHIEF)
    brief = [measure for measure in measures if measure.variant != "fine-tuned"]
    return comparison(numbers, "ablation", "Trained arms", brief, pairs, notes=("Bold: best of the column.",))


def domains(numbers: Numbers, *, rendered: bool) -> Table:
    """NoCaps and VQA by domain, with the loss from in-domain to out-of-domain; ``rendered``: images of the world."""
    rows = []
    for measure in _of_tasks(numbers, ("domains", "nocaps"), ("accuracy", "CIDEr")):
        for pair in looking(numbers):
            cells = {name: numbers.get(measure, *pair, subset=name) for name in DOMAINS}
            if not any(cells.values()):
                continue
            row = {"measure": Cell(measure.label), "arm": Cell(entity(*pair))}
            row |= {name: of(estimate) for name, estimate in cells.items()}
            counts = dict.fromkeys(e.n for e in cells.values() if e)
            row["n"] = Cell(", ".join(str(count) for count in counts))
            row["drop"] = _gap(cells["out-domain"], cells["in-domain"], numbers.level)
            rows.append(row)
    return Table(
        "domains",
        "By domain of the image",
        [
            ("measure", "measure"),
            ("arm", "arm"),
            *((name, name) for name in DOMAINS),
            ("drop", "out \u2212 in"),
            ("n", "n of each"),
        ],
        rows,
        head=("measure",),
        notes=(
            "in-domain: a new combination of pairs that were seen; near-domain: one rare pair; "
            "out-domain: a pair never seen."
            if rendered
            else "Domains as NoCaps gives them: by the object classes of an image.",
            _note(numbers),
        ),
    )


def _gap(first: Estimate | None, second: Estimate | None, level: float, digits: int = 1) -> Cell:
    if first is None or second is None:
        return Cell()
    return of(difference(first, second, level), digits=digits, signed=True)


def looking(numbers: Numbers) -> list[tuple[str, str | None]]:
    """The headline arm and what it is held against where numbers are split up."""
    blind = [(numbers.headline, control) for control in ("no_image", "shuffled")]
    return [(numbers.headline, None), (UNTRAINED, None), (MAJORITY, None), (RETRIEVED, None), *blind]


def all_kinds(numbers: Numbers) -> list[Table]:
    """The tables by answer type and question type of every VQA task."""
    measures = [found for name in VQA_TASKS if (found := numbers.measure(name, "accuracy"))]
    return [kinds(numbers, measure, prefix) for measure in measures for prefix in ("answer_type:", "question_type:")]


def kinds(numbers: Numbers, measure: Measure, prefix: str) -> Table:
    """VQA by answer type or question type: the model, then what it would be without looking."""
    rows, pairs = [], looking(numbers)
    for name in numbers.subsets(prefix, measure.task):
        estimates = {pair: numbers.get(measure, *pair, subset=prefix + name) for pair in pairs}
        first = next((estimate for estimate in estimates.values() if estimate), None)
        if first is None:
            continue
        row = {"kind": Cell(name), "n": Cell(number=first.n, digits=0)}
        row |= {entity(*pair): of(estimate, mark="") for pair, estimate in estimates.items()}
        rows.append(row)
    label = prefix.rstrip(":").replace("_", " ")
    shown = [entity(*pair) for pair in pairs if any(row[entity(*pair)].number is not None for row in rows)]
    return Table(
        f"{measure.task}_{prefix.rstrip(':')}",
        f"{task(measure.task)} accuracy by {label}",
        [("kind", label), *((name, name) for name in shown), ("n", "n")],
        rows,
        head=("kind",),
    )


def retention(numbers: Numbers) -> Table:
    """The language model's own text tasks before and after distillation, arm by arm."""
    texts = [m for m in _of_tasks(numbers, TEXT_TASKS, CHIEF) if numbers.get(m, BEFORE) is not None]
    arms = [arm for arm in numbers.trained if any(numbers.get(m, arm) for m in texts if not m.lower_is_better)]
    rows = [{"arm": Cell("before distillation")} | {_key(m): _kept(numbers, m, BEFORE) for m in texts}]
    for arm in arms:
        row = {"arm": Cell(entity(arm))}
        for measure in texts:
            change = _gap(numbers.get(measure, arm), numbers.get(measure, BEFORE), numbers.level, measure.digits)
            row[_key(measure)] = _kept(numbers, measure, arm)
            row[_key(measure) + "_change"] = _toned(replace(change, mark=""), measure)
        rows.append(row)
    columns = [("arm", "arm")]
    for measure in texts:
        columns += [(_key(measure), measure.label), (_key(measure) + "_change", "change")]
    return Table(
        "retention",
        "Text tasks of the language model before and after distillation",
        columns,
        rows if texts and arms else [],
        head=("arm",),
        notes=(
            f"Change: after minus before; green: no more than {RETENTION_LOSS:g} points below.",
            "The infilling loss is that of the text tasks\u2019 own items of the evaluated split, spelled with their "
            "targets: the corpus holds no document out. It has no limit; lower is better.",
            _note(numbers),
        ),
        emphasised=(1,),
    )


def _kept(numbers: Numbers, measure: Measure, arm: str) -> Cell:
    estimate = numbers.get(measure, arm)
    return of(estimate, digits=measure.digits, mark="" if arm == BEFORE else None)


def _toned(cell: Cell, measure: Measure) -> Cell:
    if cell.number is None or measure.lower_is_better:
        return cell
    return replace(cell, tone="good" if cell.number >= -RETENTION_LOSS else "bad")


def retrieval(numbers: Numbers) -> Table:
    """Image-text retrieval with the language model's encoder as text tower: measures what TTDM and ITCL train."""
    pairs = [pair for pair in numbers.entities if pair[1] is None]
    measures = [measure for measure in numbers.measures if measure.task == "retrieval"]
    notes = ("TTDM and ITCL are the terms that align BART\u2019s encoder with CLIP.",)
    return comparison(numbers, "retrieval", "Image-text retrieval", measures, pairs, notes)


def variants(numbers: Numbers) -> Table:
    """The same answers under all variants of VQA accuracy."""
    tasks = [name for name in VQA_TASKS if numbers.measure(name, "accuracy")]
    names = dict.fromkeys(m.variant for m in numbers.measures if m.metric == "accuracy" and m.task in tasks)
    rows = []
    for name in tasks:
        row = {"task": Cell(task(name))}
        row |= {str(variant): of(numbers.get(numbers.measure(name, "accuracy", variant)), mark="") for variant in names}
        rows.append(row)
    return Table(
        "vqa_variants",
        "VQA accuracy of the same answers under each variant of the metric",
        [("task", "task"), *((str(variant), str(variant)) for variant in names)],
        rows,
        head=("task",),
        notes=("The literature uses four definitions under one name; every number on this page says which one it is.",),
    )
