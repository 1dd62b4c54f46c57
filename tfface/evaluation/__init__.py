"""Judging trained models: one embedder for every format, one function for every task."""
