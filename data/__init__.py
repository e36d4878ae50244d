"""Domain-neutral data code and the embedded samples."""
