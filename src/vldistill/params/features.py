"""Parameters of the `features` section."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from vldistill.params.base import Section

VcrText = Literal["choice", "question_choice"]
Kind = Literal["pooled", "patch", "text", "region", "region_pooled"]


class Features(Section):
    """Frozen teacher features, extracted once."""

    kinds: dict[str, list[Kind]] = Field(
        {
            "cc3m": ["pooled", "patch", "text"],
            "coco": ["pooled", "patch", "text", "region", "region_pooled"],
            "nocaps": ["pooled", "patch"],
            "flickr30k": ["region", "region_pooled"],
            "vcr": ["region", "region_pooled"],
            "vg": ["region", "region_pooled"],
        },
        description="What is stored for each data set: `pooled` image vectors, `patch` tokens, `text` vectors of the "
        "captions, `region` features for a student (the mean of each crop's patch tokens), `region_pooled` vectors of "
        "the crops. Patch tokens take 0.3 to 0.5 MB an image at full scale. The untrained encoder has no regions: it "
        "teaches no student.",
    )
    splits: dict[str, list[Literal["train", "dev", "test", "unlabelled"]]] = Field(
        {"cc3m": ["train", "dev"], "coco": ["train", "dev", "test"], "nocaps": ["dev", "test"]},
        description="Splits of each data set with captions that get features; of the others all images do. The dev "
        "questions of VQAv2 and OK-VQA are on coco's train images. `unlabelled` are coco's test2015 images, where they "
        "are brought (docs/data.md): only a student that reads stored regions needs them.",
    )
    tagged_as: str = Field(
        "",
        description="Word for an object's tag (VCR, Visual Genome) in texts for teachers; empty = the object's class.",
    )
    vcr_text: VcrText = Field(
        "choice",
        description="What the teachers read of VCR: the `choice` alone, or `question_choice`, the question before it "
        "and, before a rationale, the right answer, too. They judge that text, and choose words of it. Where it is "
        "too long for a teacher, the question is cut and then the answer before a rationale, never the choice; "
        "`cut_before_choice` in the manifest of results/features/ENCODER/texts tells how often.",
    )
    shard_rows: int = Field(
        1024,
        ge=1,
        description="Rows of a shard; one shard is what a kill can lose. 10,000 or more at full scale, since many "
        "small files are slow.",
    )
    batch_size: int = Field(64, ge=1, description="Images or captions that pass through the teacher at once.")
    max_invalid: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Largest tolerated share of images that are missing or broken. They are recorded and left out, "
        "never replaced; more are an error.",
    )
