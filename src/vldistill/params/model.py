"""The tree of all parameters."""

from __future__ import annotations

from pydantic import Field

from vldistill.params.base import Section
from vldistill.params.compute import Compute
from vldistill.params.distill import Distill
from vldistill.params.download import Download
from vldistill.params.evaluate import Evaluate
from vldistill.params.features import Features
from vldistill.params.pretrain import Pretrain
from vldistill.params.report import Report
from vldistill.params.split import Split
from vldistill.params.world import World


class Params(Section):
    """One experiment. The defaults are the preset `mini`."""

    world: World = Field(
        default_factory=World, description="The rendered miniature world; read only where `download.source` is `world`."
    )
    download: Download = Field(
        default_factory=Download, description="Where data come from and how they become records and images."
    )
    pretrain: Pretrain = Field(
        default_factory=Pretrain, description="Teacher and language model: trained stand-ins or published weights."
    )
    features: Features = Field(default_factory=Features, description="Frozen teacher features.")
    split: Split = Field(default_factory=Split, description="Id lists of dev and test.")
    distill: Distill = Field(default_factory=Distill, description="The methods, their arms and seeds.")
    evaluate: Evaluate = Field(default_factory=Evaluate, description="Tasks, prompts, decoding, controls and metrics.")
    report: Report = Field(default_factory=Report, description="The report page.")
    compute: Compute = Field(default_factory=Compute, description="Device, number type, threads and batching of cells.")
