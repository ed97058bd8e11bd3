"""Settings of every technique, one file per component of a model's life (arXiv 2506.07695)."""
