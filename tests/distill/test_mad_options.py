"""The section `distill.mad`: overrides by task, fraction and arm, and the grids."""

from __future__ import annotations

from typing import Any

import pytest

from vldistill.cells import MadCell, batches, mad_cells
from vldistill.errors import InputError
from vldistill.params import Params, parse
from vldistill.params.mad_arms import MATCHED, MATCHING_HEAD, PARTS, UNASKED
from vldistill.params.mad_grid import TASKS
from vldistill.params.mad_settings import SAME_SETTINGS

FEW: dict[str, Any] = {"active": ["mad"], "extra": {}, "sweep": {"on_dev": {}}, "settings": {}, "settings_of": {}}
"""What goes with a list of arms of one's own."""
RATES = {"learning_rate": 0.001, "embedding_rate": 1.0}


def mad(**changes: Any) -> Any:
    return parse({"distill": {"mad": changes}}).distill.mad


def test_fraction_goes_over_task_and_task_over_arm() -> None:
    options = mad(
        weight=0.5,
        per_task={"vcr": {"weight": 2.0, "training": {"batch_size": 16}}},
        per_fraction={100: {"training": {"steps": 50}}, "vqa-100": {"training": {"steps": 60}, "weight": 0.25}},
        arms={"mad": {}, "mine": {"training": {"steps": 70}, "distance": "l1"}},
        **FEW,
    )
    plain = options.options_of("mad", "snli_ve", 10)
    assert (plain.weight, plain.training.batch_size, plain.training.steps) == (0.5, 32, 300)
    there = options.options_of("mad", "vcr", 100)
    assert (there.weight, there.training.batch_size, there.training.steps) == (2.0, 16, 50)
    own = options.options_of("mine", "vqa", 100)
    assert (own.weight, own.training.steps) == (0.25, 60)
    mine = options.options_of("mine", "vcr", 100)
    assert (mine.training.batch_size, mine.training.steps, mine.distance) == (16, 50, "l1")


def test_arms_of_the_default_differ_from_their_partner_only_in_the_named_switch() -> None:
    options = Params().distill.mad

    def changed(arm: str, than: str) -> set[str]:
        one, other = (options.options_of(name, "snli_ve", 10).model_dump() for name in (arm, than))
        return {
            f"{name}.{field}" if isinstance(one[name], dict) else name
            for name in one
            for field in (one[name] if isinstance(one[name], dict) else [""])
            if (one[name][field] != other[name][field] if field else one[name] != other[name])
        }

    assert changed("nkd_trainable", "nkd_alike") == {"projections.kind"}
    assert changed("ts", "nkd_alike") == {"target"} and changed("cw", "nkd_alike") == {"confidence.kind"}
    assert changed("mad", "ts") == {"confidence.kind"} and changed("mad", "cw") == {"target"}
    assert changed("mad_af", "mad") == {"adapt.steps"}
    assert changed("random_token", "ts") == changed("argmin_token", "ts") == {"target"}
    assert changed("constant_weight", "cw") == {"confidence.kind"}
    assert changed("mad_constant_weight", "mad") == {"confidence.kind", "confidence.equal_to"}
    assert changed("shuffled_targets", "mad") == {"shuffle_targets"} and changed("undistilled", "mad") == {"weight"}
    assert changed("undistilled_gap0", "mad_gap0") == {"weight"}
    assert changed("embeddings_init", "baseline") == {"embeddings"}
    assert changed("projected_input", "baseline") == {"projected_input"}
    assert changed("baseline_matching", "baseline") == changed("mad_matching", "mad") == {"task_head"}
    assert changed("stopped_25", "baseline") == {"trained"}
    assert changed("smoothed", "baseline") == {"label_smoothing"}
    assert changed("mad_gap25", "mad") == changed("baseline_gap25", "baseline") == {"student"}
    # settings, and at most those
    tuned = {"training.learning_rate", "training.embedding_rate", "weight"}
    assert changed("nkd_alike", "nkd") <= tuned and changed("undistilled", "baseline") <= tuned - {"weight"}
    assert changed("baseline_dev_tuned", "baseline") <= tuned


