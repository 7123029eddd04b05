"""Arms: named overrides of a method's options, checked and laid over them alike for every method."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

Options = TypeVar("Options", bound=BaseModel)
Over = Mapping[str, Any]


def resolve(kind: type[Options], base: dict[str, Any], over: Over, where: str) -> Options:
    """The options ``base`` with ``over`` laid over them, mapping by mapping.

    Args:
        kind: the options' model.
        base: all options, as plain values.
        over: some of them.
        where: how errors call the override, as in ``arms.raw``.

    Raises:
        ValueError: an option is unknown (names the nearest), or a value is out of bounds.
    """
    _check_keys(base, over, where)
    try:
        return kind.model_validate(_laid_over(base, over))
    except ValidationError as error:
        detail = error.errors()[0]
        field = ".".join(str(part) for part in detail["loc"])
        raise ValueError(f"{where}.{field}: {detail['msg'].removeprefix('Value error, ')}") from None


def check_name(name: str) -> None:
    """Refuse a name of an arm that is no name of a folder.

    Raises:
        ValueError: it has other characters than small letters, digits and _.
    """
    if not name.replace("_", "").isalnum() or not name.islower():
        raise ValueError(f"arms.{name}: use small letters, digits and _ (the name becomes a folder)")


def check_known(names: Iterable[str], arms: Iterable[str]) -> None:
    """Refuse names of arms that do not exist.

    Raises:
        ValueError: names the nearest arm.
    """
    known = list(arms)
    for name in names:
        if name not in known:
            raise ValueError(f"no arm called {name!r}; the nearest is {nearest(name, known)}")


def check_run(names: Sequence[str], field: str, seeds: Mapping[str, int]) -> None:
    """Check the list of arms that are run, and their numbers of seeds.

    Raises:
        ValueError: an arm stands twice, or has no seed.
    """
    if len(set(names)) != len(names):
        raise ValueError(f"{field}: an arm stands twice")
    if bad := [name for name, count in seeds.items() if count < 1]:
        raise ValueError(f"seeds.{bad[0]}: at least one seed, or leave the arm out of `{field}`")


def nearest(name: str, known: Sequence[str]) -> str:
    """The known name most like ``name``."""
    return difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]


def _check_keys(base: Over, over: Over, where: str) -> None:
    for key, value in over.items():
        if key not in base:
            raise ValueError(f"{where}.{key}: unknown option; the nearest is {nearest(key, list(base))}")
        if isinstance(base[key], dict):
            if not isinstance(value, dict):
                raise ValueError(f"{where}.{key}: a mapping is expected, not {value!r}")
            _check_keys(base[key], value, f"{where}.{key}")


def _laid_over(base: Over, over: Over) -> dict[str, Any]:
    return {
        key: _laid_over(value, over[key]) if isinstance(value, dict) and key in over else over.get(key, value)
        for key, value in base.items()
    }
