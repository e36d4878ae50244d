"""End-to-end products: one folder each."""
