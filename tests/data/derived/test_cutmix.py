"""Offline one-class CutMix: whose pixels a new image has, and that a seed decides all of it."""

import numpy as np
import pytest
from PIL import Image

from tests.data.small_faces import write_folder
from tfface.data.derived.cutmix import CutMixOptions, _draw_pairs, make_cutmix
from tfface.data.sources.opening import open_source
from tfface.errors import InputError
from tfface.folder_lock import locked


@pytest.fixture
def faces(tmp_path):
    """Images of one color each: the value of red says whose, that of green which."""
    root = tmp_path / "faces"
    for person, count in enumerate([3, 2, 1]):
        (root / f"p{person}").mkdir(parents=True)
        for number in range(count):
            color = (100 * person, 50 * number + 20, 0)
            Image.new("RGB", (40, 30), color).save(root / f"p{person}" / f"{number}.png")
    return root


def made(faces, output, *, workers=2, **options):
    options = {"per_class": 5, "format": "png", **options}
    return make_cutmix(open_source(str(faces)), output, CutMixOptions(**options), workers)


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".made.jsonl"
    }


def test_what_is_made(faces, tmp_path):
    summary = made(faces, tmp_path / "out")
    assert (summary.num_made, summary.num_originals, summary.alone) == (10, 6, ["p2"])
    found = files(tmp_path / "out")
    new = {f"p{person}/cutmix_{n:05d}.png" for person in (0, 1) for n in range(1, 6)}
    originals = {"p0/0.png", "p0/1.png", "p0/2.png", "p1/0.png", "p1/1.png", "p2/0.png"}
    assert set(found) == new | originals | {"contact_sheet.png"}
    for name in originals:
        assert found[name] == (faces / name).read_bytes()


def test_a_damaged_original_that_is_not_drawn_is_not_copied(faces, tmp_path):
    # The only image of p2: nothing is made of it.
    damaged = faces / "p2" / "0.png"
    damaged.write_bytes(damaged.read_bytes()[:-30])
    with pytest.raises(InputError, match=r"p2/0\.png: "):
        made(faces, tmp_path / "out")
    assert not list((tmp_path / "out").glob("p2/*"))
    made(faces, tmp_path / "new", with_originals=False)


def test_patches_come_from_the_same_person(faces, tmp_path):
    made(faces, tmp_path / "out", area=(0.2, 0.4), per_class=40)
    areas, pairs = [], set()
    for person in (0, 1):
        before = None
        for number in range(1, 41):
            path = tmp_path / "out" / f"p{person}" / f"cutmix_{number:05d}.png"
            pixels = np.asarray(Image.open(path))
            assert (pixels[..., 0] == 100 * person).all()
            values, counts = np.unique(pixels[..., 1], return_counts=True)
            assert len(values) == 2
            # The corners may be the patch's: what is less is the patch.
            base = values[counts.argmax()]
            patch = pixels[..., 1] != base
            rows, columns = patch.any(axis=1), patch.any(axis=0)
            np.testing.assert_array_equal(patch, rows[:, None] & columns[None])
            assert columns.sum() == pytest.approx(rows.sum() * 4 / 3, abs=2)
            areas.append(patch.mean())
            pairs.add((person, *values))
            # Two images exchange theirs: the second of an exchange is the first the other way.
            if number % 2 == 0:
                np.testing.assert_array_equal(patch, before)
            before = patch
    assert min(areas) > 0.17
    assert max(areas) < 0.43
    assert np.mean(areas) == pytest.approx(0.3, abs=0.03)
    assert len(pairs) == 3 + 1


def test_the_seed_decides(faces, tmp_path):
    for name, options in (("a", {}), ("b", {"workers": 1}), ("c", {"seed": 1})):
        made(faces, tmp_path / name, **options)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert files(tmp_path / "a") != files(tmp_path / "c")


def test_goes_on_where_it_was_stopped(faces, tmp_path):
    output = tmp_path / "out"
    made(faces, output)
    expected = files(output)
    journal = output / ".made.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:6]))
    (output / "p1" / "cutmix_00002.png").unlink()
    kept = (output / "p0" / "0.png").stat().st_mtime_ns
    made(faces, output)
    assert files(output) == expected
    assert (output / "p0" / "0.png").stat().st_mtime_ns == kept
    with pytest.raises(InputError, match=r"made with other options \(per class 5, not 6\)"):
        made(faces, output, per_class=6)


def test_what_was_deleted_is_made_again(faces, tmp_path):
    made(faces, tmp_path / "out")
    before = files(tmp_path / "out")
    for name in ("p0/cutmix_00001.png", "p1/1.png"):
        (tmp_path / "out" / name).unlink()
    made(faces, tmp_path / "out")
    assert files(tmp_path / "out") == before


def test_people_whose_folders_would_be_one_stay_apart(faces, tmp_path):
    (tmp_path / "list.csv").write_text(
        "path,identity\np0/0.png,a/b\np0/1.png,a/b\np1/0.png,a_b\np1/1.png,a_b\n"
    )
    listed = f"{{source: csv, path: {tmp_path / 'list.csv'}, image_root: {faces}}}"
    make_cutmix(open_source(listed), tmp_path / "out", CutMixOptions(per_class=2, format="png"), 2)
    for folder, red in (("a_b", 0), ("a_b_2", 100)):
        images = sorted((tmp_path / "out" / folder).iterdir())
        assert len(images) == 4
        assert all((np.asarray(Image.open(image))[..., 0] == red).all() for image in images)


