"""Folders compared item by item: the numbers are those of the items, and whatever has no partner is said."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from tests.compare.factory import items, row, write_mad, write_vlkd
from tests.evaluate.mad.results import results
from vldistill.compare.pairs import Choice, LeftOut, compare_arms, compare_revisions
from vldistill.compare.scores import Scores, open_scores
from vldistill.compare.table import notes, table, to_markdown
from vldistill.errors import InputError
from vldistill.evaluate.mad.statistics import Draw as MadDraw
from vldistill.evaluate.mad.statistics import differences
from vldistill.evaluate.mad.tables import Results
from vldistill.files import read_jsonl, write_jsonl
from vldistill.report.table import to_latex
from vldistill.stats import holm, paired_difference

QUICK = Choice(resamples=300)


def pair(tmp_path: Path, **other: object):
    """Two checkouts: the arm ``all`` gains 20 points, ``pooled`` nothing."""
    base = write_vlkd(tmp_path / "base", {"all": 0.0, "pooled": 0.1})
    changed = write_vlkd(tmp_path / "other", {"all": 0.2, "pooled": 0.1}, **other)
    return open_scores("base", base), open_scores("other", changed)


def score_file(root: Path, name: str, method: str = "vlkd") -> Path:
    return root / f"results/evaluate/{method}/score/items/{name}.jsonl"


def values(path: Path, key: str = "official") -> list[float]:
    return [record["scores"][key] for record in read_jsonl(path)]


def test_rows_are_the_paired_difference_of_the_items(tmp_path: Path) -> None:
    base, other = pair(tmp_path)
    found = compare_revisions(base, [other], QUICK).rows
    # trained arms and the score with an interval only: no control, no majority, no other variant
    assert [(row.cell.arm, row.measure.name) for row in found] == [
        ("all", "accuracy official"),
        ("pooled", "accuracy official"),
    ]
    before, after = (
        np.array([values(score_file(scores.root, f"vqav2/all-s{seed}")) for seed in range(3)])
        for scores in (base, other)
    )
    groups = [record["group"] for record in read_jsonl(score_file(base.root, "vqav2/all-s0"))]
    assert found[0].paired == paired_difference(after, before, groups, resamples=300)
    assert (found[0].mean_base, found[0].mean_other) == (before.mean(), after.mean())
    assert found[0].paired.difference.low > 0
    assert (found[1].paired.difference.mean, found[1].paired.ties) == (0.0, 60)
    assert [row.holm for row in found] == list(holm(dict(enumerate(row.paired.p for row in found))).values())
    assert found[0].cell.split == "test"


def test_holm_counts_every_row_of_the_call(tmp_path: Path) -> None:
    base, other = pair(tmp_path)
    third = open_scores("third", write_vlkd(tmp_path / "third", {"all": 0.3}))
    alone = compare_revisions(base, [other], QUICK).rows[0]
    together = compare_revisions(base, [other, third], QUICK)
    assert [row.other for row in together.rows] == ["other", "other", "third"]
    assert together.rows[0].holm == pytest.approx(alone.holm * 3 / 2)
    assert table(together, "").columns[0] == ("other", "compared")


def test_items_and_seeds_of_one_side_are_counted_and_left_out(tmp_path: Path) -> None:
    base, other = pair(tmp_path, seeds=(1, 2, 5), n=50)
    for seed in (1, 2, 5):
        path = score_file(other.root, f"vqav2/all-s{seed}")
        records = read_jsonl(path)
        records[3]["target"] = "something else"
        records[4]["group"] = "another image"
        write_jsonl(path, [*records, {**records[0], "id": "new"}])
    comparison = compare_revisions(base, [other], QUICK)
    first = comparison.rows[0]
    assert (first.paired.seeds, first.paired.items) == (2, 48)
    left = first.left_out
    assert (left.items_base, left.items_other, left.items_changed) == (10, 1, 2)
    assert (left.seeds_base, left.seeds_other) == ((0,), (5,))
    said = "\n".join(notes(comparison))
    assert "Left out, 10 items only in base: vqav2/test/all, vqav2/test/pooled." in said
    assert "Left out, 2 items with another target or group: vqav2/test/all." in said
    assert "Left out, seeds 5 only in other: vqav2/test/all, vqav2/test/pooled." in said


def write_results(root: Path, found: Results) -> Scores:
    for (task, subset, arm, fraction, seed), own in found._files.items():
        rows = [
            {"id": key, "prediction": "", "target": "", "scores": {"accuracy": value}, "group": group}
            for key, group, value in zip(own.ids, own.groups, own.scores["accuracy"].tolist(), strict=True)
        ]
        write_jsonl(score_file(root, f"{task}/{subset}/{arm}-f{fraction}-s{seed}", "mad"), rows)
    return open_scores("here", root)


def test_seeds_with_other_items_are_compared_on_all_of_them_as_in_the_report(tmp_path: Path) -> None:
    found = results({"baseline": {"test": 0.5, "hard": 0.3}, "mad": {"test": 0.6, "hard": 0.45}})
    scores = write_results(tmp_path, found)
    ids = [set(found._files["snli_ve", "hard", "mad", 10, seed].ids) for seed in range(3)]
    assert len(set.intersection(*ids)) < 60 < len(ids[0]) == 120, "few items are hard at all seeds"
    for made in compare_arms(scores, "baseline", QUICK).rows:
        (told,) = [
            one
            for one in differences(found, ["snli_ve"], MadDraw(resamples=300))
            if (one.family, one.place.subset) == ("gain", made.cell.split.removesuffix(" 10 %"))
        ]
        assert made.paired.items == told.items == (120 if told.place.subset == "hard" else 300)
        assert made.paired.difference.mean == pytest.approx(told.value)
        assert (made.paired.difference.low, made.paired.difference.high) == pytest.approx((told.low, told.high))
        assert (made.paired.p, made.paired.wins, made.paired.ties, made.paired.losses) == (
            told.p, told.wins, told.ties, told.losses,
        )  # fmt: skip
        assert made.mean_other - made.mean_base == pytest.approx(told.value)
        assert made.left_out == LeftOut()


def test_items_of_one_seed_that_a_side_lacks_are_counted_and_a_seed_without_any_is_named(tmp_path: Path) -> None:
    scores = write_results(tmp_path, results({"baseline": {"test": 0.5, "hard": 0.3}, "mad": {"test": 0.6}}))
    fewer = score_file(tmp_path, "snli_ve/hard/mad-f10-s0", "mad")
    write_jsonl(fewer, read_jsonl(fewer)[:100])
    write_jsonl(score_file(tmp_path, "snli_ve/hard/mad-f10-s2", "mad"), [])
    comparison = compare_arms(scores, "baseline", QUICK)
    (made,) = [one for one in comparison.rows if one.cell.split == "hard 10 %"]
    kept = {record["id"] for record in read_jsonl(fewer)}
    lost = {
        record["id"]
        for seed in (0, 2)
        for record in read_jsonl(score_file(tmp_path, f"snli_ve/hard/baseline-f10-s{seed}", "mad"))
        if seed or record["id"] not in kept
    }
    assert (made.paired.seeds, made.paired.items) == (2, 110)
    assert (made.left_out.items_base, made.left_out.items_other, made.left_out.seeds_empty) == (len(lost), 0, (2,))
    said = notes(comparison)
    assert f"Left out, {len(lost)} items only in baseline: snli_ve/hard 10 %/mad." in said
    assert "Left out, seeds 2 without an item in common: snli_ve/hard 10 %/mad." in said


def test_cells_of_one_side_are_said(tmp_path: Path) -> None:
    base = open_scores("base", write_vlkd(tmp_path / "base", {"all": 0.0, "old": 0.0}))
    write_mad(tmp_path / "other", {"mad": 0.1})
    other = open_scores("other", write_vlkd(tmp_path / "other", {"all": 0.0, "new": 0.0}))
    comparison = compare_revisions(base, [other], QUICK)
    assert [row.cell.arm for row in comparison.rows] == ["all"]
    said = "\n".join(notes(comparison))
    assert "Not compared, only in base, not in other: vqav2/test/old." in said
    assert (
        "Not compared, only in other, not in base: snli_ve/full 10 %/mad, snli_ve/hard 10 %/mad, vqav2/test/new."
        in said
    )


@pytest.mark.parametrize("what", ["arms", "seeds", "ids", "targets", "metrics"])
def test_nothing_in_common_is_an_error_with_the_reason(tmp_path: Path, what: str) -> None:
    base, other = tmp_path / "base", tmp_path / "other"
    write_mad(base, {"mad": 0.0})
    write_mad(other, {"other" if what == "arms" else "mad": 0.0}, seeds=(7,) if what == "seeds" else (0, 1, 2))
    change = {"ids": "id", "targets": "target", "metrics": "scores"}.get(what)
    for path in other.rglob("*.jsonl"):
        changed = {"id": "new {}", "target": "new", "scores": {"loss": 1.0}}
        records = [dict(record) for record in read_jsonl(path)]
        for index, record in enumerate(records):
            if change:
                value = changed[change]
                record[change] = value.format(index) if isinstance(value, str) else value
        write_jsonl(path, records)
    reason = {
        "arms": "only in base, not in other",
        "seeds": "no seed in common",
        "ids": "no item in common",
        "targets": "no item in common: the targets or groups of 60 differ",
        "metrics": "no metric in common",
    }[what]
    with pytest.raises(InputError, match="nothing in common") as error:
        compare_revisions(open_scores("base", base), [open_scores("other", other)], QUICK)
    assert reason in str(error.value)


def test_arms_of_one_revision(tmp_path: Path) -> None:
    write_vlkd(tmp_path, {"all": 0.2})
    write_mad(tmp_path, {"baseline": 0.0, "mad": 0.2, "naive": 0.1})
    scores = open_scores("here", tmp_path)
    comparison = compare_arms(scores, "baseline", QUICK)
    assert [(row.cell.split, row.cell.arm) for row in comparison.rows] == [
        ("full 10 %", "mad"),
        ("full 10 %", "naive"),
        ("hard 10 %", "mad"),
        ("hard 10 %", "naive"),
    ]
    full, hard = (
        next(row.paired.difference.mean for row in comparison.rows if (row.cell.split, row.cell.arm) == (split, "mad"))
        for split in ("full 10 %", "hard 10 %")
    )
    assert full > hard > 0
    assert "Not compared, no baseline there: vqav2/test/all." in notes(comparison)
    with pytest.raises(InputError, match=r"no arm 'none'.*Arms with per-item scores: all, all\.no_image, baseline"):
        compare_arms(scores, "none", QUICK)


def test_rows_of_one_task_tell_its_score_and_its_references(tmp_path: Path) -> None:
    write_vlkd(tmp_path, {"all": 0.2})
    write_mad(tmp_path, {"baseline": 0.0, "mad": 0.2, "blind": -0.1})
    folder = tmp_path / "results/evaluate/mad/score"
    for path in (folder / "items").rglob("*.jsonl"):
        write_jsonl(path, [{**one, "scores": {"loss": 1.0, **one["scores"]}} for one in read_jsonl(path)])
    told = row("mad", "snli_ve", subset="full", arm="mad", variant=None)
    write_jsonl(folder / "scores-snli_ve.jsonl", [told, {**told, "arm": "blind", "control": "blind"}])
    scores = open_scores("here", tmp_path)
    found = compare_arms(scores, "baseline", QUICK).rows
    assert [(one.cell.arm, one.measure.key, one.measure.unit) for one in found] == [("mad", "accuracy", "percent")] * 2
    assert len(compare_arms(scores, "baseline", Choice(arms=("blind",), resamples=300)).rows) == 2


def test_a_control_is_compared_when_it_is_named_and_one_without_seed_with_every_seed(tmp_path: Path) -> None:
    scores = open_scores("here", write_vlkd(tmp_path, {"all": 0.2}))
    found = compare_arms(scores, "majority", Choice(arms=("all", "all.no_image"), resamples=300)).rows
    assert [(row.cell.arm, row.paired.seeds) for row in found] == [("all", 3), ("all.no_image", 3)]
    assert found[0].paired.difference.low > 0
    back = compare_arms(scores, "all", Choice(arms=("majority",), resamples=300)).rows[0]
    assert back.paired.difference.mean == -found[0].paired.difference.mean


def test_fractions_are_points_directions_are_apart_and_missing_scores_are_left_out(tmp_path: Path) -> None:
    for name, gain in (("base", 0.0), ("other", 0.25)):
        folder = tmp_path / name / "results/evaluate/vlkd/score"
        caption = [
            {**record, "scores": {"CIDEr": 0.5 + gain, "Bleu_4": 0.1, "SPICE": None if index else 0.2}}
            for index, record in enumerate(items("all", 0, 0.0))
        ]
        recall = [
            {**record, "id": f"{way}:{record['id']}", "scores": {"R@1": points, "R@5": 100.0}}
            for way, points in (("text_to_image", 40.0 + 100 * gain), ("image_to_text", 60.0))
            for record in items("all", 0, 0.0)
        ]
        write_jsonl(folder / "items/coco/all-s0.jsonl", caption)
        write_jsonl(folder / "items/retrieval/all-s0.jsonl", recall)
        ways = [row("vlkd", "retrieval", metric="R@1", variant=way) for way in ("text_to_image", "image_to_text")]
        means = [row("vlkd", "coco", metric=name, variant=None, unit="fraction") for name in ("CIDEr", "SPICE")]
        whole = row("vlkd", "coco", metric="Bleu_4", variant=None, unit="fraction", low=None, high=None)
        write_jsonl(folder / "scores.jsonl", [*ways, *means, whole])
    base, other = (open_scores(name, tmp_path / name) for name in ("base", "other"))
    comparison = compare_revisions(base, [other], QUICK)
    found = {row.measure.name: row for row in comparison.rows}
    # BLEU is no mean of its items, so it has no interval and is not compared
    assert set(found) == {"CIDEr", "SPICE", "R@1 text_to_image", "R@1 image_to_text"}
    assert found["CIDEr"].paired.difference.mean == pytest.approx(25.0)
    assert (found["SPICE"].paired.items, found["SPICE"].mean_base) == (1, 20.0)
    assert found["R@1 text_to_image"].paired.difference.mean == pytest.approx(25.0)
    assert (found["R@1 image_to_text"].paired.difference.mean, found["R@1 image_to_text"].paired.items) == (0.0, 60)
    assert "Fractions are shown times 100." in notes(comparison)
    chosen = compare_revisions(base, [other], Choice(metrics=("R@5", "R@1 text_to_image"), resamples=300))
    assert [row.measure.name for row in chosen.rows] == ["R@1 text_to_image", "R@5"]


def test_variants_that_name_no_score_are_one_row(tmp_path: Path) -> None:
    """Text tasks have rows of the variants direct and fine-tuned: a row for each would be Holm's correction twice."""
    for name, gain in (("base", 0.0), ("other", 0.2)):
        folder = tmp_path / name / "results/evaluate/vlkd/score"
        scored = [{**one, "scores": {"f1": one["scores"]["official"]}} for one in items("all", 0, gain)]
        write_jsonl(folder / "items/reading/all-s0.jsonl", scored)
        write_jsonl(folder / "items/reading/all-s0.fine-tuned.jsonl", scored)
        variants = [row("vlkd", "reading", metric="f1", variant=variant) for variant in ("direct", "fine-tuned")]
        write_jsonl(folder / "scores.jsonl", variants)
    base, other = (open_scores(name, tmp_path / name) for name in ("base", "other"))
    rows = compare_revisions(base, [other], QUICK).rows
    assert sorted((row.cell.arm, row.measure.name) for row in rows) == [("all", "f1"), ("all.fine-tuned", "f1")]
    assert all(row.holm == min(1.0, 2 * row.paired.p) for row in rows)


