"""Scoring: predictions and records to tidy rows and per-item scores."""
