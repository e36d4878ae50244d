"""Why recurrent networks stop learning and what helps: measured gradients and memory tasks."""
