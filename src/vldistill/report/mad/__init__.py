"""MAD's part of the report: what it gains, where, against which control, and what does not show."""
