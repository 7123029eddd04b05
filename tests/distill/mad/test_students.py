"""Published students through the whole chain, with tiny weights: ViLT on pixels, UNITER on the user's region files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from transformers import PreTrainedTokenizerFast, ViltConfig, ViltModel

from tests.distill.mad.project import cell, inference_cost, params_tree, write_params
from tests.models.student.test_published import TINY, save, uniter_state
from tests.models.test_regions import npz
from vldistill import layout, presets, pretrain
from vldistill.cells import MadCell, mad_cells
from vldistill.distill import mad_batch, mad_gather
from vldistill.distill.mad import lookup
from vldistill.distill.mad.cell import run_mad_cell
from vldistill.distill.mad.data import load_subset
from vldistill.distill.mad.key import cell_key, record_set, subset_file
from vldistill.distill.mad.losses import task_loss
from vldistill.distill.mad.prepare import Prepared, prepare
from vldistill.distill.mad.scores import item_scores
from vldistill.distill.mad.visual_inputs import FiledRegions, Pixels, StoredRegions
from vldistill.errors import InputError
from vldistill.evaluate.mad.batch import mad_predict_batch, mad_predict_gather
from vldistill.evaluate.mad.score import mad_score
from vldistill.evaluate.metrics.vqa import vqa_accuracy
from vldistill.features.sentences import PLAIN, bare, texts_of
from vldistill.files import read_jsonl
from vldistill.models.mad import MadModel
from vldistill.models.region_files import PATTERNS, file_name
from vldistill.models.student import tagged_object
from vldistill.models.student.tokens import ASCII, FIRST_NAMES, NO_WORD, SPECIALS, object_names, wordpiece
from vldistill.params import Params, load
from vldistill.params.mad_grid import TASKS
from vldistill.records import read_choices, read_entailments, read_questions, read_regions

ONE_CELL: dict[str, Any] = {"active": ["mad"], "default_seeds": 1, "fractions": [50]}

SET_OF = {"snli_ve": "test", "vcr": "test", "vqa": "iid"}


def experiment(root: Path, student: dict[str, Any], **mad: Any) -> Params:
    """params.yaml with another student, which is pre-trained at once."""
    tree = params_tree(**{**ONE_CELL, **mad})
    tree["pretrain"]["student"] |= student
    tree["evaluate"] = {"mad": {"references": False, "leaderboard": ""}}
    (root / "params.yaml").write_text(yaml.safe_dump(tree))
    params = load(root / "params.yaml")
    pretrain.run(params, root, "student")
    return params


def plain_vocabulary(root: Path) -> list[str]:
    """Tokens as a published BERT has them: all words of the tiny world, and no tag."""
    words = [bare(word) for text in texts_of(root) for word in text.split()]
    names = [*FIRST_NAMES, *(name.lower() for name in FIRST_NAMES)]
    letters = [*ASCII, *(f"##{letter}" for letter in ASCII)]
    return list(dict.fromkeys([*SPECIALS, *letters, *sorted({*words, *names} - {""})]))


def vilt(root: Path, folder: Path) -> dict[str, Any]:
    """A ViLT as transformers saves one."""
    tokenizer = wordpiece(plain_vocabulary(root), lowercase=True)
    torch.manual_seed(0)
    config = ViltConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24,
        image_size=32, patch_size=8, max_position_embeddings=40, initializer_range=0.2,
    )  # fmt: skip
    ViltModel(config).save_pretrained(folder)
    saved = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend, unk_token="[UNK]", pad_token="[PAD]")
    saved.save_pretrained(folder)
    return {"source": "vilt", "published": str(folder)}


def uniter(root: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Weights with UNITER's names, and features of every image in a folder of the user's."""
    folder.mkdir()
    tokens = plain_vocabulary(root)
    state = uniter_state(1, {**TINY, "vocabulary": len(tokens), "positions": 64})
    file, vocabulary, digest = save(folder, state)
    vocabulary.write_text("\n".join(tokens) + "\n")
    for dataset in ("flickr30k", "vcr", "coco", "vg"):
        images = folder / dataset
        images.mkdir()
        for number, key in enumerate(read_regions(layout.download(root, dataset))):
            (images / file_name(PATTERNS[dataset], key)).write_bytes(npz(3 + number, width=TINY["region"]))
        monkeypatch.setenv(f"VLDISTILL_REGIONS_{dataset.upper()}", str(images))
    return {"source": "uniter", "published": str(file), "published_vocabulary": str(vocabulary), "sha256": digest}


