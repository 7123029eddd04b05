"""Our Java parts and pycocoevalcap's own wrappers agree on many odd captions."""

from __future__ import annotations

import importlib
import random
import shutil
from types import ModuleType

import pytest

from vldistill.evaluate.metrics.java import wheel
from vldistill.evaluate.metrics.meteor import Meteor
from vldistill.evaluate.metrics.tokenizer import DROPPED, LINE_ENDS, tokenize


def odd_captions(count: int) -> list[str]:
    """Captions of words, marks, numbers and letters of many scripts, without anything that ends a line."""
    rng = random.Random(0)
    words = "a man's dog isn't running (fast) 1/2 3.5 5,000 $3 U.S. e.g. t-shirt <br> &amp; \"quoted\" 'so' -LRB- ..."
    marks = ". , ; : ! ? - -- ' \" ` ( ) [ ] { } / \\ | ||| & @ # % * + = < > ~ ^ _ é ß 漢 \u00a0 \u200d \x85 \t \x7f"
    tokens = [*words.split(), *marks.split(" ")]
    lengths = [rng.randint(1, 12) for _ in range(count)]
    captions = ["".join(rng.choice(tokens) + rng.choice(["", " ", " "]) for _ in range(size)) for size in lengths]
    return [LINE_ENDS.sub(" ", caption) for caption in captions]


@pytest.fixture(scope="module")
def stock(java: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[ModuleType, ModuleType]:
    """The stock tokenizer and METEOR modules, from a copy: they write beside their own file."""
    folder = tmp_path_factory.mktemp("stock") / "stockcoco"
    shutil.copytree(wheel(), folder, ignore=shutil.ignore_patterns("spice", "__pycache__"))
    for package in (folder, folder / "tokenizer", folder / "meteor"):
        (package / "__init__.py").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder.parent))
        return (
            importlib.import_module("stockcoco.tokenizer.ptbtokenizer"),
            importlib.import_module("stockcoco.meteor.meteor"),
        )


@pytest.mark.slow
def test_tokenizer_and_meteor(stock: tuple[ModuleType, ModuleType]) -> None:
    captions = odd_captions(600)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LC_ALL", "C.UTF-8")
        theirs = stock[0].PTBTokenizer().tokenize({0: [{"caption": text} for text in captions]})[0]
        assert tokenize(captions) == theirs
        assert set(stock[0].PUNCTUATIONS) == DROPPED
        hypotheses, references = theirs[:200], [theirs[200 + index : 600 : 200] for index in range(200)]
        keys = range(200)
        expected = (
            stock[1]
            .Meteor()
            .compute_score(
                dict(zip(keys, references, strict=True)),
                {key: [text] for key, text in zip(keys, hypotheses, strict=True)},
            )
        )
    with Meteor() as meteor:
        assert meteor.score(hypotheses, references) == expected
