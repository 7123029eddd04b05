"""Tuning: the trial table of a sweep, and the settings that each criterion chooses."""
