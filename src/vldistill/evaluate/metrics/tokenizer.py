"""The PTB tokenizer of the COCO caption evaluation (Stanford CoreNLP 3.4.1, in pycocoevalcap's wheel).

Tokens are as there, quirks included: both round brackets' names in lower case (`-lrb-`) survive, while the list of
punctuation to drop has them in upper case.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from vldistill.evaluate.metrics.java import JavaError, run_java, wheel

JAR = "tokenizer/stanford-corenlp-3.4.1.jar"
DROPPED = frozenset(["''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", *".?!,:;-", "--", "..."])
# every one of these ends a line for the tokenizer, and each later caption would silently move by one
LINE_ENDS = re.compile("[\n\r\v\f\u2028\u2029]")


def tokenize(captions: Sequence[str]) -> list[str]:
    """Tokenise captions with one start of Java; punctuation is dropped, tokens are joined by one space.

    Args:
        captions: any texts; characters that end a line count as spaces.

    Returns:
        As many strings as captions, in their order.

    Raises:
        JavaError: Java is missing or failed, or the number of lines that came back is not the number that went in.
    """
    if not captions:
        return []
    # surrogates without a partner cannot be written as UTF-8
    lines = [LINE_ENDS.sub(" ", caption).encode("utf-8", errors="replace") for caption in captions]
    with tempfile.TemporaryDirectory(prefix="vldistill-ptb-") as folder:
        source = Path(folder) / "captions.txt"
        source.write_bytes(b"".join(line + b"\n" for line in lines))
        arguments = ["-cp", str(wheel() / JAR), "edu.stanford.nlp.process.PTBTokenizer"]
        arguments += ["-preserveLines", "-lowerCase", "-encoding", "UTF-8", source.name]
        output = run_java(arguments, what="PTBTokenizer", cwd=Path(folder))
    tokenized = output.removesuffix("\n").split("\n")
    if len(tokenized) != len(captions):
        raise JavaError(f"PTBTokenizer returned {len(tokenized)} lines for {len(captions)} captions")
    return [" ".join(word for word in line.rstrip().split(" ") if word not in DROPPED) for line in tokenized]
