"""Mistakes in the arguments of heads: one line says which, and what may have been meant."""

import pytest

from tfface import heads
from tfface.errors import InputError

MARGINS = (
    heads.ArcFace,
    heads.CosFace,
    heads.SphereFace,
    heads.Combined,
    heads.CurricularFace,
    heads.AdaFace,
    heads.MagFace,
    heads.SubcenterArcFace,
)
WITH_CLASSES = (*MARGINS, heads.SoftmaxHead, heads.SigmoidHead)


@pytest.mark.parametrize("head", [*WITH_CLASSES, heads.TripletHead])
def test_arguments_of_every_head(head):
    with pytest.raises(InputError, match=r"^\w+ takes its arguments by name \(.*; got 1 without"):
        head(2)
    with pytest.raises(InputError, match=r"^\w+ has no argument 'zzz'; it takes \w+"):
        head(zzz=3, num_identities=2)


@pytest.mark.parametrize("head", WITH_CLASSES)
def test_a_head_with_classes_needs_their_number(head):
    with pytest.raises(InputError, match=r"^\w+ needs num_identities$"):
        head()
    with pytest.raises(InputError, match=r"'num_identites'; did you mean 'num_identities'\?$"):
        head(num_identites=2)
    assert head(num_identities=2).name == "head"


def test_what_every_layer_takes():
    assert heads.SoftmaxHead(num_identities=2, name="mine", trainable=False).name == "mine"
