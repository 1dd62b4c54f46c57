"""bcolz folders of which a file is damaged in all ways."""

import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.damage import damaged, only_input_errors
from tests.data.pairs.bcolz_files import write_bcolz
from tests.data.small_faces import pixels
from tests.property_tests import examples
from tfface.data.pairs import load_pair_set

FILES = ["meta/sizes", "meta/storage", "data/__0.blp", "data/__1.blp", "../tiny_list.npy"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    faces = np.stack([pixels(seed, 32) for seed in range(4)])
    folder = write_bcolz(tmp_path_factory.mktemp("bcolz") / "tiny", faces, [True, False])
    load_pair_set(folder)
    return folder


@examples(200)
@given(data=st.data(), name=st.sampled_from(FILES))
def test_only_input_errors(folder, data, name):
    path, kept = folder / name, folder / "kept"
    shutil.copy(path, kept)
    try:
        path.write_bytes(data.draw(damaged(kept.read_bytes())))
        with only_input_errors():
            pair_set = load_pair_set(folder)
            assert len(pair_set.first) == 2
            for index in range(len(pair_set.images)):
                assert pair_set.images[index].startswith(b"\x89PNG")
    finally:
        shutil.move(kept, path)
