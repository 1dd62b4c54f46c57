"""Metrics of face recognition: verification, identification, classification. NumPy only."""