def accuracies(params: Params, root: Path, task: Any) -> dict[str, float]:
    """Distil, predict and score the cell of a task; metric -> percent of the test set."""
    mad_batch(params, root, task, 0)
    mad_gather(params, root, task)
    mad_predict_batch(params, root, task, 0)
    mad_predict_gather(params, root, task)
    mad_score(params, root, task)
    rows = read_jsonl(layout.scores_mad(root, task))
    chief = [row for row in rows if row["variant"] in (None, "official")]
    return {row["metric"]: row["value"] for row in chief if row["unit"] == "percent" and row["subset"] == SET_OF[task]}


def counted(root: Path, task: str) -> dict[str, float]:
    """The same, counted from the files of predictions and records."""
    [file] = (layout.predict_mad(root, task) / SET_OF[task]).glob("*.jsonl")
    said = {row["id"]: row for row in read_jsonl(file)}
    if task == "snli_ve":
        true = {record.id: record.label for record in read_entailments(layout.download(root, task))}
        return {"accuracy": 100 * mean(row["prediction"] == true[key] for key, row in said.items())}
    if task == "vqa":
        answers = {record.id: record.answers for record in read_questions(layout.download(root, "vqav2"))}
        return {"accuracy": 100 * mean(vqa_accuracy(row["prediction"], answers[key]) for key, row in said.items())}
    records = {record.id: record for record in read_choices(layout.download(root, task))}
    answers = [best(row["scores"]) == records[key].answer_label for key, row in said.items()]
    reasons = [best(row["rationale_scores"]) == records[key].rationale_label for key, row in said.items()]
    both = [answer and reason for answer, reason in zip(answers, reasons, strict=True)]
    return {"Q->A": 100 * mean(answers), "QA->R": 100 * mean(reasons), "Q->AR": 100 * mean(both)}


def best(scores: list[float]) -> int:
    return max(range(len(scores)), key=scores.__getitem__)


def assert_learns_pictures(made: Prepared) -> None:
    """One text with a label for each of a few pictures: once it has learnt them, its answers go where they go."""
    seen, model = made.task._inputs, made.model
    pictures = torch.arange(6)
    same = replace(seen, tokens=model.student.tokenize([["there is a thing"]] * len(pictures)), image=pictures)
    labels = pictures % len(model.answers)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.003)
    batch = same.batch(pictures)
    for _ in range(100):
        optimiser.zero_grad()
        task_loss(model(batch)[0], labels).backward()
        optimiser.step()
    model.eval()
    assert item_scores(model, same).argmax(dim=1).tolist() == labels.tolist()
    turned = replace(same, image=pictures.roll(1))
    assert item_scores(model, turned).argmax(dim=1).tolist() == labels.roll(1).tolist()


@pytest.mark.parametrize("task", TASKS)
def test_vilt_from_distilling_to_accuracy(root: Path, tmp_path: Path, task: Any) -> None:
    params = experiment(root, vilt(root, tmp_path / "vilt"), vqa_priors="official")
    assert accuracies(params, root, task) == pytest.approx(counted(root, task))
    assert_reads_names(params, root, cell("mad", task))


