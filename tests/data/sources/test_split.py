"""The parts of a split: whose images are where."""

import numpy as np
import pytest

from tests.data.small_faces import write_folder
from tfface.data.sources.opening import open_source
from tfface.data.sources.split import open_split
from tfface.errors import InputError

COUNTS = {"ann": 10, "bob": 20, "cleo": 1, "dora": 4, "emil": 30}


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("split") / "faces", COUNTS)


def names(source) -> list[str]:
    return [source.filename(index) for index in range(source.num_images)]


def counts(source) -> list[int]:
    return np.bincount(source.labels, minlength=source.num_identities).tolist()


def test_parts_are_all_images_of_everybody_once(faces):
    parts = [open_split(faces, subset=part, seed=3) for part in ("train", "validation", "test")]
    assert len({tuple(part.identities) for part in parts}) == 1
    assert [identity.name for identity in parts[0].identities] == list(COUNTS)
    assert sorted(name for part in parts for name in names(part)) == sorted(
        names(open_source(str(faces)).source)
    )
    # Of the 64 images that can be shared out.
    assert [part.num_images for part in parts] == [46, 13, 6]
    assert counts(parts[0])[2] == 1
    for part in parts:
        assert [name.partition("/")[0] for name in names(part)] == [
            part.identities[label].name for label in part.labels
        ]


def test_the_seed_decides(faces):
    one, again, other = (names(open_split(faces, subset="test", seed=seed)) for seed in (1, 1, 2))
    assert one == again != other


def test_two_parts(faces):
    train, test = (
        open_split(faces, subset=part, fractions=[0.5, 0.5]) for part in ("train", "test")
    )
    assert counts(train) == [5, 10, 1, 2, 15]
    assert counts(test) == [5, 10, 0, 2, 15]


def test_few_images_to_train(faces):
    options = {"shots": 2, "num_identities": 2, "min_images": 5, "seed": 4}
    train, test = (open_split(faces, subset=part, **options) for part in ("train", "test"))
    assert train.identities == test.identities
    assert {identity.name for identity in train.identities} < {"ann", "bob", "emil"}
    assert counts(train) == [2, 2]
    assert counts(test) == [COUNTS[identity.name] - 2 for identity in test.identities]
    assert not set(names(train)) & set(names(test))
    halves = [
        open_split(faces, subset=part, fractions=[0.5, 0.5], **options)
        for part in ("validation", "test")
    ]
    assert [counts(half) for half in halves] == [[n // 2 for n in counts(test)]] * 2


def test_at_most_so_many_images(faces):
    few, more = (open_split(faces, max_images=count) for count in (2, 3))
    assert counts(few) == [2, 2, 1, 2, 2]
    assert set(names(few)) < set(names(more)) < set(names(open_split(faces)))
    assert few.left_out == [("not in subset train of the split", 0, 65 - 9)]


def test_attributes_are_those_of_the_source(tmp_path):
    write_folder(tmp_path / "faces", {"ann/home": 3, "ann/work": 3, "bob/home": 3, "bob/away": 3})
    part = open_split(tmp_path / "faces", fractions=[0.5, 0.5])
    assert part.attribute_names == ("subfolder",)
    assert part.attribute("subfolder").tolist() == [name.split("/")[1] for name in names(part)]
    assert part.read(0).attributes.keys() == {"image/attribute/subfolder"}


def test_as_a_tool_is_given_it(faces, tmp_path):
    opened = open_source(f"mine={{source: split, path: '{faces}', subset: test, seed: 3}}")
    assert opened.format == "split"
    assert opened.source.name == "mine"
    assert opened.source.identities[0] == ("ann", "mine")
    assert names(opened.source) == names(open_split(faces, subset="test", seed=3))
    table = tmp_path / "table.csv"
    table.write_text("who,path\n" + "".join(f"{name},{name}/0.jpg\n" for name in COUNTS))
    of = f"{{source: csv, path: '{table}', image_root: '{faces}', identity_column: who}}"
    assert open_source(f"{{source: split, of: {of}}}").source.num_images == 5


def test_a_part_of_a_part(faces):
    of = {"source": "split", "path": str(faces), "fractions": [0.5, 0.5]}
    assert counts(open_split(of=of, fractions=[0.5, 0.5])) == [2, 5, 1, 1, 8]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fractions": [0.7, 0.2]}, r"the fractions 0\.7, 0\.2 sum to 0\.9; they must sum to 1"),
        ({"fractions": [1.0]}, "got one fraction: give two"),
        (
            {"fractions": [0.8, 0.2], "subset": "validation"},
            "fractions 0.8, 0.2 make no subset 'validation': choose train or",
        ),
        (
            {"shots": 2, "subset": "validation"},
            "shots and fractions 1 make no subset 'validation': choose train",
        ),
        ({"shots": 2, "fractions": [0.7, 0.2, 0.1]}, "fractions divide the remaining images"),
        ({"num_identities": 6}, "num_identities is 6, but there are only 5 identities$"),
        (
            {"num_identities": 3, "min_images": 20},
            "num_identities is 3, but there are only 2 identities with 20 images or more",
        ),
        (
            {"min_images": 31},
            "no identity has the 31 images that min_images requires; the largest has 30",
        ),
        ({"shots": 30, "subset": "test"}, "subset 'test' of the split is empty: 65 images of 5"),
        ({"path": None}, r"either as 'path: PATH' or as 'of: \{source"),
        ({"of": {"source": "folder"}}, r"either as 'path: PATH' or as 'of: \{source"),
        ({"path": None, "of": {"source": "foldr"}}, "did you mean 'folder'"),
        ({"path": None, "of": {"source": "folder", "path": "gone"}}, "gone: no such folder"),
    ],
)
def test_what_can_not_be_split(faces, options, message):
    with pytest.raises(InputError, match=message):
        open_split(**{"path": faces, **options})


def test_a_path_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="none: no such file or folder"):
        open_split(tmp_path / "none")