@pytest.mark.parametrize("fraction", [10, 100])
@pytest.mark.parametrize("task", TASKS)
def test_arms_have_the_settings_of_the_arm_that_they_are_held_against(task: Any, fraction: int) -> None:
    options = Params().distill.mad

    def settings(arm: str) -> tuple[float, float]:
        found = options.options_of(arm, task, fraction).training
        return found.learning_rate, found.embedding_rate

    assert list(SAME_SETTINGS) == ["mad", "baseline"]
    assert {arm for arms in SAME_SETTINGS.values() for arm in arms} == {*PARTS, *MATCHED, *MATCHING_HEAD, *UNASKED}
    for other, arms in SAME_SETTINGS.items():
        weight = options.options_of(other, task, fraction).weight
        for arm in arms:
            # not by chance: an arm without settings may have the same rates
            assert options.settings_at(arm, task, fraction) == options.settings_at(other, task, fraction), arm
            assert settings(arm) == settings(other), arm
            assert options.options_of(arm, task, fraction).weight == (0.0 if "undistilled" in arm else weight), arm


def test_a_head_starts_from_matching_only_where_choices_are_scored() -> None:
    grids = {"matching": {"arms": ["baseline_matching"], "tasks": ["vcr"]}}
    assert mad(extra=grids).options_of("baseline_matching", "vcr", 10).task_head == "matching"
    grids["matching"]["tasks"] = ["vcr", "vqa"]
    with pytest.raises(InputError, match=r"extra\.matching\.arms: baseline_matching .* vqa has none.*tasks: \[vcr\]"):
        mad(extra=grids)
    with pytest.raises(InputError, match=r"active: mad_matching .* snli_ve has none"):
        mad(active=["mad_matching"])


def test_a_published_student_has_no_head_that_starts_from_matching() -> None:
    grids = {"matching_head": {"arms": ["baseline_matching"], "tasks": ["vcr"]}}
    tree = {"pretrain": {"student": {"source": "vilt"}}, "distill": {"mad": FEW | {"extra": grids}}}
    with pytest.raises(
        InputError, match=r"extra\.matching_head\.arms: baseline_matching starts its head from matching"
    ):
        parse(tree)


def test_dev_agrees_only_where_a_sweep_was_taken_over_and_both_arms_have_equal_settings() -> None:
    other = {**RATES, "learning_rate": 0.002}
    own = {"vcr-10": RATES, "vcr-25": RATES, "vcr-100": RATES, "vqa-25": RATES}
    options = mad(
        arms={"mad": {}, "ts": {}, "nkd": {}},
        **FEW
        | {
            "settings": {"mad": own, "mad_dev_tuned": {**own, "vcr-25": other}, "nkd": own},
            "settings_of": {"ts": "mad"},
        }
        | {
            "sweep": {
                "on_dev": {"mad": "mad_dev_tuned", "nkd": "nkd", "ts": ""},
                "chosen": ["vcr-10", "vcr-25", "vqa-10", "vqa-25"],
            }
        },
    )
    places = [(task, fraction) for task in TASKS for fraction in (10, 25, 100)]
    # VQA at 10 % has the settings of 25 %, VCR at 100 % some that no sweep chose
    chosen = [("vcr", 10), ("vcr", 25), ("vqa", 25)]
    assert [place for place in places if options.chosen_at("mad", *place)] == chosen
    assert [place for place in places if options.chosen_at("ts", *place)] == chosen
    assert [place for place in places if options.dev_agrees("mad", *place)] == [("vcr", 10), ("vqa", 25)]
    assert [place for place in places if options.dev_agrees("nkd", *place)] == chosen
    assert not any(options.dev_agrees(arm, *place) for arm in ("ts", "baseline") for place in places)
    default = Params().distill.mad
    # a sweep's choices, but where all arms have other steps since
    for arm in default.sweep.arms:
        assert [place for place in places if not default.chosen_at(arm, *place)] == [("vcr", 100)]


def test_what_is_changed_in_an_arm_is_changed_in_the_one_that_dev_tuned() -> None:
    options = mad(arms={"mad": {"tokens": 5}}, **FEW | {"settings": {"mad_dev_tuned": {"vcr-10": RATES}}})
    own, tuned = (options.options_of(arm, "vcr", 10) for arm in ("mad", "mad_dev_tuned"))
    assert (own.tokens, tuned.tokens) == (5, 5)
    assert (own.training.learning_rate, tuned.training.learning_rate) == (0.0005, RATES["learning_rate"])


