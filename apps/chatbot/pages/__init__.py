"""The views of the chatbot's page."""
