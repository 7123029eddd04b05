"""The score that the bars and all headline numbers are about. No parameter: bars are set before numbers are known."""

CHIEF = {"snli_ve": "accuracy", "vcr": "Q->A", "vqa": "official"}
