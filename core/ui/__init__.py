"""What the front ends share: texts in two languages, the look, background training, run choice."""
