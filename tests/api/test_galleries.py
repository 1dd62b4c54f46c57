"""`Gallery`: people enrolled from raw photos, and photos of them and of strangers."""

import numpy as np
import pytest

import tfface
from tests.api.dot_photos import group_photo, landscape, photo_of, write_photos
from tfface.alignment.photo_faces import NO_FACE
from tfface.api.embedding import Threshold
from tfface.gallery.storage import read_gallery

pytestmark = pytest.mark.usefixtures("dot_detector")


@pytest.fixture
def staff(tmp_path):
    return write_photos(tmp_path / "staff", {"Anna": range(2), "Ben": range(2)})


@pytest.fixture
def gallery(staff, tmp_path):
    return tfface.Gallery.build("pixels", staff, path=tmp_path / "gallery", threshold=0.95)


def test_build_and_identify(gallery):
    assert gallery.num_images == {"Anna": 2, "Ben": 2}
    assert (gallery.names, len(gallery)) == (["Anna", "Ben"], 4)
    assert repr(gallery) == "Gallery(4 images of 2 people, embedded by pixels)"
    assert "4 images of 2 identities" in gallery._repr_html_()
    [anna] = gallery.identify(photo_of("Anna", 3))
    assert (anna.name, anna.is_known) == ("Anna", True)
    assert anna.threshold_source == "kept with the gallery"
    assert [candidate.name for candidate in anna.candidates] == ["Anna", "Ben"]
    [stranger] = gallery.identify(photo_of("Cleo"))
    assert (stranger.name, stranger.is_known) == (None, False)
    assert repr(stranger).startswith("unknown (most similar: Ben, cosine ")
    assert "Ben" in stranger._repr_html_()


def test_every_face_of_a_photo_has_an_answer(gallery):
    answers = gallery.identify(group_photo("Ben", "Cleo", "Anna"))
    by_place = sorted(answers, key=lambda answer: answer.face.box[0])
    assert [answer.name for answer in by_place] == ["Ben", None, "Anna"]
    assert by_place[1].to_dict()["candidates"][0]["name"] == "Ben"


def test_a_photo_without_a_face(gallery):
    assert gallery.identify(landscape()) == []


def test_thresholds(staff, gallery):
    [anna] = gallery.identify(photo_of("Anna", 3), threshold=1)
    assert (anna.name, anna.threshold_source) == (None, "given by the caller")
    without = tfface.Gallery.build("pixels", staff)
    [anna] = without.identify(photo_of("Anna", 3))
    assert (anna.name, anna.is_known) == (None, None)
    assert anna.candidates[0].name == "Anna"
    assert "choose one by photos of strangers (tfface gallery calibrate" in repr(anna)
    with pytest.raises(tfface.InputError, match="must be a cosine"):
        tfface.Gallery.build("pixels", staff, threshold=7)


def test_a_model_s_threshold_of_drawn_faces_is_warned_about(staff, capsys):
    embedder = tfface.load_embedder("pixels")
    of_drawn = Threshold(0.5, "the run's evaluation on 3,000 pairs of 'synthetic'", "synthetic")
    embedder.threshold = lambda given=None: of_drawn if given is None else Threshold(given, "")
    without = tfface.Gallery.build(embedder, staff)
    [face] = tfface.align(photo_of("Anna"))
    without.identify(photo_of("Anna", 3), threshold=0.6)
    without.identify(face.image, aligned=True)
    assert "drawn" not in capsys.readouterr().err
    for number in (3, 4):
        [anna] = without.identify(photo_of("Anna", number))
        assert anna.threshold == 0.5
    # Once for all photos.
    said = capsys.readouterr().err
    assert said.count("warning: the threshold of pixels was measured on drawn faces and does") == 1
    # The gallery's own was chosen for photos.
    embedder = tfface.load_embedder("pixels")
    embedder.threshold = lambda given=None: of_drawn
    tfface.Gallery.build(embedder, staff, threshold=0.9).identify(photo_of("Anna", 3))
    assert "drawn" not in capsys.readouterr().err