def assert_reads_names(params: Params, root: Path, one: MadCell) -> None:
    """A student that knows no tags reads first names and classes in their places; they are no words of a teacher."""
    made = prepare(params, root, one)
    records, ids = layout.download(root, record_set(params, root, one.task)), subset_file(params, root, one)
    items = load_subset(one.task, records, ids, made.options, one.seed, PLAIN, ()).train
    tokenizer, tokens = made.model.student.tokenizer, made.task._inputs.tokens
    assert len(tokens) == len(items.texts)
    tags = names = 0

    def called(objects: tuple[str, ...]) -> list[list[str]]:
        return [name.lower().split() for name in object_names(objects)]

    for row, text in enumerate(items.texts):
        objects = items.objects[row // items.choices]
        words = [word for segment in text for word in segment.split()]
        shown = [tokenizer.backend.id_to_token(token) for token in tokens.ids[row].tolist()]
        assert "[" not in shown and "]" not in shown and "[UNK]" not in shown
        for number in set(tokens.words[row].tolist()) - {NO_WORD}:
            index = tagged_object(words[number])
            read = [token for token, of in zip(shown, tokens.words[row].tolist(), strict=True) if of == number]
            tags += index is not None
            names += index is not None and [token.lower() for token in read] == called(objects)[index]
    assert tags == names and (tags > 0) == (items.task == "vcr")
    picks = made.task._teaching.picks
    assert picks is not None and not {name.lower() for name in FIRST_NAMES} & set(picks.words)


def test_a_picked_region_is_where_vilt_has_its_patches(root: Path, tmp_path: Path) -> None:
    params = experiment(root, vilt(root, tmp_path / "vilt"))
    made = prepare(params, root, cell())
    seen, picked = made.task._inputs, made.task._teaching.picks
    assert isinstance(seen.visual, Pixels) and picked is not None
    items = torch.arange(6)
    batch = made.task.collate(items.numpy(), None)  # type: ignore[arg-type]
    shares, rows = batch["region"], seen.rows(items)
    assert shares.shape[0] == 6 and torch.allclose(shares.sum(dim=1), torch.ones(6))
    assert [bool(share[0] == 1) for share in shares] == [region == 0 for region in picked.region[rows].tolist()]
    # the world's pictures are squares: shares of a grid are shares of the picture
    side = int((shares.shape[1] - 1) ** 0.5)
    for share, image, region in zip(shares, seen.image[rows], picked.region[rows], strict=True):
        if region > 0:
            x1, y1, x2, y2 = seen.boxes[image, region].tolist()
            grid = share[1:].view(side, side)
            centre = torch.arange(side) + 0.5
            assert x1 <= float((grid.sum(dim=0) * centre).sum()) / side <= x2
            assert y1 <= float((grid.sum(dim=1) * centre).sum()) / side <= y2
    made.task.loss(batch)["clip_image"].backward()
    assert made.model.student.model.embeddings.patch_embeddings.projection.weight.grad.abs().sum() > 0


@pytest.mark.slow
def test_the_preset_paper_distils_with_vilt(root: Path, tmp_path: Path) -> None:
    project = Path(__file__).parents[3]
    tiny = params_tree(**ONE_CELL)
    few = {"steps": 2, "batch_size": 4, "warmup": 0, "checkpoint_every": 2}
    over = {
        "world": tiny["world"],
        "download": {"source": "world"},
        "split": {"mad": tiny["split"]["mad"]},
        "pretrain": {"student": vilt(root, tmp_path / "vilt")},
        "distill": {"mad": {**ONE_CELL, "training": few, "per_task": {}, "per_fraction": {}, "head": {"steps": 2}}},
        "compute": {"device": "cpu", "dtype": "fp32", "threads": 1},
    }
    params = Params.model_validate(presets.merge(presets.params_of(project, "paper-dry").model_dump(), over))
    pretrain.run(params, root, "student")
    asked = {each.arm for each in mad_cells(presets.params_of(project, "paper"), "snli_ve")}
    assert {"baseline", "nkd", "mad", "mad_af", "random_token"} <= asked
    batch, costs = prepare(params, root, cell("baseline")).task.collate(np.arange(3), np.random.default_rng(0)), set()
    for arm in sorted(asked):
        run = run_mad_cell(params, root, cell(arm))
        assert run.result is not None and run.result["metrics"]["step"] > 0
        costs.add(inference_cost(MadModel.load(run.path / "model"), batch))
    assert len(costs) == 1, "in prediction all arms are the baseline"


def test_uniter_from_distilling_to_accuracy(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    student = uniter(root, tmp_path / "files", monkeypatch)
    params = experiment(root, student, vqa_priors="official")
    for task in TASKS:
        assert accuracies(params, root, task) == pytest.approx(counted(root, task))
        assert_reads_names(params, root, cell("mad", task))
    made = prepare(params, root, cell())
    seen = made.task._inputs
    assert isinstance(seen.visual, FiledRegions)
    batch = made.task.collate(torch.arange(4).numpy(), None)  # type: ignore[arg-type]
    assert batch["region_features"].shape[-1] == TINY["region"] and batch["region"].dtype == torch.long
    assert batch["region_mask"][torch.arange(len(batch["region"])), batch["region"]].all()
    before = cell_key(params, root, cell())
    (tmp_path / "files" / "flickr30k" / "more.npz").write_bytes(b"")
    assert cell_key(params, root, cell()) != before, "what is read is part of a cell's key"
    monkeypatch.delenv("VLDISTILL_REGIONS_FLICKR30K")
    with pytest.raises(InputError, match=r"field VLDISTILL_REGIONS_FLICKR30K: no region features of flickr30k"):
        cell_key(params, root, cell())


def test_vilt_sees_the_pictures(root: Path, tmp_path: Path) -> None:
    params = experiment(root, vilt(root, tmp_path / "vilt"), active=["baseline"])
    assert_learns_pictures(prepare(params, root, cell("baseline", fraction=100)))


def test_uniter_sees_the_regions(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    params = experiment(root, uniter(root, tmp_path / "files", monkeypatch), active=["baseline"])
    assert_learns_pictures(prepare(params, root, cell("baseline", fraction=100)))


def test_features_of_another_width_are_refused(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    params = experiment(root, uniter(root, tmp_path / "files", monkeypatch), active=["baseline"])
    for file in (tmp_path / "files" / "flickr30k").iterdir():
        file.write_bytes(npz(4, width=7))
    with pytest.raises(InputError, match=r"reads regions 12 wide, these are 7 wide"):
        run_mad_cell(params, root, cell("baseline"))


def test_weights_that_the_user_says_have_seen_the_task_are_refused(root: Path, tmp_path: Path) -> None:
    params = experiment(root, {**vilt(root, tmp_path / "vilt"), "published_seen": ["vcr"]})
    with pytest.raises(InputError, match="trained on all of vcr's training set"):
        prepare(params, root, cell("mad", "vcr"))
    assert prepare(params, root, cell("mad", "snli_ve"))


@pytest.mark.parametrize("arm", ["projected_input", "embeddings_init"])
def test_arms_that_vilt_cannot_have_say_so(root: Path, tmp_path: Path, arm: str) -> None:
    params = experiment(root, vilt(root, tmp_path / "vilt"), active=[arm])
    with pytest.raises(InputError, match=r"student of kind vilt .*Leave the arm out"):
        run_mad_cell(params, root, cell(arm))


@pytest.mark.parametrize("task", ["snli_ve", "vcr"])
@pytest.mark.parametrize("arm", ["mad_af", "shuffled_targets"])
def test_vectors_that_are_not_held_teach_the_same(
    rendered: Path, monkeypatch: pytest.MonkeyPatch, task: Any, arm: str
) -> None:
    params = write_params(rendered, teachers={"language_model": 0.5})
    held = prepare(params, rendered, cell(arm, task))
    monkeypatch.setattr(lookup, "HELD", 0)
    read = prepare(params, rendered, cell(arm, task))
    assert isinstance(read.task._inputs.visual, StoredRegions)
    targets = read.task._teaching.target.values()
    assert not any(isinstance(table, torch.Tensor) for table in (read.task._inputs.visual.features, *targets))
    for step in range(3):
        one, two = (made.task.collate(made.task.sampler.batch(step), None) for made in (held, read))  # type: ignore[arg-type]
        assert set(one) == set(two)
        for name in one:
            torch.testing.assert_close(one[name], two[name])
