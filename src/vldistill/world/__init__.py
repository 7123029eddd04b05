"""The miniature world: rendered scenes and texts about them, written in the official formats of the real data sets."""
