"""Damaged lists of identities end in one clear line."""

import tempfile
from pathlib import Path

import hypothesis
import numpy as np
from hypothesis import strategies as st

from tests.data.damage import damaged, only_input_errors
from tests.property_tests import examples
from tfface.data.records.identity_list import read_identity_list
from tfface.data.records.manifest import Identity

PEOPLE = [Identity("ann", "a"), Identity("dora 2", "b"), Identity("bob", "b")]
WHOLE = b'name,source,reason\nann,a,"same as\tx"\n"dora 2",b,\nbob,,y\n'


@hypothesis.given(data=damaged(WHOLE), suffix=st.sampled_from([".csv", ".txt"]))
@examples(150)
def test_lists(data, suffix):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"list{suffix}")
        path.write_bytes(data)
        with only_input_errors():
            assert read_identity_list(path, PEOPLE).dtype == np.bool_
