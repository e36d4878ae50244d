"""Distributions of prices 1 to 60 trading days ahead."""
