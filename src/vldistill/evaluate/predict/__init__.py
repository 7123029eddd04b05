"""Predicting: every cell on its tasks, the controls beside them, as files of the official result formats."""
