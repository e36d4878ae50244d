"""Gated recurrent models on PyTorch Lightning, shared by every app."""
