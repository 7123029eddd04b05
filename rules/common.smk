# Shared by all rules: the checked experiment, narrow getters of parameters and code, and resources.
import os
import sys
from pathlib import Path

ROOT = Path(workflow.basedir).parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "workflow")]

from snakemake.exceptions import WorkflowError

import frontends as front_ends
from vldistill import cells, code_version
from vldistill import params as experiment
from vldistill.errors import VldistillError
from vldistill.pretrain import names as pretrained

if workflow.config_settings.overwrite_config:
    raise WorkflowError(
        "--config and --configfile are refused: the stages and DVC read params.yaml alone. "
        "Edit params.yaml, or: dvc exp run -S KEY=VALUE"
    )
try:
    PARAMS = experiment.load("params.yaml")
except VldistillError as error:
    raise WorkflowError(str(error))

# Jobs find `vldistill` of this environment, activated or not, and the code of this checkout: a DVC workspace has its own.
os.environ.update(
    PATH=os.pathsep.join(
        [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    ),
    PYTHONPATH=os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]),
)

DATASETS = [
    "cc3m",
    "coco",
    "nocaps",
    "vqav2",
    "okvqa",
    "domains",
    "corpus",
    "reading",
    "summary",
]
MAD_DATASETS = ["flickr30k", "snli_ve", "vcr", "vg", "vqa_cp"]
MODELS = ["clip", "clip_untrained", "bart", "bart_no_direct"]
STUDENTS = list(pretrained.STUDENTS)
ENCODERS = ["clip", "clip_untrained"]
IMAGE_SETS = ["cc3m", "coco", "nocaps"]
REGION_SETS = ["flickr30k", "vcr", "vg"]
TEXT_ENCODERS = ["clip", "bart"]
TEXT_FEATURES = [
    f"results/features/{encoder}/texts/manifest.json" for encoder in TEXT_ENCODERS
]
# The sets of the texts that a teacher has vectors of.
TEXT_SETS = ["snli_ve", "vcr", "vqav2", "vg"]
# The phrases that MAD's maps between student and teachers are fitted on, and the features of their images.
PHRASES = [
    "results/download/vg/manifest.json",
    "results/features/clip/vg/manifest.json",
]
TASKS = ["coco", "nocaps", "vqav2", "okvqa", "domains", "reading", "summary"]
# MAD's tasks: the set of the images first, then those of the records.
MAD_TASKS = {
    "snli_ve": ["flickr30k", "snli_ve"],
    "vcr": ["vcr"],
    "vqa": ["coco", "vqav2", "vqa_cp"],
}
VLKD_BATCHES = range(
    len(cells.batches(cells.vlkd_cells(PARAMS), PARAMS.compute.runs_per_job))
)
NUMERICS = ["compute.device", "compute.dtype", "compute.threads"]
# Published data and models need more memory and time than the rendered world.
FULL_SCALE = config.get("download", {}).get("source", "world") != "world"


wildcard_constraints:
    dataset="|".join(DATASETS),
    model="|".join(MODELS),
    encoder="|".join(ENCODERS),
    task="|".join(TASKS),
    batch=r"\d+",


def narrow(*keys):
    """The parts of params.yaml below `keys`, so that a rule runs again only when a key it reads has changed."""
    return {key: front_ends.value_at(config, key) for key in keys}


def sources(stage):
    """The code whose edit runs a stage again: all that makes up its code version, and templates beside it."""
    places = [code_version.PACKAGE / name for name in code_version.SOURCES[stage]]
    files = [
        file
        for place in places
        for file in ([place] if place.is_file() else place.rglob("*.*"))
    ]
    return sorted(os.path.relpath(file) for file in files if file.suffix != ".pyc")


def existing(*paths):
    """Inputs that need not be there."""
    return [path for path in paths if Path(path).is_file()]


def scaled(mini, full):
    """A resource as a function of the attempt, so that a job killed for memory or time gets more when retried."""
    return lambda wildcards, attempt: attempt * (full if FULL_SCALE else mini)


def deadline(wildcards, resources):
    """In a cluster job, stop two minutes before its time limit with the state saved; the next attempt goes on."""
    return f"--deadline {resources.runtime * 60 - 120}" if workflow.remote_exec else ""


def gpus():
    """GPUs of a job that trains or predicts: the one place that decides on them."""
    return int(PARAMS.compute.device == "cuda")


def pretraining_data(wildcards):
    """Manifests of the data sets that a model is trained on (or takes its vocabulary from)."""
    used = ["cc3m"] if wildcards.model.startswith("clip") else ["corpus", "cc3m"]
    return expand("results/download/{dataset}/manifest.json", dataset=used)


def start_of(wildcards):
    """Manifest of the student that one of a chosen gap goes on from."""
    usual = "results/pretrain/student/manifest.json"
    return [] if wildcards.model == "student" else [usual]


def task_data(wildcards):
    """Manifests of the data sets that hold the records and images of one of MAD's tasks."""
    return expand(
        "results/download/{dataset}/manifest.json", dataset=MAD_TASKS[wildcards.task]
    )


def task_features(wildcards):
    """The feature store of the images of one of MAD's tasks."""
    return f"results/features/clip/{MAD_TASKS[wildcards.task][0]}/manifest.json"


def mad_batches(wildcards):
    """Numbers of the batches of cells of one of MAD's tasks."""
    return range(len(cells.mad_batches(PARAMS, wildcards.task)))
