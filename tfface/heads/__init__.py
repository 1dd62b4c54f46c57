"""Heads: what turns embeddings and identities into a loss.

To add one: a subclass of `Head` in its own file and a line in HEADS.
"""

from tfface.heads.arcface import ArcFaceHead
from tfface.heads.dense import SigmoidHead, SoftmaxHead
from tfface.heads.head import Head

__all__ = ["HEADS", "Head"]

HEADS = {
    "softmax": SoftmaxHead,
    "sigmoid": SigmoidHead,
    "arcface": ArcFaceHead,
}