def test_pairs_of_many_images():
    """Few of very many pairs are drawn without making all, and none twice."""
    pairs = _draw_pairs(30_000, 500, 7)
    assert pairs.shape == (500, 2)
    assert len(np.unique(pairs, axis=0)) == 500
    assert (pairs[:, 0] < pairs[:, 1]).all()
    assert 0 <= pairs.min() < 1000
    assert 29_000 < pairs.max() < 30_000


@pytest.mark.parametrize("count", [2, 3, 17])
def test_all_pairs_come_before_one_comes_again(count):
    pairs = _draw_pairs(count, 10**6, 7)
    assert sorted(map(tuple, pairs)) == [(a, b) for a in range(count) for b in range(a + 1, count)]


def test_nobody_has_two_images(faces, tmp_path):
    only = f"{{source: split, path: {faces}, shots: 1, fractions: [0.5, 0.5], subset: train}}"
    with pytest.raises(InputError, match="no identity has two images, so nothing can be made"):
        make_cutmix(open_source(only), tmp_path / "out", CutMixOptions(per_class=2), 2)
    assert not (tmp_path / "out").exists()


def test_one_process_at_a_time(faces, tmp_path):
    with locked(tmp_path / "out"), pytest.raises(InputError, match="another process"):
        made(faces, tmp_path / "out")


def test_images_of_other_sizes(tmp_path):
    root = tmp_path / "faces"
    (root / "ann").mkdir(parents=True)
    Image.new("RGB", (40, 40), (10, 0, 0)).save(root / "ann" / "0.png")
    Image.new("RGB", (60, 20), (90, 0, 0)).save(root / "ann" / "1.png")
    made(root, tmp_path / "out", per_class=2, area=(0.25, 0.25), with_originals=False)
    assert set(files(tmp_path / "out")) == {
        *("ann/cutmix_00001.png", "ann/cutmix_00002.png"),
        "contact_sheet.png",
    }
    for name, size, patch in (("00001", (40, 40), 90), ("00002", (60, 20), 10)):
        image = Image.open(tmp_path / "out" / "ann" / f"cutmix_{name}.png")
        assert image.size == size
        assert (np.asarray(image)[..., 0] == patch).mean() == pytest.approx(0.25, abs=0.05)


def test_its_own_output_is_no_source(faces, tmp_path):
    made(faces, tmp_path / "out")
    with pytest.raises(InputError, match=r"p0/cutmix_00001: images called cutmix_\.\.\. are made"):
        made(tmp_path / "out", tmp_path / "again")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"per_class": 0}, "per class 0: must be a whole number from 1 to 1,000,000"),
        (
            {"per_class": 10**20},
            r"per class 1(0{20}): must be a whole number from 1 to 1,000,000",
        ),
        ({"area": (0.5, 0.2)}, r"area 0\.5 0\.2: must ascend, above 0 and below 1"),
        ({"format": "gif"}, "format 'gif': must be one of jpeg, png"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(InputError, match=message):
        CutMixOptions(**{"per_class": 1, **options})


def test_damaged_images_are_named(tmp_path):
    root = write_folder(tmp_path / "faces", {"ann": 2})
    (root / "ann" / "1.jpg").write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"ann/1\.jpg: not an image that can be read"):
        made(root, tmp_path / "out")


@pytest.mark.parametrize("name", [".mine.partial", "p0/.a.partial.png", "p0/mine.partial"])
def test_files_of_the_user_stay(faces, tmp_path, name):
    made(faces, tmp_path / "out")
    (tmp_path / "out" / name).write_text("mine")
    (tmp_path / "out" / "p0" / "cutmix_00001.png").unlink()
    made(faces, tmp_path / "out")
    assert (tmp_path / "out" / name).read_text() == "mine"
    assert (tmp_path / "out" / "p0" / "cutmix_00001.png").exists()


def test_an_emptied_folder_is_filled_again(faces, tmp_path):
    made(faces, tmp_path / "out")
    before = files(tmp_path / "out")
    for name in before:
        (tmp_path / "out" / name).unlink()
    made(faces, tmp_path / "out")
    assert files(tmp_path / "out") == before


@pytest.mark.parametrize("name", ["p0/cutmix_00002.png", "p1/0.png", "contact_sheet.png"])
def test_no_file_of_the_user_is_replaced(faces, tmp_path, name):
    made(faces, tmp_path / "out")
    log = tmp_path / "out" / ".made.jsonl"
    log.write_bytes(log.read_bytes().partition(b"\n")[0] + b"\n")
    (tmp_path / "out" / name).write_text("mine")
    with pytest.raises(InputError, match=rf"{name}: is there already, and is not what this tool"):
        made(faces, tmp_path / "out")
    assert (tmp_path / "out" / name).read_text() == "mine"


def test_a_person_called_like_the_contact_sheet(faces, tmp_path):
    (faces / "p1").rename(faces / "contact_sheet.png")
    with pytest.raises(InputError, match=r"images called contact_sheet\.png, or in a folder of"):
        made(faces, tmp_path / "out")
