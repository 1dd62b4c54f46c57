"""Types for annotations that the libraries beneath don't have."""

from typing import Any

# A tensor of Keras' backend, or a symbolic one: no type that a checker knows has both.
Tensor = Any
