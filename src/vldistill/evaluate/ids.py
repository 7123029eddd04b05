"""Ids as records hold them and as official files write them."""

from __future__ import annotations


def official_id(item: str) -> int | str:
    """An id as the official result formats write it: a number where it is one."""
    return int(item) if item.isascii() and item.isdigit() and str(int(item)) == item else item
