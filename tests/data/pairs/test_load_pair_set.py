"""Which format a --pairs argument means, and what the set is called."""

import pickle
import re

import numpy as np
import pytest

from tfface.data import pairs
from tfface.data.pairs import load_pair_set, synthetic
from tfface.errors import InputError
from tfface.synthetic import TEST_IDENTITIES_FROM


@pytest.fixture
def tiny(tmp_path):
    path = tmp_path / "a=b" / "tiny.v2.bin"
    path.parent.mkdir()
    path.write_bytes(pickle.dumps(([b"x", b"y"], [True])))
    return path


def test_names(tiny):
    # A path may hold a "=".
    assert load_pair_set(tiny).name == "tiny.v2"
    assert load_pair_set(f"lfw={tiny}").name == "lfw"
    assert load_pair_set(f"lfw-2.0={tiny}").name == "lfw-2.0"


def test_unknown_arguments(tiny):
    with pytest.raises(InputError, match="synthetics: no such verification set; one is the word"):
        load_pair_set("synthetics")
    with pytest.raises(InputError, match=r"a=b: not a verification set; one is .*\.bin file;"):
        load_pair_set(tiny.parent)


@pytest.mark.parametrize("name", pairs.FORMATS)
def test_every_format_says_what_it_is(name):
    module = pairs.FORMATS[name]
    with pytest.raises(InputError, match=re.escape(module.DESCRIPTION)):
        load_pair_set("nothing of the kind")
    assert not module.matches("nothing of the kind")
    assert callable(module.load)


def test_synthetic(monkeypatch):
    drawn = {}

    def render_faces(identities, images, size):
        drawn.update(identities=identities, images=images)
        faces = np.zeros((len(images), 32, 32, 3), np.uint8)
        faces[:, 0, 0, 0] = np.arange(len(images)) % 256
        return faces

    monkeypatch.setattr(synthetic, "render_faces", render_faces)
    pair_set = load_pair_set("drawn=synthetic")
    assert pair_set.name == "drawn"
    assert len(pair_set.first) == 3000
    assert np.count_nonzero(pair_set.is_genuine) == 1500
    assert all(np.count_nonzero(fold) == 150 for fold in np.split(pair_set.is_genuine, 10))
    identities = np.array(drawn["identities"])
    assert identities.min() >= TEST_IDENTITIES_FROM
    same = identities[pair_set.first] == identities[pair_set.second]
    assert np.array_equal(same, pair_set.is_genuine)
    assert np.array_equal(pair_set.identities, identities)
    assert len(pair_set.images) == len(pair_set.image_names) == len(set(pair_set.image_names))
    assert pair_set.images[0].startswith(b"\x89PNG")
    assert str(identities[5]) in pair_set.image_names[5]


@pytest.mark.parametrize("ending", [".txt", ".bin", ".csv", ""])
def test_a_set_that_is_not_there(tmp_path, ending):
    """A name that is nearly right is answered with the right one, whatever its format."""
    (tmp_path / f"pairs{ending}").touch()
    with pytest.raises(InputError) as caught:
        load_pair_set(tmp_path / f"pair{ending}")
    what = "file" if ending else "verification set"
    meant = tmp_path / f"pairs{ending}"
    assert str(caught.value) == (
        f"{tmp_path / f'pair{ending}'}: no such {what}; did you mean '{meant}'?"
    )
