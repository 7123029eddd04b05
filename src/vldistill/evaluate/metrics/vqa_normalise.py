"""The answer normalisations of VQA: N of the official evaluation, and mmf's ("evalai").

Bugs of the originals are kept, since every published number has them: they are named where they happen.
"""

from __future__ import annotations

import re

PUNCTUATION = frozenset(';/[]"{}()=+\\_-><@`,?!')
DIGIT_COMMA = re.compile(r"\d,\d")
# The original writes `(?!<=\d)` for `(?<!\d)`, which never excludes anything, and passes re.UNICODE (32) as `count`:
# so `5.` loses its period and the 33rd period of an answer stays.
PERIOD = re.compile(r"\.(?!\d)")
PERIODS = int(re.UNICODE)
NUMBERS = {"none": "0", "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6"}
NUMBERS |= {"seven": "7", "eight": "8", "nine": "9", "ten": "10"}
ARTICLES = frozenset(("a", "an", "the"))
# written -> replaced. Words are lower-cased before the look-up, so those with a capital I are never found;
# `somebody'd` really loses its apostrophe.
_WRITTEN = """
    aint>ain't arent>aren't cant>can't couldve>could've couldnt>couldn't couldn'tve>couldn't've couldnt've>couldn't've
    didnt>didn't doesnt>doesn't dont>don't hadnt>hadn't hadnt've>hadn't've hadn'tve>hadn't've hasnt>hasn't
    havent>haven't hed>he'd hed've>he'd've he'dve>he'd've hes>he's howd>how'd howll>how'll hows>how's
    Id've>I'd've I'dve>I'd've Im>I'm Ive>I've isnt>isn't itd>it'd itd've>it'd've it'dve>it'd've itll>it'll
    let's>let's maam>ma'am mightnt>mightn't mightnt've>mightn't've mightn'tve>mightn't've mightve>might've
    mustnt>mustn't mustve>must've neednt>needn't notve>not've oclock>o'clock oughtnt>oughtn't ow's'at>'ow's'at
    'ows'at>'ow's'at 'ow'sat>'ow's'at shant>shan't shed've>she'd've she'dve>she'd've she's>she's shouldve>should've
    shouldnt>shouldn't shouldnt've>shouldn't've shouldn'tve>shouldn't've somebody'd>somebodyd
    somebodyd've>somebody'd've somebody'dve>somebody'd've somebodyll>somebody'll somebodys>somebody's
    someoned>someone'd someoned've>someone'd've someone'dve>someone'd've someonell>someone'll someones>someone's
    somethingd>something'd somethingd've>something'd've something'dve>something'd've somethingll>something'll
    thats>that's thered>there'd thered've>there'd've there'dve>there'd've therere>there're theres>there's
    theyd>they'd theyd've>they'd've they'dve>they'd've theyll>they'll theyre>they're theyve>they've twas>'twas
    wasnt>wasn't wed've>we'd've we'dve>we'd've weve>we've werent>weren't whatll>what'll whatre>what're whats>what's
    whatve>what've whens>when's whered>where'd wheres>where's whereve>where've whod>who'd whod've>who'd've
    who'dve>who'd've wholl>who'll whos>who's whove>who've whyll>why'll whyre>why're whys>why's wont>won't
    wouldve>would've wouldnt>wouldn't wouldnt've>wouldn't've wouldn'tve>wouldn't've yall>y'all yall'll>y'all'll
    y'allll>y'all'll yall'd've>y'all'd've y'alld've>y'all'd've y'all'dve>y'all'd've youd>you'd youd've>you'd've
    you'dve>you'd've youll>you'll youre>you're youve>you've
"""
CONTRACTIONS: dict[str, str] = dict(pair.split(">", 1) for pair in _WRITTEN.split())


def spaced(text: str) -> str:
    """Line feeds and tabs become spaces, the ends are stripped."""
    return text.replace("\n", " ").replace("\t", " ").strip()


def punctuation(text: str) -> str:
    """Delete each punctuation mark, or make it a space where it stands between non-spaces throughout.

    A comma between two digits anywhere makes every mark of the text be deleted (so `1,000` becomes `1000`).
    """
    marks = PUNCTUATION.intersection(text)
    if marks:
        digits = DIGIT_COMMA.search(text) is not None
        delete = {mark: digits or f"{mark} " in text or f" {mark}" in text for mark in marks}
        text = text.translate({ord(mark): "" if gone else " " for mark, gone in delete.items()})
    return PERIOD.sub("", text, count=PERIODS) if "." in text else text


def digit_article(text: str) -> str:
    """Lower case, number words to digits, no articles, apostrophes put into contractions, single spaces."""
    numbers = (NUMBERS.get(word, word) for word in text.lower().split())
    return " ".join(CONTRACTIONS.get(word, word) for word in numbers if word not in ARTICLES)


def canonical(text: str) -> str:
    """N of the official VQA evaluation."""
    return digit_article(punctuation(spaced(text)))


def evalai(text: str) -> str:
    """mmf's normalisation: its word tokeniser goes first and deletes commas and question marks.

    Its comma rule (a comma between digits) is written after that and so can never apply: unlike in `canonical`, a
    number such as `1,000` does not change what happens to the other marks.
    """
    words = text.lower().replace(",", "").replace("?", "").replace("'s", " 's").strip()
    return canonical(words)


def stem(text: str) -> str:
    """Porter stems of an answer's words, for OK-VQA, whose ground truth holds stems."""
    from nltk.stem.porter import PorterStemmer

    stemmer = PorterStemmer()
    return " ".join(stemmer.stem(word) for word in text.split())
