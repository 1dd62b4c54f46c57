"""Measuring: what tools/benchmark.py runs."""
