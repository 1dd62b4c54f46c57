"""How good a model is, as numbers: NumPy only, arrays in, figures out."""