def test_settings_go_over_all_other_options_but_not_over_no_weight() -> None:
    tuned = {"learning_rate": 0.01, "embedding_rate": 4.0, "weight": 2.0}
    options = mad(
        arms={"mad": {"training": {"learning_rate": 0.02}}, "own": {"weight": 5.0}},
        per_task={"vcr": {"training": {"learning_rate": 0.03}}},
        per_fraction={"vcr-10": {"weight": 7.0, "training": {"embedding_rate": 6.0}}},
        **FEW | {"settings": {"mad": {"vcr-10": tuned}, "own": {"vcr-10": {**tuned, "weight": None}}}},
    )

    def seen(arm: str, task: Any) -> tuple[float, float, float]:
        found = options.options_of(arm, task, 10)
        return found.training.learning_rate, found.training.embedding_rate, found.weight

    assert seen("mad", "vcr") == (0.01, 4.0, 2.0)
    assert seen("mad", "snli_ve") == (0.02, 20.0, 3.0), "a task without settings"
    assert seen("own", "vcr") == (0.01, 4.0, 7.0), "no weight is the arm's own"
    alone = mad(
        arms={"mad": {}, "alone": {"weight": 0.0}},
        **FEW | {"settings": {"mad": {"vcr-10": tuned}}, "settings_of": {"alone": "mad"}},
    ).options_of("alone", "vcr", 10)
    assert (alone.training.learning_rate, alone.weight) == (0.01, 0.0)


def test_what_all_arms_have_may_be_changed_where_one_has_no_settings() -> None:
    own = {"vcr-10": {**RATES, "weight": None}}
    only = FEW | {"arms": {"mad": {}}, "tasks": ["vcr"], "fractions": [10], "settings": {"mad": own}}
    assert mad(weight=1.0, **only).options_of("mad", "vcr", 10).weight == 1.0, "settings without a weight"
    assert mad(weight=1.0, training={"learning_rate": 0.1}, **only | {"tasks": ["vcr", "vqa"]})
    with pytest.raises(InputError, match="learning_rate: no arm"):
        mad(training={"learning_rate": 0.1}, **only)


def test_a_size_without_settings_has_those_of_the_next_larger_one() -> None:
    rates = {"vcr-5": 0.5, "vcr-25": 0.25, "snli_ve-100": 0.1}
    settings = {key: {"learning_rate": rate, "embedding_rate": 1.0} for key, rate in rates.items()}
    options = mad(settings={"mad": settings}, extra={}, sweep={"on_dev": {}})

    def rate(task: Any, fraction: int) -> float:
        return options.options_of("ts", task, fraction).training.learning_rate

    assert [rate("vcr", fraction) for fraction in (1, 5, 10, 25, 100)] == [0.5, 0.5, 0.25, 0.25, 0.25]
    assert {rate("snli_ve", fraction) for fraction in (1, 100)} == {0.1}
    assert rate("vqa", 10) == options.training.learning_rate
    assert options.options_of("baseline", "vcr", 10).training.learning_rate == options.training.learning_rate


def test_default_grid() -> None:
    cells = mad_cells(Params())
    assert len(cells) == len(set(cells)) == 3 * 3 * 3 * 3 + 18 * 3 + 3 * 2 * 2 * 3 + 2 * 3 + 3 * 3 * 3
    assert MadCell("vqa", 100, "mad", 2) in cells and MadCell("vqa", 10, "cw", 0) not in cells
    assert MadCell("vcr", 10, "mad_matching", 2) in cells and MadCell("vcr", 25, "mad_matching", 0) not in cells
    assert MadCell("vcr", 25, "smoothed", 2) in cells and MadCell("snli_ve", 25, "cw", 0) not in cells
    assert MadCell("snli_ve", 10, "constant_weight", 0).name == "constant_weight-f10-s0"
    assert [cell for task in ("snli_ve", "vcr", "vqa") for cell in mad_cells(Params(), task) if cell.seed == 0] == [
        cell for cell in cells if cell.seed == 0
    ]
    assert sum(map(len, batches(cells, 8))) == len(cells)


def test_an_arm_comes_after_the_one_whose_weights_it_has() -> None:
    names = [cell.name for cell in mad_cells(Params(), "snli_ve")]
    assert names.index("constant_weight-f10-s1") > names.index("cw-f10-s1")
    assert names.index("mad_constant_weight-f10-s1") > names.index("mad-f10-s1")


def test_seeds_by_arm_and_by_fraction() -> None:
    tree = {
        "split": {"mad": {"fractions": [1, 10], "seeds": 3, "fraction_seeds": {1: 5}}},
        "distill": {
            "mad": {"fractions": [1, 10], "fraction_seeds": {1: 5}, "default_seeds": 1, "seeds": {"mad": 3}}
            | {"active": ["baseline", "mad"], "tasks": ["vcr"], "extra": {}, "per_fraction": {}}
        },
    }
    counts: dict[tuple[int, str], int] = {}
    for cell in mad_cells(parse(tree)):
        counts[cell.fraction, cell.arm] = counts.get((cell.fraction, cell.arm), 0) + 1
    assert counts == {(1, "baseline"): 5, (1, "mad"): 5, (10, "baseline"): 1, (10, "mad"): 3}


