"""The smallest world that still holds every set, split and domain."""

from vldistill.params.world import Sizes

TINY = Sizes(
    cc3m=12,
    captions=2,
    coco_train=6,
    coco_val=4,
    coco_test=5,
    references=2,
    questions=2,
    okvqa_test=4,
    nocaps=2,
    nocaps_references=3,
    domain_questions=2,
    corpus=20,
    text_train=4,
    text_dev=4,
    text_test=4,
    flickr_train=8,
    flickr_dev=4,
    flickr_test=4,
    hypotheses=2,
    vcr_train=16,
    vcr_test=4,
    vcr_questions=2,
    vg=8,
    phrases=2,
    figure_phrases=2,
)
