"""VQA with the priors of VQA v2: its own lists and records, keys of their own, and nothing under shift."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.evaluate.mad.project import publish_models
from vldistill import evaluate, layout
from vldistill.artifact import publish, read_manifest
from vldistill.cells import mad_batches, mad_cells
from vldistill.distill.mad.key import PUBLISHED_PRIORS, record_set, subset_file
from vldistill.evaluate.mad import jobs
from vldistill.evaluate.mad.bars import HARMLESS
from vldistill.evaluate.mad.data import MadData
from vldistill.evaluate.mad.statistics import Draw
from vldistill.evaluate.mad.summary import summarise
from vldistill.evaluate.mad.tables import read_results
from vldistill.features.sentences import texts_of
from vldistill.files import read_json, read_jsonl
from vldistill.params import Params
from vldistill.records import read_questions, write_records

pytestmark = pytest.mark.slow


def with_priors(params: Params, priors: str) -> Params:
    tree = params.model_dump()
    tree["distill"]["mad"]["vqa_priors"] = priors
    return Params.model_validate(tree)


@pytest.fixture(scope="module")
def official(mad_params: Params) -> Params:
    return with_priors(mad_params, "official")


@pytest.fixture(scope="module")
def root(mad_project: Path, official: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with cells of VQA that know the answers of the official lists, predicted and scored."""
    target = tmp_path_factory.mktemp("official") / "project"
    shutil.copytree(mad_project, target, ignore=shutil.ignore_patterns("scratch"))
    publish_models(target, official, "vqa", texts_of(target))
    for batch in range(len(mad_batches(official, "vqa"))):
        evaluate.mad_predict_batch(official, target, "vqa", batch)
    evaluate.mad_predict_gather(official, target, "vqa")
    evaluate.mad_score(official, target, "vqa")
    return target


def test_cells_train_on_the_list_of_vqa_v2_and_are_scored_on_its_test_list(root: Path, official: Params) -> None:
    for cell in mad_cells(official, "vqa"):
        assert subset_file(official, root, cell).stem == f"train-{cell.fraction}-s{cell.seed}"
    data = MadData(official, root, "vqa")
    assert {name: [record.id for record in records] for name, records in data.sets.items()} == {
        "iid": read_json(layout.split(root, "vqa", "test"))["ids"]
    }
    scored = layout.score_items_mad(root, "vqa")
    assert {Path(name).parent.name for name in read_manifest(scored)["files"]} == {"iid"}
    for name in ("mad-f20-s0", "teacher-f20-s1", "majority-f20-s0", "blind-f20-s1"):
        assert [item["id"] for item in read_jsonl(scored / f"iid/{name}.jsonl")] == [r.id for r in data.sets["iid"]]


def test_dev_is_the_dev_list(root: Path, official: Params) -> None:
    tree = official.model_dump()
    tree["evaluate"]["mad"]["split"] = "dev"
    (found,) = MadData(Params.model_validate(tree), root, "vqa").sets.values()
    assert [record.id for record in found] == read_json(layout.split(root, "vqa", "dev"))["ids"]


def test_bars_under_shift_are_not_measured_and_nothing_else_is_lost(root: Path, official: Params) -> None:
    summary = summarise(read_results(root, ["vqa"]), ["vqa"], Draw(resamples=50))
    assert {mean.place.subset for mean in summary.means} == {"iid"}
    assert {one.family for one in summary.differences} >= {"gain", "over_naive", "blind"}
    assert not summary.matched
    shifted = [bar for bar in summary.bars if bar.name.startswith(HARMLESS) and ".shift." in bar.name]
    assert shifted and all(bar.met is None and bar.value is None for bar in shifted)


def test_nothing_is_shared_with_cells_under_changed_priors(root: Path, mad_params: Params, official: Params) -> None:
    lists = [read_json(subset_file(each, root, mad_cells(each, "vqa")[0])) for each in (mad_params, official)]
    assert lists[0]["sha256"] != lists[1]["sha256"]
    for one, other in zip(jobs.all_jobs(mad_params, "vqa"), jobs.all_jobs(official, "vqa"), strict=True):
        assert one == other and jobs.key(one, mad_params, root) != jobs.key(other, official, root)
    for task in ("snli_ve", "vcr"):
        job = jobs.all_jobs(official, task)[0]
        assert jobs.key(job, mad_params, root) == jobs.key(job, official, root)


def test_official_priors_are_of_vqa_v2_where_the_published_re_split_is_there(
    root: Path, mad_params: Params, official: Params, tmp_path: Path
) -> None:
    both = Path(shutil.copytree(root, tmp_path / "both", ignore=shutil.ignore_patterns("scratch")))
    shutil.rmtree(layout.download(both, PUBLISHED_PRIORS))
    few = read_questions(layout.download(both, "vqav2"))[:3]
    publish(layout.download(both, PUBLISHED_PRIORS), lambda folder: write_records(folder, few) and None)
    assert record_set(mad_params, both, "vqa") == PUBLISHED_PRIORS
    assert record_set(official, both, "vqa") == "vqav2"
    sets = [{name: len(found) for name, found in MadData(official, at, "vqa").sets.items()} for at in (root, both)]
    assert sets[0] == sets[1]
    changed = MadData(mad_params, both, "vqa")
    assert {record.id for record in changed.unlabelled} == {
        record.id for record in MadData(official, both, "vqa").unlabelled
    }
