"""The paper's path in small: registry data, published weights, and what does not exist there left out and said.

Official files of the rendered world stand for the fetched ones, local folders for published weights.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from vldistill import distill, evaluate, layout, pretrain
from vldistill.artifact import absence, verify
from vldistill.download import stage as download
from vldistill.download.convert import SETS
from vldistill.download.registry import TEXTS, read_registry
from vldistill.download.rendered import rendered
from vldistill.errors import InputError, VldistillError
from vldistill.features import extract as features
from vldistill.files import read_json, read_jsonl
from vldistill.params import Params
from vldistill.provenance import libraries
from vldistill.report import run as report
from vldistill.report.origin import absent
from vldistill.split import stage as split

REPO = Path(__file__).parents[2]
ABSENT = ("domains", "corpus", "reading", "summary", "vqa_cp")
TASKS = ["coco", "vqav2", "domains", "reading", "corpus"]

pytestmark = pytest.mark.slow


def changed(params: Params, **vlkd) -> Params:
    tree = params.model_dump(mode="json")
    tree["distill"]["vlkd"] |= vlkd
    return Params.model_validate(tree)


@pytest.fixture(scope="module")
def paper(params: Params, weights: dict[str, Path]) -> Params:
    """The small experiment on data of the registry, with published weights."""
    tree = params.model_dump(mode="json")
    tree["download"] |= {"source": "registry", "gated_remote": "gated"}
    tree["pretrain"]["clip"] |= {"source": "published", "published": str(weights["clip"])}
    tree["pretrain"]["language_model"] |= {"source": "published", "published": str(weights["bart"])}
    tree["distill"]["vlkd"] |= {"active": ["all"], "seeds": {"all": 1}}
    tree["distill"]["vlkd"]["replay"]["share"] = 0.0
    tree["distill"]["mad"] |= {"tasks": [], "extra": {}}
    tree["evaluate"]["vlkd"] |= {"tasks": {"default": TASKS}, "controls": {"default": []}}
    return Params.model_validate(tree)


def write_registry(root: Path) -> None:
    """This checkout's registry without the files that the rendered world does not have: nothing is to be fetched."""
    header, *lines = (REPO / "data" / "registry.csv").read_text(encoding="utf-8").splitlines()
    kept = [
        line
        for line, source in zip(lines, read_registry(REPO / "data" / "registry.csv"), strict=True)
        if source.set in (*TEXTS, download.RESPLIT)
        or all((root / "data" / "raw" / source.set / name).exists() for name in source.names)
    ]
    (root / "data" / "registry.csv").write_text("\n".join([header, *kept]) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, params: Params, paper: Params) -> Path:
    """Everything before distillation, with none of the text sets supplied."""
    root = tmp_path_factory.mktemp("published")
    for dataset in set(SETS) - set(ABSENT):
        shutil.copytree(rendered(params, root, dataset), root / "data" / "raw" / dataset)
    write_registry(root)
    for dataset in SETS:
        download.run(paper, root, dataset)
    for task in split.TASKS:
        split.run(paper, root, task)
    for name in pretrain.NAMES:
        if name not in pretrain.STUDENTS:
            pretrain.run(paper, root, name)
    for encoder in ("clip", "clip_untrained"):
        for dataset in ("cc3m", "coco", "nocaps"):
            features.run(paper, root, encoder, dataset)
    return root


def test_what_does_not_exist_is_an_absent_artifact(project: Path) -> None:
    reasons = absent(project / "results")
    assert set(reasons) == {f"download/{name}" for name in ABSENT} | {"pretrain/bart_no_direct"}
    assert "VLDISTILL_DATA_CORPUS" in reasons["download/corpus"]
    assert all(str(project) not in reason for reason in reasons.values()), "equal on every machine"
    for name in ("domains", "reading"):
        assert read_json(layout.split(project, name, "test"))["ids"] == []


def test_a_cell_is_distilled_and_evaluated_without_them(
    project: Path, paper: Params, capfd: pytest.CaptureFixture[str]
) -> None:
    distill.vlkd_batch(paper, project, 0)
    verify(distill.vlkd_gather(paper, project))
    evaluate.vlkd_predict_batch(paper, project, 0)
    said = capfd.readouterr().out
    for task in ("domains", "reading", "corpus"):
        assert f"skipped {task}: " in said
    evaluate.vlkd_predict_gather(paper, project)
    rows = read_jsonl(evaluate.vlkd_score(paper, project) / "scores.jsonl")
    assert {row["task"] for row in rows} == {"coco", "vqav2"}
    assert {"all", "plm", "majority"} <= {row["arm"] for row in rows}
    shutil.copytree(REPO / "data" / "reference", project / "data" / "reference")
    page = report(paper, project).read_text(encoding="utf-8")
    assert "Not in this experiment" in page and "VLDISTILL_DATA_CORPUS" in page


def test_every_run_folder_says_which_libraries_made_it(project: Path, paper: Params) -> None:
    distill.vlkd_batch(paper, project, 0)
    evaluate.vlkd_predict_batch(paper, project, 0)
    keys = {path.parents[1].name: read_json(path) for path in project.glob("scratch/*/*/key.json")}
    assert set(keys) == {"download", "pretrain", "features", "distill", "evaluate_predict"}
    assert {"torch", "transformers", "pillow"} <= set(libraries())
    assert all(key["libraries"] == libraries() for key in keys.values())


@pytest.mark.parametrize(
    ("vlkd", "told"),
    [
        ({"replay": {"share": 0.3}}, r"yours to supply.*replay\.share to 0"),
        ({"active": ["all", "no_direct"]}, r"no twin.*Take the arm no_direct out"),
    ],
)
def test_what_an_active_arm_needs_must_be_there(project: Path, paper: Params, vlkd: dict, told: str) -> None:
    with pytest.raises(InputError, match=told):
        distill.vlkd_batch(changed(paper, **vlkd), project, 0)


def test_a_text_set_comes_in_once_it_is_supplied(
    project: Path, params: Params, paper: Params, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(project / "data", tmp_path / "project" / "data")).parent
    mine = tmp_path / "mine"
    shutil.copytree(rendered(params, project, "reading"), mine)
    monkeypatch.setenv("VLDISTILL_DATA_READING", str(mine))
    assert absence(download.run(paper, root, "reading")) is None
    (mine / "dev.jsonl").unlink()
    shutil.rmtree(root / "data" / "raw" / "reading")
    with pytest.raises(VldistillError, match=r"reading/dev\.jsonl is for you to supply"):
        download.run(paper, root, "reading")
