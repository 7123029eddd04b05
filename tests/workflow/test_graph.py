"""dvc.yaml states the graph that the rules are."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from vldistill.download.registry import read_registry

if TYPE_CHECKING:
    from conftest import Project

ROOT = Path(__file__).parents[2]
WRONG = {
    "is in no dep": ("      - src/vldistill/split\n", ""),
    "is read by its rules only": ("      - split.okvqa\n", ""),
    "is tracked by DVC only": ("      - features\n", "      - features\n      - world\n"),
    "is in no out": ("      - results/distill/vlkd.run.json\n", ""),
    "is no input": ("      - data/registry.csv\n", "      - data/registry.csv\n      - README.md\n"),
    "is no output": ("      - results/distill/vlkd\n", "      - results/distill/vlkd\n      - results/distill/x\n"),
    "distill_mad@vqa: input": ("        - results/download/${item.priors}\n", ""),
}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory, new_project: Callable[[Path], Project]) -> Project:
    return new_project(tmp_path_factory.mktemp("fresh") / "project")


def differences(project: Project) -> list[str]:
    paths = f"{project.root / 'workflow'}:{project.root / 'src'}"
    text = project.run(sys.executable, "-m", "frontends", "differences", PYTHONPATH=paths)
    return json.loads(text.splitlines()[-1])


def test_the_two_graphs_are_equal(fresh: Project) -> None:
    assert differences(fresh) == []


def test_gated_sets_and_what_holds_them_go_to_their_own_remote_only() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    outs = [out for stage in stages.values() for out in stage.get("outs", ())]
    named = {path: how["remote"] for out in outs if isinstance(out, dict) for path, how in out.items()}
    paths = {out if isinstance(out, str) else next(iter(out)) for out in outs}
    gated = {source.set for source in read_registry(ROOT / "data/registry.csv") if source.gated}
    assert {"cc3m", "corpus", "flickr30k", "vcr"} <= gated
    # vectors of gated images and of VCR's texts; VCR's rewritten texts; a page that may show them
    holding = {path for path in paths if path.startswith("results/features/") and Path(path).name in {*gated, "texts"}}
    holding |= {f"results/download/{name}" for name in gated} & paths
    holding |= {"results/split/vcr", "results/report"}
    assert named == dict.fromkeys(holding, "${download.gated_remote}")
    assert {"results/features/clip/vcr", "results/features/clip/texts", "results/features/bart/texts"} <= holding


@pytest.mark.slow
def test_gated_data_is_not_pushed_until_its_remote_is_there(fresh: Project, tmp_path: Path) -> None:
    project = fresh.copy_to(tmp_path / "project")
    outs = [f"results/download/{name}" for name in ("cc3m", "coco")]
    stages = {"download": {"cmd": "true", "outs": [{outs[0]: {"remote": "${download.gated_remote}"}}, outs[1]]}}
    (project.root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    for out in outs:
        (project.root / out).mkdir(parents=True)
        (project.root / out / "records.jsonl").write_text(out)
    project.run("dvc", "commit", "--force", "download")
    everyone, entitled = tmp_path / "everyone", tmp_path / "entitled"
    project.run("dvc", "remote", "add", "--default", "everyone", str(everyone))
    project.vldistill("preset", "paper", "--force")
    with pytest.raises(AssertionError, match="remote 'gated' doesn't exist"):
        project.run("dvc", "push")
    assert not everyone.exists()
    project.run("dvc", "remote", "add", "gated", str(entitled))
    project.run("dvc", "push")
    texts = [[path.read_text() for path in place.rglob("*") if path.is_file()] for place in (everyone, entitled)]
    assert outs[1] in texts[0] and outs[0] not in texts[0]
    assert outs[0] in texts[1] and outs[1] not in texts[1]


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["mini", "mini-full", "paper"])
def test_the_two_graphs_are_equal_for_every_preset(fresh: Project, tmp_path: Path, preset: str) -> None:
    project = fresh.copy_to(tmp_path / "project")
    project.vldistill("preset", preset, "--force")
    assert differences(project) == []


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["paper", "paper-dry"])
def test_the_graph_at_paper_scale_is_whole(fresh: Project, tmp_path: Path, preset: str) -> None:
    project = fresh.copy_to(tmp_path / "project")
    mini = project.planned_rules()
    project.vldistill("preset", preset, "--force")
    assert project.planned_rules() == mini


@pytest.mark.slow
def test_every_kind_of_difference_is_told(fresh: Project, tmp_path: Path) -> None:
    project = fresh.copy_to(tmp_path / "project")
    path = project.root / "dvc.yaml"
    text = path.read_text(encoding="utf-8")
    for old, new in WRONG.values():
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text, encoding="utf-8")
    found = differences(project)
    assert [told for told in WRONG if not any(told in line for line in found)] == []
