"""The models this stage makes."""

from __future__ import annotations

NAMES = {
    "clip": "the teacher",
    "clip_untrained": "the teacher's architecture with random weights: a control",
    "bart": "the language model",
    "bart_no_direct": "the language model made without documents that ask and answer without a description: a control",
}
