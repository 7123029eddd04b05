"""Comparison of revisions and arms item by item: paired differences with intervals."""
