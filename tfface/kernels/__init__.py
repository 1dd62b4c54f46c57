"""Operations that one backend does faster in a form of its own.

Each is one function that chooses: the fast form where it is faster, else the form for every
backend. `tests/kernels` compares the two.
"""