def test_photos_without_a_face_are_skipped_with_a_warning(staff, capsys):
    landscape().save(staff / "Anna" / "hills.png")
    (staff / "Ben" / "damaged.png").write_bytes((staff / "Ben" / "0.png").read_bytes()[:300])
    group_photo("Anna", "Cleo").save(staff / "Anna" / "both.png")
    gallery = tfface.Gallery.build("pixels", staff)
    assert gallery.num_images == {"Anna": 3, "Ben": 2}
    skipped = dict(gallery.last_change.skipped)
    assert skipped["Anna/hills.png"] == NO_FACE
    assert skipped["Ben/damaged.png"].startswith("can't be read: the image data are damaged")
    assert gallery.last_change.several_faces == ["Anna/both.png"]
    assert "warning: skipped 2 of 7 photos: Anna/hills.png: no usable face found" in (
        capsys.readouterr().err
    )


def test_no_photo_has_a_face(tmp_path):
    (tmp_path / "people" / "Anna").mkdir(parents=True)
    landscape().save(tmp_path / "people" / "Anna" / "hills.png")
    with pytest.raises(tfface.InputError, match=r"no usable face in 1 photos .*aligned=True"):
        tfface.Gallery.build("pixels", tmp_path / "people", path=tmp_path / "gallery")
    assert not (tmp_path / "gallery").exists()


def test_add_and_remove(gallery, staff, tmp_path):
    photo_of("Cleo", 0).save(tmp_path / "cleo.png")
    assert gallery.add(tmp_path / "cleo.png", name="Cleo").num_changed == 1
    assert gallery.identify(photo_of("Cleo", 2))[0].name == "Cleo"
    # The same photos, though what is stored are the faces cut out of them.
    assert gallery.add(tmp_path / "cleo.png", name="Cleo").num_known == 1
    assert gallery.add(staff).num_known == 4
    again = gallery.add([photo_of("Cleo", 1), photo_of("Cleo", 2)], name="Cleo")
    assert (again.num_changed, again.num_images) == (2, 7)
    assert gallery.remove("Cleo", "Anna").num_names == 1
    assert gallery.names == ["Ben"]
    with pytest.raises(tfface.InputError, match="nobody is called 'Bem'; did you mean 'Ben'"):
        gallery.remove("Bem")
    # All of it is on disk, with the threshold.
    assert read_gallery(gallery.path).threshold == 0.95


def test_a_dict_of_photos(tmp_path):
    photo_of("Ben").save(tmp_path / "ben.png")
    gallery = tfface.Gallery.build(
        "pixels", {"Anna": [photo_of("Anna"), photo_of("Anna", 1)], "Ben": tmp_path / "ben.png"}
    )
    assert gallery.num_images == {"Anna": 2, "Ben": 1}
    with pytest.raises(tfface.InputError, match="no photos of people"):
        tfface.Gallery.build("pixels", {})


def test_photos_need_a_name(gallery, tmp_path):
    photo_of("Ben").save(tmp_path / "ben.png")
    with pytest.raises(tfface.InputError, match=r"ben\.png: one photo needs the name"):
        gallery.add(tmp_path / "ben.png")
    with pytest.raises(tfface.InputError, match="photos in memory need the name"):
        gallery.add(photo_of("Ben"))


def test_load(gallery):
    by_name = tfface.Gallery.load(gallery.path)
    assert by_name.names == ["Anna", "Ben"]
    # The gallery knows where its model is.
    assert by_name.identify(photo_of("Anna", 3))[0].name == "Anna"
    loaded = tfface.Gallery.load(gallery.path, "pixels")
    assert loaded.identify(photo_of("Anna", 3))[0].name == "Anna"
    with pytest.raises(tfface.InputError, match="was built by a model called 'pixels', too"):
        tfface.Gallery.load(gallery.path, tfface.load_embedder("pixels", flip=False))
    with pytest.raises(tfface.InputError, match="no gallery"):
        tfface.Gallery.load(gallery.path.parent)