def test_power_is_told_and_unknown_from_one_seed(tmp_path: Path) -> None:
    base, other = pair(tmp_path)
    several = compare_revisions(base, [other], Choice(power=10.0, resamples=300))
    assert several.rows[0].power is not None
    assert several.rows[0].power.difference == 10.0
    shown = table(several, "")
    assert ("power", "seeds for 10") in shown.columns
    assert shown.rows[0]["power"].shown.startswith(str(several.rows[0].power.seeds))
    one = [
        open_scores(name, write_vlkd(tmp_path / f"{name} alone", {"all": gain}, seeds=(0,)))
        for name, gain in (("base", 0.0), ("other", 0.2))
    ]
    alone = compare_revisions(one[0], one[1:], Choice(power=10.0, resamples=300))
    assert alone.rows[0].power is None
    assert table(alone, "").rows[0]["power"].shown == "?"


@pytest.mark.slow
def test_tables_in_all_forms(tmp_path: Path, run, rows) -> None:
    base, other = pair(tmp_path)
    comparison = compare_revisions(base, [other], QUICK)
    markdown = to_markdown(table(comparison, "other minus base"))
    head, ruler, first, *_ = [line for line in markdown.splitlines() if line.startswith("|")]
    assert head.count("|") == ruler.count("|") == first.count("|")
    assert "vqav2" in first
    latex = to_latex(table(comparison, "100 % of other_one"))
    assert r"\caption{100 \% of other\_one}" in latex
    assert latex.count(r" \\") == 1 + len(comparison.rows)

    arguments = (str(base.root), str(other.root), "--power", "5")
    text = run(tmp_path, *arguments)
    assert "W/T/L" in text
    assert "seeds for 5" in text
    # a pipe has no edge: a row is a line
    assert len([line for line in text.splitlines() if line.startswith("vqav2")]) == len(comparison.rows)
    assert run(tmp_path, *arguments, "--markdown").startswith("**")
    assert run(tmp_path, *arguments, "--latex").startswith(r"\begin{table}")
    found = rows(tmp_path, *arguments)
    assert [(one["arm"], one["difference"]) for one in found] == [
        (row.cell.arm, row.paired.difference.mean) for row in comparison.rows
    ]
    assert {"low", "high", "p", "p_holm", "wins", "ties", "losses", "left_out", "power", "unit"} <= found[0].keys()
    text = run(other.root, "--against", "pooled", "--json")
    assert [one["arm"] for one in json.loads(text)["rows"]] == ["all"]