def trial(number: int, sweep: dict[str, Any] | None = None, **changes: Any) -> Params:
    tree = {**changes, "sweep": {"trial": number, **(sweep or {})}}
    return parse({"distill": {"mad": tree}, "evaluate": {"mad": {"split": "dev"}}})


def test_a_trial_is_the_same_for_every_arm_and_runs_alone() -> None:
    options = trial(
        6,
        active=["mad"],
        dropout=0.3,
        arms={"baseline": {"weight": 0.0, "training": {"embedding_rate": 5.0}}, "nkd": {"weight": 9.0}, "mad": {}},
        settings={"mad": {"vcr-10": {"learning_rate": 0.5, "embedding_rate": 7.0, "weight": 8.0}}},
        settings_of={},
        extra={},
        sweep={"on_dev": {}},
    ).distill.mad
    found = {arm: options.options_of(arm, "vcr", 10) for arm in ("baseline", "nkd", "mad")}
    assert {(each.training.learning_rate, each.training.embedding_rate) for each in found.values()} == {(0.0005, 20.0)}
    assert {(each.dropout, each.tuning.holdout) for each in found.values()} == {(0.0, 0.25)}
    assert [each.weight for each in found.values()] == [0.0, 3.0, 3.0]
    assert found["mad"].training.batch_size == 8
    cells = mad_cells(trial(2, sweep={"tasks": ["vcr"]}, seeds={"mad": 5}, fraction_seeds={"25": 4}))
    counts = {(cell.task, cell.fraction, cell.arm): 0 for cell in cells}
    for cell in cells:
        counts[cell.task, cell.fraction, cell.arm] += 1
    seeds = {10: 5, 25: 2, 100: 1}
    assert counts == {("vcr", size, arm): n for size, n in seeds.items() for arm in ("baseline", "nkd", "mad")}
    assert len(mad_cells(trial(2, sweep={"tasks": ["vcr"], "fractions": [10], "seeds": {25: 1}}))) == 3 * 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arms": {"mad": {"wheight": 1.0}}, **FEW}, r"arms\.mad\.wheight.*weight"),
        ({"per_task": {"vcr": {"target": "word"}}}, r"per_task\.vcr\.target"),
        ({"per_fraction": {"10": {"trainin": {}}}}, r"per_fraction\.10\.trainin: .*nearest is training"),
        ({"per_fraction": {"vcr-10": {"trainin": {}}}}, r"per_fraction\.vcr-10\.trainin: .*nearest is training"),
        ({"per_fraction": {"vc-10": {}}}, r"per_fraction: vc-10 is neither a fraction in percent nor TASK-FRACTION"),
        ({"per_fraction": {"101": {}}}, r"per_fraction: 101 is neither"),
        ({"per_fraction": {"025": {}}}, r"per_fraction: 025 is neither"),
        ({"per_fraction": {"-25": {}}}, r"per_fraction: -25 is neither"),
        ({"active": ["madd"]}, r"no arm called 'madd'; the nearest is mad"),
        ({"extra": {"some": {"arms": ["ts", "ts"]}}}, r"extra\.some\.arms: an arm stands twice"),
        ({"seeds": {"mad": 0}}, r"seeds\.mad"),
        ({"confidence": {"equal_to": "constant_weight"}}, r"constant_weight has no weights of its own"),
        (
            {"arms": {"mad": {"confidence": {"kind": "equal_mean", "equal_to": "plain"}}, "plain": {"weight": 0.0}}}
            | FEW,
            r"arms\.mad\.confidence\.equal_to: plain has no weights of its own",
        ),
        (
            {"per_task": {"vqa": {"confidence": {"kind": "equal_mean"}}}},
            r"arms\.\w+\.confidence\.equal_to: cw has no weights of its own",
        ),
        (
            {"arms": {"mad": {"confidence": {"kind": "equal_mean"}}, "cw": {"teachers": {"clip_image": 0.0}}}} | FEW,
            r"equal_to: cw has other teachers \(clip_text, language_model\)",
        ),
        ({"confidence": {"equal_to": "cww"}}, r"no arm called 'cww'; the nearest is cw"),
        ({"teachers": {"clip_image": 0.0, "clip_text": 0.0, "language_model": 0.0}}, "at least one of clip_image"),
        ({"fractions": [5]}, "5 percent, which split.mad.fractions lacks"),
        ({"extra": {"some": {"arms": ["tss"]}}}, r"no arm called 'tss'; the nearest is ts"),
        ({"extra": {"some": {"arms": ["ts"], "fractions": [5]}}}, "5 percent, which split.mad.fractions lacks"),
        ({"extra": {"some": {"arms": ["ts"], "task": []}}}, r"extra\.some\.task: unknown key.*extra\.some\.tasks"),
        ({"sweep": {"trial": 9}}, r"sweep: trial: there is no trial 9, only 1 to 8"),
        ({"sweep": {"trial": 1}}, r"sweep.trial is 1, evaluate.mad.split test: tuning looks at dev only"),
        ({"sweep": {"trial": 1, "arms": ["madd"]}}, r"no arm called 'madd'; the nearest is mad"),
        (
            {"sweep": {"trials": [{"learning_rate": 0.1, "embedding_rate": 2.0, "weight": w} for w in (1.0, 2.0)]}},
            r"trials: 1 and 2 agree in learning rate and embedding rate",
        ),
        ({"sweep": {"on_dev": {"mad": "ts"}}}, r"sweep.on_dev.mad: mad_dev_tuned is expected, or mad itself, not ts"),
        (
            {"settings": {}, "sweep": {"on_dev": {"mad": "mad_dev_tuned"}}},
            r"settings: mad_dev_tuned has none: .*sweep\.on_dev",
        ),
        ({"settings": {}, "sweep": {"on_dev": {}}}, r"settings: baseline_dev_tuned has none: .*extra\.dev_tuned"),
        (
            {"arms": {"mad": {}, "mad_dev_tuned": {}}} | FEW,
            r"arms\.mad_dev_tuned: it is mad with dev's settings: put these into settings\.mad_dev_tuned",
        ),
        (
            {"extra": {"some": {"arms": ["mad_gap25"]}}},
            r"extra\.some\.arms: mad_gap25 learns with student_gap25.*pretrain\.student\.gaps \[0, 50\]: "
            r"take mad_gap25 out of distill\.mad\.extra\.some\.arms, or put 25 into pretrain\.student\.gaps",
        ),
        ({"student": "student_gap25"}, r"distill\.mad\.active: baseline learns with student_gap25"),
        ({"weight": 1.0}, r"mad: weight: no arm that is run has it.*change settings\.ARM\.TASK-FRACTION\.weight"),
        ({"training": {"learning_rate": 0.1}}, r"learning_rate: no arm that is run has it"),
        (
            {"training": {"learning_rate": 0.0005, "embedding_rate": 2.0}},
            r"training\.embedding_rate: no arm that is run has it",
        ),
        ({"settings": {"madd": {}}}, r"no arm called 'madd'; the nearest is mad"),
        ({"settings": {"mad": {"10": RATES}}}, r"settings: mad\.10 is not TASK-FRACTION"),
        ({"settings": {"mad": {"vcr-0": RATES}}}, r"settings: mad\.vcr-0 is not TASK-FRACTION"),
        ({"sweep": {"chosen": ["vcr-10", "vcr"]}}, r"sweep\.chosen: vcr is not TASK-FRACTION"),
        ({"settings": {"mad": {"vcr-10": {**RATES, "steps": 3}}}}, r"settings\.mad\.vcr-10\.steps: unknown key"),
        ({"settings": {"ts": {}}}, r"settings\.ts: it has those of mad \(settings_of\.ts\)"),
        (
            {"settings": {"baseline": {"vcr-10": {"learning_rate": 0.001, "embedding_rate": 1.0, "weight": 3.0}}}},
            r"settings\.baseline\.vcr-10\.weight: baseline does not distil",
        ),
        ({"settings_of": {"mine": "mad"}}, r"no arm called 'mine'"),
        ({"settings_of": {"ts": "cw", "cw": "mad"}}, r"settings_of\.ts: cw has those of mad: name that arm"),
        ({"sweep": {"seeds": {"10": 0}}}, r"seeds: 10: 0 is not a fraction in percent with at least one seed"),
        ({"sweep": {"seeds": {"all": 1}}}, r"seeds: all: 1 is not a fraction"),
        ({"seeds": {"ts": 6}}, r"6 seeds at 10 percent, split.mad 5 subsets: raise split.mad.seeds"),
    ],
)
def test_wrong_options_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"(?is){message}"):
        mad(**changes)


def test_a_published_student_has_no_gap_to_be_asked_for() -> None:
    tree: dict[str, Any] = {"pretrain": {"student": {"source": "vilt"}}}
    with pytest.raises(
        InputError, match=r"source vilt.*: take baseline_gap0 out of distill\.mad\.extra\.parts\.arms"
    ) as told:
        parse(tree)
    assert "into pretrain.student.gaps" not in str(told.value)
    assert parse({**tree, "distill": {"mad": {"extra": {}, "sweep": {"on_dev": {}}}}})