def test_changes_of_other_processes_are_seen(gallery):
    other = tfface.Gallery.load(gallery.path, "pixels")
    other.remove("Anna")
    assert gallery.names == ["Ben"]
    assert gallery.identify(photo_of("Anna"))[0].candidates[0].name == "Ben"


def test_a_gallery_without_a_path_goes_with_its_object(staff):
    gallery = tfface.Gallery.build("pixels", staff)
    path = gallery.path
    assert path.is_dir()
    del gallery
    assert not path.exists()


def test_a_gallery_in_the_folder_of_the_photos(staff):
    with pytest.raises(tfface.InputError, match="choose an output folder elsewhere"):
        tfface.Gallery.build("pixels", staff, path=staff / "gallery")


def test_aligned_faces_and_the_tool_give_one_gallery(gallery, tmp_path):
    """What the library enrolls by itself is what it enrolls of faces that were aligned before."""
    [face] = tfface.align(photo_of("Cleo"), image_size=32)
    by_hand = tfface.Gallery.build("pixels", {"Cleo": face.image}, aligned=True)
    by_itself = tfface.Gallery.build("pixels", {"Cleo": photo_of("Cleo")})
    np.testing.assert_array_equal(
        read_gallery(by_hand.path).index.embeddings(),
        read_gallery(by_itself.path).index.embeddings(),
    )


class TestCalibrate:
    def test_a_threshold_by_strangers(self, gallery):
        strangers = [photo_of("Cleo", number) for number in range(10)]
        cosines = [gallery.identify(photo)[0].cosine for photo in strangers]
        threshold = gallery.calibrate(strangers, fpir=0.2)
        assert sum(cosine >= threshold for cosine in cosines) <= 2
        assert max(cosine for cosine in cosines if cosine < threshold) >= threshold - 1e-4
        # It is kept on disk, with where it comes from.
        found = tfface.Gallery.load(gallery.path).identify(photo_of("Anna", 3))[0]
        assert found.threshold == threshold
        assert found.threshold_source.startswith("kept with the gallery: names ")
        assert found.threshold_source.endswith("of 10 strangers")

    def test_what_can_not_be_measured(self, gallery):
        with pytest.raises(tfface.InputError, match="3 strangers are too few for a false positive"):
            gallery.calibrate([photo_of("Cleo", number) for number in range(3)])
        with pytest.raises(tfface.InputError, match="fpir must be between 0 and 1, as 0"):
            gallery.calibrate([photo_of("Cleo")], fpir=1)
        assert gallery.threshold == 0.95

    def test_copies_of_a_photo_are_one_stranger(self, gallery, tmp_path, capsys):
        photos = tmp_path / "strangers"
        photos.mkdir()
        for number in range(4):
            for copy in range(1 + 2 * (number == 0)):
                photo_of("Cleo", number).save(photos / f"{number}-{copy}.png")
        with pytest.raises(tfface.InputError, match="4 strangers are too few"):
            gallery.calibrate(photos, fpir=0.2)
        assert "warning: of 6 photos of strangers 2 are copies of another, and left out" in (
            capsys.readouterr().err
        )
        gallery.calibrate([photos, photos / "1-0.png"], fpir=0.25)
        assert gallery.identify(photo_of("Anna"))[0].threshold_source.endswith("of 4 strangers")

    def test_strangers_who_can_not_be_told_apart(self, tmp_path):
        faces = np.random.default_rng(0).integers(0, 250, (3, 32, 32, 3)).astype(np.uint8)
        gallery = tfface.Gallery.build("pixels", {"Anna": faces[0]}, aligned=True, threshold=0.5)
        # One pixel makes another image of it, and hardly another embedding.
        similar = [faces[0].copy() for _ in range(2)]
        similar[0][0, 0, 0] += 1
        similar[1][0, 0, 0] += 2
        message = r"can't be told .*: 2 of 3 have a cosine of 1 \(for example .* with Anna\)"
        with pytest.raises(tfface.InputError, match=message):
            gallery.calibrate([*similar, faces[1]], fpir=0.5, aligned=True)
        assert gallery.threshold == 0.5

    def test_people_of_the_gallery_are_no_strangers(self, gallery, staff):
        with pytest.raises(tfface.InputError, match="is no stranger: the gallery has this photo"):
            gallery.calibrate(staff, fpir=0.5)

    def test_other_photos_of_people_of_the_gallery_are_refused(self, gallery):
        """They would raise the threshold so much that known people get no name."""
        pixels = np.random.default_rng(0).integers(60, 200, (40, 32, 32, 3)).astype(np.uint8)
        made = tfface.Gallery.build(
            "pixels", {"Anna": [_lighter(pixels[0], n) for n in range(3)]}, aligned=True
        )
        strangers = [*pixels[1:], *(_lighter(pixels[0], n) for n in range(3, 6))]
        good = made.calibrate(list(pixels[1:]), fpir=0.05, aligned=True)
        message = f"of 42 strangers 3 may be photos of Anna, .* gallery is {good:.4f}, as before"
        with pytest.raises(tfface.InputError, match=message):
            made.calibrate(strangers, fpir=0.05, aligned=True)
        assert made.threshold == good
        bad = made.calibrate(strangers, fpir=0.05, aligned=True, allow_similar=True)
        assert bad == made.threshold > good
        found = made.last_calibration
        assert (found.threshold, found.before, found.num_strangers) == (bad, good, 42)
        assert [one.name for one in found.most_similar] == ["Anna"] * 3

    def test_people_who_were_added_since(self, gallery):
        strangers = [photo_of("Cleo", number) for number in range(10)]
        gallery.calibrate(strangers, fpir=0.2)
        assert gallery.threshold_source.endswith("of 10 strangers")
        # Another photo of somebody who was there is no reason.
        assert gallery.add(photo_of("Anna", 3), name="Anna").num_uncalibrated_names == 0
        assert gallery.add(photo_of("Cleo", 11), name="Cleo").num_uncalibrated_names == 1
        source = gallery.identify(photo_of("Anna", 4))[0].threshold_source
        assert source.endswith("; calibrated before 1 person was added: calibrate again")
        # Those who were there before stay so where others go.
        assert gallery.remove("Anna").num_uncalibrated_names == 1
        assert gallery.remove("Cleo").num_uncalibrated_names == 0


