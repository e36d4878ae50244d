"""The views of the forecaster's page."""
