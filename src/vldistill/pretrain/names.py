"""The models this stage makes."""

from __future__ import annotations

STUDENTS = {"student": 100, "student_gap0": 0, "student_gap25": 25, "student_gap50": 50}
"""Cross-modal student -> percent of the synonyms that it is kept from in pre-training: the gap to the teacher."""
NAMES = {
    "clip": "the teacher",
    "clip_untrained": "the teacher's architecture with random weights: a control",
    "bart": "the language model",
    "bart_no_direct": "the language model made without documents that ask and answer without a description: a control",
    **{name: f"the cross-modal student, kept from {percent} % of the synonyms" for name, percent in STUDENTS.items()},
}
