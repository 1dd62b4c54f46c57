"""Heads: what turns embeddings and labels into a loss.

A margin head has three parts: `ClassCenters`, a `Margin`, and `MarginSoftmax`, which joins them.
To add one, write a `Margin` and a line in HEADS; any other head is a subclass of `Head`.
"""

from collections.abc import Callable

from tfface.heads.class_centers import ClassCenters
from tfface.heads.head import Head
from tfface.heads.linear import SigmoidHead, SoftmaxHead
from tfface.heads.margin_softmax import MarginSoftmax, margin_head
from tfface.heads.margins import (
    AdaFaceMargin,
    ArcFaceMargin,
    CombinedMargin,
    CosFaceMargin,
    CurricularFaceMargin,
    MagFaceMargin,
    Margin,
    SphereFaceMargin,
)
from tfface.heads.triplet import TripletHead

__all__ = [
    "HEADS",
    "AdaFace",
    "AdaFaceMargin",
    "ArcFace",
    "ArcFaceMargin",
    "ClassCenters",
    "Combined",
    "CombinedMargin",
    "CosFace",
    "CosFaceMargin",
    "CurricularFace",
    "CurricularFaceMargin",
    "Head",
    "MagFace",
    "MagFaceMargin",
    "Margin",
    "MarginSoftmax",
    "SigmoidHead",
    "SoftmaxHead",
    "SphereFace",
    "SphereFaceMargin",
    "SubcenterArcFace",
    "TripletHead",
]

# Each builds a margin softmax from one list of options: ArcFace(margin=0.3, num_identities=8).
ArcFace = margin_head(ArcFaceMargin)
CosFace = margin_head(CosFaceMargin)
SphereFace = margin_head(SphereFaceMargin, scale=30.0)
Combined = margin_head(CombinedMargin)
CurricularFace = margin_head(CurricularFaceMargin)
AdaFace = margin_head(AdaFaceMargin)
MagFace = margin_head(MagFaceMargin)
# Deng et al., ECCV 2020; section 3.3 of arXiv:1801.07698v4.
SubcenterArcFace = margin_head(
    ArcFaceMargin,
    "ArcFace with several centers for each identity, of which the nearest counts: images with "
    "wrong labels gather around centers of their own.",
    centers_per_class=3,
)

# The heads that a recipe may name.
HEADS: dict[str, Callable[..., Head]] = {
    "softmax": SoftmaxHead,
    "sigmoid": SigmoidHead,
    "arcface": ArcFace,
    "cosface": CosFace,
    "sphereface": SphereFace,
    "combined": Combined,
    "curricularface": CurricularFace,
    "adaface": AdaFace,
    "magface": MagFace,
    "subcenter_arcface": SubcenterArcFace,
    "triplet": TripletHead,
}
