"""Sources joined by name: identities, their order, and the notes that are printed."""

import json

import numpy as np
import pytest

from tests.data.recordio_writer import insightface_records, write
from tests.data.small_faces import encoded, write_folder
from tests.training.recipes import ONE_STAGE, load_tiny
from tfface.data.records import conversion as conversions
from tfface.data.records.conversion import convert
from tfface.data.sources.opening import open_source
from tfface.data.sources.split import open_split
from tfface.data.sources.tfrecord import DatasetSource
from tfface.data.sources.union import UnionSource
from tfface.errors import InputError
from tfface.training.run import train

ORIGINALS = {"bob": 4, "cleo": 3, "dora": 2}
CUTMIX = {"ann": 5, "bob": 1, "cleo": 2}
OF = [{"source": "folder", "path": name} for name in ("originals", "cutmix")]
STREAMS = [{"source": "tfrecord", "path": f"{name}_records"} for name in ("originals", "cutmix")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("union")
    for name, counts in (("originals", ORIGINALS), ("cutmix", CUTMIX)):
        write_folder(folder / name, counts)
        convert([str(folder / name)], folder / f"{name}_records", num_shards=2)
    return folder


@pytest.fixture(scope="module")
def union(folder):
    return UnionSource(OF, paths_start=folder)


def argument(folder, of=OF) -> str:
    """What a tool is given."""
    entries = [entry | {"path": str(folder / entry["path"])} for entry in of]
    return f"both={json.dumps({'source': 'union', 'of': entries})}"


def order(source, seed=None, first=0, indices=None) -> list[int]:
    indices = np.arange(source.num_images) if indices is None else indices
    return [int(index) for index, _ in source.encoded(indices, seed, first).as_numpy_iterator()]


def counts(source) -> dict[str, int]:
    number = np.bincount(source.labels, minlength=source.num_identities).tolist()
    return dict(zip([identity.name for identity in source.identities], number, strict=True))


@pytest.mark.parametrize("of", [OF, STREAMS], ids=["files", "streams"])
class TestJoined:
    def test_identities_of_one_name_are_one(self, folder, of):
        union = UnionSource(of, paths_start=folder)
        assert counts(union) == {"bob": 5, "cleo": 5, "dora": 2, "ann": 5}
        assert list(counts(union)) == ["bob", "cleo", "dora", "ann"]
        for index in range(union.num_images):
            member, name, _ = union.filename(index).split("/")
            assert member.removesuffix("_records") == ("originals" if index < 9 else "cutmix")
            assert union.identities[union.labels[index]].name == name

    def test_images_are_those_of_the_members(self, folder, of):
        union = UnionSource(of, paths_start=folder)
        for index, image in union.encoded(np.arange(17)).as_numpy_iterator():
            member, path = union.filename(index).split("/", 1)
            assert image == (folder / member.removesuffix("_records") / path).read_bytes()
            assert union.read(index).encoded == image

    def test_the_seed_decides_the_order(self, folder, of):
        union = UnionSource(of, paths_start=folder)
        orders = {tuple(order(union, seed)) for seed in range(4)}
        assert len(orders) == 4
        assert {tuple(sorted(one)) for one in orders} == {tuple(range(17))}
        # Members take turns as the seed says, and each is shuffled.
        assert len({tuple(index < 9 for index in one) for one in orders}) == 4
        assert len({tuple(index for index in one if index < 9) for one in orders}) == 4
        assert order(UnionSource(of, paths_start=folder), 3) == order(union, 3)

    def test_the_first_can_be_skipped(self, folder, of):
        union = UnionSource(of, paths_start=folder)
        wanted = np.array([0, 3, 8, 9, 12, 16])
        for seed in (None, 5):
            everything = order(union, seed, indices=wanted)
            assert sorted(everything) == wanted.tolist()
            for first in (1, 6):
                assert order(union, seed, first, wanted) == everything[first:]

    def test_images_of_one_member_alone(self, folder, of):
        union = UnionSource(of, paths_start=folder)
        assert sorted(order(union, 2, indices=np.array([10, 15]))) == [10, 15]
        assert order(union, indices=np.array([], np.int64)) == []


def test_files_are_shuffled_as_in_one_folder(union, tmp_path):
    everything = {f"{name}/{who}": n for name in ("a", "b") for who, n in ORIGINALS.items()}
    whole = open_source(str(write_folder(tmp_path / "whole", everything))).source
    assert whole.num_images == 18
    indices = np.arange(17)
    assert order(whole, 7, indices=indices) == order(union, 7)
    # In any order and more than once, as batches of few people want them.
    assert order(union, indices=np.array([12, 2, 12, 0])) == [12, 2, 12, 0]


def test_attributes_are_those_of_all_members(folder, tmp_path):
    (tmp_path / "table.csv").write_text("path,identity,light\nbob/0.jpg,bob,dim\n")
    table = {"source": "csv", "path": str(tmp_path / "table.csv")}
    table["image_root"] = str(folder / "cutmix")
    union = UnionSource([OF[0], table], paths_start=folder)
    assert union.attribute_names == ("light", "source")
    assert union.attribute("light").tolist() == [""] * 9 + ["dim"]
    assert union.attribute("source").tolist() == ["originals"] * 9 + ["table"]
    # Converted they are the same.
    convert([argument(folder, [OF[0], table])], tmp_path / "out")
    converted = DatasetSource(tmp_path / "out")
    names = [converted.filename(index) for index in range(10)]
    for name in ("light", "source"):
        assert dict(zip(names, converted.attribute(name), strict=True)) == {
            union.filename(index): value for index, value in enumerate(union.attribute(name))
        }


def test_an_attribute_called_source_stays_what_it_is(folder, tmp_path):
    (tmp_path / "table.csv").write_text("path,identity,source\nbob/0.jpg,bob,phone\n")
    table = {"source": "csv", "path": str(tmp_path / "table.csv")}
    table["image_root"] = str(folder / "cutmix")
    union = UnionSource([OF[0], table], paths_start=folder)
    assert union.attribute_names == ("source",)
    assert union.attribute("source").tolist() == [""] * 9 + ["phone"]
    assert union.read(9).attributes["image/attribute/source"].bytes_list.value == [b"phone"]


class TestNames:
    def test_of_the_union(self, folder, union):
        assert {identity.source for identity in union.identities} == {"originals+cutmix"}
        assert open_source(argument(folder)).source.identities[0] == ("bob", "both")

    def test_members_of_one_name_are_told_apart_by_their_folders(self, tmp_path):
        for name in ("day/train", "night/train"):
            write_folder(tmp_path / name, {"ann": 1, "bob": 1})
        of = [{"source": "folder", "path": name} for name in ("day/train", "night/train")]
        union = UnionSource(of, paths_start=tmp_path)
        assert [union.filename(index) for index in (0, 3)] == [
            "day/train/ann/0.jpg",
            "night/train/bob/0.jpg",
        ]
        assert set(union.attribute("source")) == {"day/train", "night/train"}

    def test_or_by_numbers(self):
        drawn = {"source": "synthetic", "num_identities": 2, "images_per_identity": 1, "size": 32}
        union = UnionSource([drawn, drawn | {"seed": 1}])
        assert union.name == "synthetic-1+synthetic-2"
        assert union.num_identities == 2


class TestNotes:
    def test_counts_and_who_is_in_one_member_only(self, union):
        assert union.notes == [
            "originals: 9 images of 3 identities",
            "cutmix: 8 images of 3 identities",
            "1 of 4 identities is only in 'originals': dora",
            "1 of 4 identities is only in 'cutmix': ann",
        ]

    def test_only_some_are_named(self, folder, tmp_path):
        write_folder(tmp_path / "more", {"bob": 1, **{f"p{number}": 1 for number in range(7)}})
        union = UnionSource([OF[0], OF[0] | {"path": str(tmp_path / "more")}], paths_start=folder)
        assert "7 of 10 identities are only in 'more': p0, p1, p2, p3, p4, ..." in union.notes

    def test_no_name_in_common_is_warned_about(self, folder, tmp_path):
        write_folder(tmp_path / "more", {"Bob": 1, "Cleo": 1})
        more = {"source": "folder", "path": str(tmp_path / "more")}
        notes = UnionSource([OF[0], more], paths_start=folder).notes
        assert len(notes) == 3
        assert notes[2].startswith(
            "warning: no identity of 'originals' (bob, cleo, dora) or of 'more' (Bob, Cleo) is in "
        )
        # Beside others that have some.
        notes = UnionSource([*OF, more], paths_start=folder).notes
        assert [note for note in notes if note.startswith("warning")] == [
            "warning: no identity of 'more' (Bob, Cleo) is in another source of the union. A union "
            "joins identities by name: check whether names or folders differ by mistake"
        ]

    def test_names_that_differ_in_case_alone(self, folder, tmp_path, capsys):
        write_folder(tmp_path / "more", {"BOB": 1, "cleo": 1})
        UnionSource([OF[0], OF[0] | {"path": str(tmp_path / "more")}], paths_start=folder)
        assert capsys.readouterr().err == (
            "warning: union originals+more: names that differ in upper and lower case alone count "
            "as several people: bob and BOB\n"
        )

    def test_all_names_in_common_is_not_worth_a_line(self, folder, tmp_path):
        write_folder(tmp_path / "more", ORIGINALS)
        more = {"source": "folder", "path": str(tmp_path / "more")}
        assert len(UnionSource([OF[0], more], paths_start=folder).notes) == 2


def test_the_fingerprint_is_of_all_members_in_their_order(folder, union, tmp_path):
    assert UnionSource(OF[::-1], paths_start=folder).fingerprint != union.fingerprint
    write_folder(tmp_path / "more", {"ann": 2})
    of = [OF[0], {"source": "folder", "path": str(tmp_path / "more")}]
    before = UnionSource(of, paths_start=folder).fingerprint
    (tmp_path / "more/ann/1.jpg").write_bytes(encoded(99))
    assert UnionSource(of, paths_start=folder).fingerprint != before


def test_the_size_is_known_when_all_have_it(folder):
    assert UnionSource(STREAMS, paths_start=folder).image_size == (16, 16)
    assert UnionSource([OF[0], STREAMS[1]], paths_start=folder).image_size is None


def test_what_members_leave_out_is_told(folder):
    part = {"source": "split", "path": str(folder / "originals"), "shots": 1}
    union = UnionSource([part, OF[1]], paths_start=folder)
    assert union.left_out == [("not in subset train of the split (in originals)", 0, 6)]


def test_a_union_of_unions(folder, union, tmp_path):
    write_folder(tmp_path / "more", {"emil": 2})
    of = [{"source": "union", "of": OF}, {"source": "folder", "path": str(tmp_path / "more")}]
    outer = UnionSource(of, paths_start=folder)
    assert counts(outer) == counts(union) | {"emil": 2}
    assert outer.filename(0) == "originals+cutmix/originals/bob/0.jpg"
    assert sorted(order(outer, 1)) == list(range(19))
    assert "originals+cutmix: cutmix: 8 images of 3 identities" in outer.notes


def test_parts_of_a_union(folder, union):
    parts = [
        open_split(of={"source": "union", "of": OF}, subset=part, seed=1, paths_start=folder)
        for part in ("train", "validation", "test")
    ]
    assert sum(part.num_images for part in parts) == 17
    assert [part.notes for part in parts] == [union.notes] * 3
    for part in parts:
        for index in order(part, 4):
            assert part.filename(index).split("/")[1] == part.identities[part.labels[index]].name


def test_a_union_of_parts(folder):
    # Of one source, but of different images.
    parts = [
        {"source": "split", "path": "originals", "fractions": [0.5, 0.5], "subset": part}
        for part in ("train", "test")
    ]
    of = [{**part, "path": str(folder / "originals")} for part in parts]
    assert counts(UnionSource(of)) == ORIGINALS
    with pytest.raises(
        InputError, match=r"of\.0 \(originals\) and of\.1 \(originals\) share images"
    ):
        UnionSource([of[0], of[0] | {"subset": "train"}])
    streams = [part | {"path": str(folder / "originals_records")} for part in of]
    assert counts(UnionSource(streams)) == ORIGINALS


class TestConverted:
    def test_gives_the_sums(self, folder, tmp_path):
        done = convert([argument(folder)], tmp_path / "out")
        assert done.notes[0] == "originals: 9 images of 3 identities"
        assert done.dataset.num_images == 17
        assert counts(DatasetSource(tmp_path / "out")) == counts(open_source(argument(folder))[1])
        assert [source.format for source in done.dataset.sources] == ["union"]
        # Not what was seen when images were read.
        assert convert([argument(folder)], tmp_path / "out").notes == done.notes[:4]

    def test_goes_on_when_it_was_stopped(self, folder, tmp_path, monkeypatch):
        convert([argument(folder)], tmp_path / "whole", num_shards=4)
        write_shard, written = conversions.ShardWriter.write, []

        def stop_at_third(self, number, advance):
            if len(written) == 2:
                raise KeyboardInterrupt
            written.append(number)
            return write_shard(self, number, advance)

        with monkeypatch.context() as patch:
            patch.setattr(conversions.ShardWriter, "write", stop_at_third)
            with pytest.raises(KeyboardInterrupt):
                convert([argument(folder)], tmp_path / "out", num_shards=4, num_workers=1)
        assert not (tmp_path / "out/dataset.json").exists()
        kept = (tmp_path / "out" / "data-00000-of-00004.tfrecord").stat().st_mtime_ns
        convert([argument(folder)], tmp_path / "out", num_shards=4)
        assert (tmp_path / "out" / "data-00000-of-00004.tfrecord").stat().st_mtime_ns == kept
        for file in (tmp_path / "whole").iterdir():
            assert (tmp_path / "out" / file.name).read_bytes() == file.read_bytes()

    def test_beside_another_source(self, folder, tmp_path):
        more = write_folder(tmp_path / "more", {"ann": 1})
        done = convert([argument(folder), str(more)], tmp_path / "out")
        assert done.dataset.num_images == 18
        assert ("ann", "both") in done.dataset.identities
        assert ("ann", "more") in done.dataset.identities
        with pytest.raises(InputError, match=r"cutmix: is or lies in another source"):
            convert([argument(folder), str(folder / "cutmix")], tmp_path / "twice")


def test_training_on_parts_of_a_union(tmp_path, capsys):
    people = {"ann": 8, "bob": 8, "cleo": 8}
    write_folder(tmp_path / "photos", people, size=32)
    write_folder(tmp_path / "cutmix", people | {"dora": 8}, size=32)
    of = "{source: union, of: [{source: folder, path: photos}, {source: folder, path: cutmix}]}"
    part = f"{{source: split, of: {of}, seed: 2, fractions: [0.5, 0.25, 0.25], subset: "
    recipe = load_tiny(
        tmp_path,
        *ONE_STAGE,
        f"data.train={part}train}}",
        f"data.validation={part}validation}}",
        f"evaluation.classification={part}test}}",
        "model.head=softmax",
    )
    run = train(recipe, tmp_path / "run", tmp_path).path
    printed = capsys.readouterr().out
    assert printed.count("  data.train: photos: 24 images of 3 identities\n") == 1
    assert printed.count("1 of 4 identities is only in 'cutmix': dora\n") == 1
    assert "28 images of 4 identities to train, 14 images to validate, 14 images to test" in printed
    assert json.loads((run / "classification.json").read_text())["num_images"] == 14


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"source": "foldr"}, r"^source union: of\.1: unknown source 'foldr'; did you mean 'folde"),
        ({"source": "folder"}, r"^source union: of\.1: path: missing; it must be given$"),
        ({"source": "folder", "pth": "a"}, r"of\.1: pth: unknown key; did you mean 'path'\?"),
        ({"path": "a"}, r"of\.1: .*needs 'source: NAME' and its options$"),
        ({"source": "folder", "path": "gone"}, "gone: no such folder$"),
        (OF[0], r"^source union: of\.0 \(originals\) and of\.1 \(originals\) share images: give"),
        ({"source": "folder", "path": "originals/../originals"}, "share images"),
        (
            {"source": "csv", "path": "list.csv"},
            "share images: give each image in one source only$",
        ),
    ],
)
def test_what_can_not_be_joined(folder, second, message):
    (folder / "list.csv").write_text("path,identity\noriginals/bob/0.jpg,bob\n")
    with pytest.raises(InputError, match=message):
        UnionSource([OF[0], second], paths_start=folder)


