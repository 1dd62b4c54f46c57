"""Training: the recognizer, its stages, and the run that puts all parts together."""