def _lighter(face: np.ndarray, number: int) -> np.ndarray:
    """Another photo of a face: noise of its own."""
    noise = np.random.default_rng(100 + number).integers(-25, 25, face.shape)
    return (face + noise).astype(np.uint8)


def test_photos_as_a_phone_leaves_them(staff, capsys, monkeypatch):
    """HEIC without pillow-heif, an empty file and an empty folder stop nothing."""
    monkeypatch.setattr("tfface.images.pillow_decoder.reads_heic", lambda: False)
    (staff / "Anna" / "IMG_1.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    (staff / "Ben" / "empty.jpg").touch()
    (staff / "Cleo").mkdir()
    gallery = tfface.Gallery.build("pixels", staff)
    assert gallery.num_images == {"Anna": 2, "Ben": 2}
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(f"warning: {staff / 'Cleo'}: no image (JPEG, ")
    assert lines[1].startswith("warning: skipped 2 of 6 photos: Anna/IMG_1.heic: can't be read: ")
    assert "pip install pillow-heif" in lines[1]
    assert lines[1].endswith("Ben/empty.jpg: can't be read: the file is empty (0 bytes)")
    # And so of one person.
    assert gallery.add(staff / "Anna", name="Anna").num_known == 2
    assert "skipped 1 of 3 photos: " in capsys.readouterr().err


def test_a_folder_above_the_people_is_warned_of(staff, capsys):
    for name in ("one/Anna", "one/Ben", "two/Cleo"):
        (staff.parent / "above" / name).mkdir(parents=True)
        photo_of(name.split("/")[1]).save(staff.parent / "above" / name / "0.png")
    assert tfface.Gallery.build("pixels", staff.parent / "above").names == ["one", "two"]
    above = staff.parent / "above"
    assert capsys.readouterr().err.startswith(
        f"warning: {above}: one, two hold only folders, and each is taken for one person; did you "
        f"mean {above / 'one'}?"
    )
