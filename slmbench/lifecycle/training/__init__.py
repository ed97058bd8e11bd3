"""Techniques that learn: text, one loop, updates, teachers, checkpoints."""
