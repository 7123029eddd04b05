"""Metrics whose numbers compare with the literature to the last digit, each with its per-item values.

Captions: `captions` (with `tokenizer`, `meteor` and `spice` as its Java parts). VQA: `vqa` (with `vqa_formula` and
`vqa_normalise`). VCR: `vcr`, with the leaderboard's file. Text: `text`. Retrieval: `retrieval`. Official file formats:
`official`.
"""
