"""Heads: what turns embeddings and identities into a loss.

To add one: a subclass of `Head` (with class centers and a margin, of `MarginHead`) in its own file
and a line in HEADS.
"""

from tfface.heads.adaface import AdaFaceHead
from tfface.heads.arcface import ArcFaceHead
from tfface.heads.combined import CombinedHead
from tfface.heads.cosface import CosFaceHead
from tfface.heads.curricularface import CurricularFaceHead
from tfface.heads.head import Head
from tfface.heads.linear import SigmoidHead, SoftmaxHead
from tfface.heads.magface import MagFaceHead
from tfface.heads.sphereface import SphereFaceHead
from tfface.heads.subcenter_arcface import SubcenterArcFaceHead
from tfface.heads.triplet import TripletHead

__all__ = ["HEADS", "Head"]

HEADS = {
    "softmax": SoftmaxHead,
    "sigmoid": SigmoidHead,
    "arcface": ArcFaceHead,
    "cosface": CosFaceHead,
    "sphereface": SphereFaceHead,
    "combined": CombinedHead,
    "curricularface": CurricularFaceHead,
    "adaface": AdaFaceHead,
    "magface": MagFaceHead,
    "subcenter_arcface": SubcenterArcFaceHead,
    "triplet": TripletHead,
}