def test_one_member_is_no_union(folder):
    with pytest.raises(InputError, match=r"of: .* is not allowed; must have at least 2 items"):
        open_source(argument(folder, OF[:1]))


def test_a_record_file_twice(folder, tmp_path):
    file = next((folder / "originals_records").glob("*.tfrecord"))
    for other in ({"source": "tfrecord", "path": str(file)}, STREAMS[0]):
        with pytest.raises(InputError, match="share images: give each image in one source only"):
            UnionSource([STREAMS[0], other], paths_start=folder)
    rec = write(tmp_path / "train.rec", insightface_records([[encoded(1)], [encoded(2)]]))
    of = [
        {"source": "recordio", "path": str(path)} | options
        for path, options in ((rec, {}), (rec.parent, {"on_empty_identity": "skip"}))
    ]
    with pytest.raises(InputError, match="share images: give each image in one source only"):
        UnionSource(of)


def test_a_member_with_two_people_of_one_name(folder, tmp_path):
    convert([f"a={folder}/originals", f"b={folder}/cutmix"], tmp_path / "merged")
    merged = {"source": "tfrecord", "path": str(tmp_path / "merged")}
    with pytest.raises(InputError, match=r"of\.1: merged has 2 identities called 'bob'\. A union"):
        UnionSource([OF[0], merged], paths_start=folder)


def test_real_sources_of_two_formats(test_data, tmp_path):
    paths = {"recordio": "faces_rec", "kface": "kface_shaped"}
    of = [{"source": k, "path": str(test_data / "fixtures" / v)} for k, v in paths.items()]
    done = convert([f"both={json.dumps({'source': 'union', 'of': of})}"], tmp_path / "out")
    members = [open_source(entry["path"]).source for entry in of]
    assert done.dataset.num_images == sum(member.num_images for member in members)
    assert len(done.dataset.identities) == sum(member.num_identities for member in members)
    converted = DatasetSource(tmp_path / "out")
    assert set(members[1].attribute_names) | {"source"} == set(converted.attribute_names)
    places, number = np.unique(converted.attribute("source"), return_counts=True)
    assert dict(zip(places, number, strict=True)) == {
        member.name: member.num_images for member in members
    }
