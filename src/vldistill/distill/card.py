"""The model card of a distilled model: facts only, nothing that two equal runs would write differently."""

from __future__ import annotations

from typing import Any

TOY = (
    "**This is a toy.** It was distilled from a miniature CLIP and a miniature BART, all of them trained in minutes on "
    "a rendered world of simple shapes. It knows nothing of photographs; its purpose is to show that the method works."
)
TOY_STUDENT = (
    "**This is a toy.** Its student and its teacher were trained in minutes on a rendered world of simple shapes. It "
    "knows nothing of photographs; its purpose is to show what the method does."
)
LICENCE_TOY = "MIT, like the project that made it: data, teacher and language model were made by the project itself."
LICENCE = (
    "The weights derive from the teacher, the language model and the captions named below; their licences and terms "
    "(see the project's data/ folder) hold for this model, too."
)

LICENCE_STUDENT = (
    "The weights derive from a published student, from the teachers and from the task's data; their licences and terms "
    "(see the project's data/ folder) hold for this model, too."
)


def model_card(config: dict[str, Any]) -> str:
    """README.md of a saved model, from its config.json with the `arm` added."""
    options, training = config["options"], config["options"]["training"]
    weights = ", ".join(f"{name} {value:g}" for name, value in options["weights"].items())
    parts = [
        f"# VLKD {config['arm']}, seed {config['seed']}",
        *([TOY] if config["toy"] else []),
        "A language model that sees: CLIP's image tower, a projection, and an encoder-decoder into which CLIP was "
        "distilled with VLKD (Dai et al., Findings of ACL 2022; this is a re-implementation).",
        "## Use",
        '```python\nimport vldistill\nmodel = vldistill.load("THIS_FOLDER")\n```\n'
        'or `vldistill caption IMAGE...` and `vldistill ask IMAGE "question"`.',
        "## How it was made",
        _table(
            {
                "pairs": f"{config['pairs']} captions of {config['images']} images (set cc3m, training split)",
                "teacher": f"`{options['encoder']}`, weights sha256 `{config['teacher']['weights'][:16]}`, "
                f"activation {config['teacher']['activation']}",
                "language model": f"`{options['language_model']}`",
                "image states": options["image_states"],
                "loss weights": weights,
                "text vector": f"pool {options['pool']}, {'unit' if options['unit'] else 'raw'} vectors in TTDM",
                "masked": f"{options['corruption']['mask_ratio']:g} of the tokens, "
                f"{options['corruption']['whole']:g} of the captions whole",
                "text replay": f"in {options['replay']['share']:g} of the steps",
                "training": f"{training['steps']} steps of {training['batch_size']} pairs, AdamW, peak learning rate "
                f"{training['learning_rate']:g}",
                "computed in": f"{config['compute']['dtype']} on {config['compute']['device']}",
            }
        ),
        "All options are in config.json.",
        "## Training losses at the end",
        _table({name: f"{value:.4g}" for name, value in config["training"].items()}),
        "These are losses on training batches (means over the last logged steps); metrics.jsonl has the curve. Scores "
        "on test sets, with controls, are in the project's report.",
        "## Licence",
        LICENCE_TOY if config["toy"] else LICENCE,
    ]
    return "\n\n".join(parts) + "\n"


def mad_card(config: dict[str, Any]) -> str:
    """README.md of a MAD model, from its config.json with the `arm` added."""
    options, training = config["options"], config["options"]["training"]
    teachers = ", ".join(f"{name} {value:g}" for name, value in options["teachers"].items())
    parts = [
        f"# MAD {config['arm']} on {config['task']}, {config['fraction']} % of the training set, seed {config['seed']}",
        *([TOY_STUDENT] if config["toy"] else []),
        "A cross-modal student with the head of its task. It was distilled in the manner of MAD (Wang et al., arXiv "
        "2204.10496; this is a reconstruction) unless its arm is a baseline or a control. The teachers take no part in "
        "prediction, but for the arm that is given their vectors as input.",
        "## How it was made",
        _table(
            {
                "training subset": f"{config['items']} items of {config['groups']} images or movies",
                "student": f"`{options['student']}`",
                "distillation": f"weight {options['weight']:g}, teachers {teachers}" if options["weight"] else "none",
                "target": options["target"],
                "confidence": options["confidence"]["kind"],
                "projections": options["projections"]["kind"],
                "training": f"{config['training']['step']} of {training['steps']} steps of {training['batch_size']} "
                f"items, AdamW, peak learning rate {training['learning_rate']:g}",
                "computed in": f"{config['compute']['dtype']} on {config['compute']['device']}",
            }
        ),
        "All options are in config.json.",
        "## Training losses at the end",
        _table({name: f"{value:.4g}" for name, value in config["training"].items()}),
        "These are losses on training batches; metrics.jsonl has the curve. Scores on test sets, with controls, are in "
        "the project's report.",
        "## Licence",
        LICENCE_TOY if config["toy"] else LICENCE_STUDENT,
    ]
    return "\n\n".join(parts) + "\n"


def _table(rows: dict[str, str]) -> str:
    lines = [f"| {name} | {value} |" for name, value in rows.items()]
    return "\n".join(["| | |", "|---|---|", *lines])
