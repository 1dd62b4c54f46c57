"""Measures how fast a recipe trains on this machine: epochs, input pipeline and steps."""