def test_wrong_calls_say_what_to_do(tmp_path: Path, run) -> None:
    base, other = pair(tmp_path)
    (tmp_path / "empty/results/evaluate").mkdir(parents=True)
    for arguments, parts in (
        ([str(base.root), str(tmp_path / "empty")], ["no per-item scores", "empty", "snakemake all"]),
        ([str(base.root), str(base.root)], ["named twice"]),
        ([str(base.root), str(other.root), "--against", "all"], ["arms of one revision"]),
        ([str(base.root), str(other.root), "--task", "nothing"], ["no task 'nothing'", "Known: vqav2"]),
        ([str(base.root), str(other.root), "--arm", "all", "--arm", "al"], ["no arm 'al'", "Known: all"]),
        ([str(base.root), str(other.root), "--method", "vldk"], ["no method 'vldk'", "Known: vlkd"]),
        ([str(base.root), str(other.root), "--metric", "acc"], ["no metric in common"]),
        ([str(base.root), str(other.root), "--metric", "official", "--metric", "acc"], ["no items have a score 'acc'"]),
        ([str(base.root), str(other.root), "--power", "nan"], ["no finite number"]),
        ([str(base.root), str(other.root), "--power", "0"], ["--power"]),
        ([], ["no vldistill project"]),
    ):
        said = run(tmp_path, *arguments, fails=True)
        assert all(part in said for part in parts), said


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"id": None}, ["field id"]),
        ({"scores": 3}, ["field scores:"]),
        ({"scores": {"official": "much"}}, ["field scores.official", "not a number"]),
        ({"group": None}, ["field group"]),
        ({"id": "q1"}, ["'q1' stands twice", "field id"]),
    ],
)
def test_broken_items_are_named(tmp_path: Path, change: dict, parts: list[str]) -> None:
    base, other = pair(tmp_path)
    path = score_file(other.root, "vqav2/all-s1")
    records = read_jsonl(path)
    write_jsonl(path, [*records[:4], {**records[4], **change}, *records[5:]])
    with pytest.raises(InputError) as error:
        compare_revisions(base, [other], QUICK)
    assert all(part in str(error.value) for part in [str(path), "record 5", *parts])


def test_broken_rows_are_named(tmp_path: Path) -> None:
    base, _ = pair(tmp_path)
    path = base.root / "results/evaluate/vlkd/score/scores.jsonl"
    write_jsonl(path, [{"task": "vqav2"}])
    with pytest.raises(InputError, match=r"scores.jsonl, record 1, field metric"):
        open_scores("base", base.root)


@pytest.mark.slow
def test_twelve_arms_on_two_thousand_items_take_seconds(tmp_path: Path) -> None:
    arms = {f"arm{index}": 0.01 * index for index in range(12)}
    base, other = (open_scores(name, write_vlkd(tmp_path / name, arms, n=2000)) for name in ("base", "other"))
    begun = time.process_time()
    assert len(compare_revisions(base, [other], Choice()).rows) == 12
    # 1.5 s on an idle core; the bound is for a slow one
    assert time.process_time() - begun < 10
