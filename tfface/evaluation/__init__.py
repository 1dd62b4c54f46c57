"""Evaluation of models: embedders for every format, and one function for each task."""
