"""Measurements: each prints a table and appends its rows, with the commit, to results/."""
