"""The views of the lab's page."""
