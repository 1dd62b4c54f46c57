"""Photos are found and read, whatever their format; what can't be read says why."""

import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.data.small_faces import encoded
from tfface.alignment.align import Options, plan_alignment
from tfface.alignment.photos import count_pixels, list_photos, photos_at, read_photo
from tfface.errors import InputError
from tfface.images import pillow_decoder
from tfface.images.pillow_decoder import FORMATS, HEIC_ADVICE

PIXELS = np.stack(
    [
        np.tile(np.linspace(10, 250, 48), (32, 1)),
        np.tile(np.linspace(240, 20, 32)[:, None], (1, 48)),
        np.full((32, 48), 130),
    ],
    axis=-1,
).astype(np.uint8)
PHOTO = Image.fromarray(PIXELS)
GREY = np.tile(np.linspace(0, 65535, 48), (32, 1)).astype(np.uint16)


def test_pipes_and_devices_are_no_photos(tmp_path):
    """Reading one would never end."""
    for name in ("pipe.jpg", "device.png"):
        folder = tmp_path / name.partition(".")[0]
        folder.mkdir()
        if name == "pipe.jpg":
            os.mkfifo(folder / name)
        else:
            (folder / name).symlink_to(os.devnull)
        for source in (folder, folder / name):
            with pytest.raises(InputError, match=rf"{name}: is a device, a pipe or a socket"):
                plan_alignment(source, tmp_path / "out", Options())
    # Nor is one without such a name looked into.
    (tmp_path / "pipe" / "pipe.jpg").rename(tmp_path / "pipe" / "pipe")
    with pytest.raises(InputError, match="no photos in it"):
        plan_alignment(tmp_path / "pipe", tmp_path / "out", Options())
    assert not (tmp_path / "out").exists()


def write(path, image=PHOTO, **settings):
    image.save(path, **settings)
    return path


def read(path) -> np.ndarray:
    photo = read_photo(path)
    assert photo.mode == "RGB"
    return np.asarray(photo)


def reason(path) -> str:
    with pytest.raises(InputError) as raised:
        read_photo(path)
    return str(raised.value)


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "webp", "tif", "jp2", "ppm", "gif"])
def test_formats(tmp_path, suffix):
    settings = {"quality": 100} if suffix in ("jpg", "webp") else {}
    found = read(write(tmp_path / f"photo.{suffix}", **settings)).astype(int)
    assert found.shape == (32, 48, 3)
    assert np.abs(found - PIXELS).mean() < (30 if suffix == "gif" else 4)


def test_the_content_decides_not_the_name(tmp_path):
    assert (read(write(tmp_path / "really_a_png.jpg", format="PNG")) == PIXELS).all()


@pytest.mark.parametrize("mode", ["L", "LA", "1", "P", "CMYK", "YCbCr", "RGBA"])
def test_modes(tmp_path, mode):
    suffix = {"CMYK": "tif", "YCbCr": "jpg"}.get(mode, "png")
    found = read(write(tmp_path / f"photo.{suffix}", PHOTO.convert(mode)))
    expected = np.asarray(PHOTO.convert(mode).convert("RGB")).astype(int)
    assert np.abs(found - expected).mean() < 3


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_of_16_bits_the_upper_8_stay(tmp_path, suffix):
    found = read(write(tmp_path / f"deep.{suffix}", Image.fromarray(GREY)))
    np.testing.assert_array_equal(found[..., 0], GREY // 256)


def test_what_is_transparent_becomes_white(tmp_path):
    half = PHOTO.convert("RGBA")
    half.putalpha(
        Image.fromarray(
            np.where(np.arange(48) < 24, 0, 255).astype(np.uint8)[None].repeat(32, axis=0)
        )
    )
    found = read(write(tmp_path / "half.png", half))
    assert (found[:, :24] == 255).all()
    assert (found[:, 24:] == PIXELS[:, 24:]).all()


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, suffix, orientation):
    upright = PIXELS
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    settings = {"lossless": True} if suffix == "webp" else {}
    image = Image.fromarray(np.ascontiguousarray(stored))
    path = write(tmp_path / f"photo.{suffix}", image, exif=exif, **settings)
    assert (read(path) == upright).all()


def test_grey_photos_are_turned_too(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = write(tmp_path / "deep.png", Image.fromarray(GREY), exif=exif)
    assert read(path).shape == (48, 32, 3)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_is_no_harm(tmp_path):
    path = write(tmp_path / "photo.jpg", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert read(path).shape == (32, 48, 3)


def png(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 100))
        + chunk(b"IEND", b"")
    )


def test_what_cannot_be_read_says_why(tmp_path):
    whole = write(tmp_path / "whole.jpg").read_bytes()
    contents = {
        "empty.jpg": b"",
        "text.png": b"no image at all",
        "cut.jpg": whole[: len(whole) // 2],
        "program.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "phone.HEIC": b"\0\0\0\x18ftypheic",
        "camera.NEF": whole,
        "bomb.png": png(100_000, 100_000),
        "line.png": png(178_956_971, 1),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder.jpg").mkdir()
    assert {name: reason(tmp_path / name) for name in [*contents, "folder.jpg", "gone.jpg"]} == {
        "empty.jpg": "the file is empty (0 bytes)",
        "text.png": f"not an image that can be read ({FORMATS})",
        "cut.jpg": reason(tmp_path / "cut.jpg"),
        "program.jpg": f"not an image that can be read ({FORMATS})",
        "phone.HEIC": f"a HEIC image: {HEIC_ADVICE}",
        "camera.NEF": "NEF is not a format that is read here; convert it to JPEG or PNG",
        "bomb.png": "claims to have 100,000 x 100,000 pixels; 178,956,970 can be read",
        "line.png": "claims to have 178,956,971 x 1 pixels; 178,956,970 can be read",
        "folder.jpg": "Is a directory",
        "gone.jpg": "No such file or directory",
    }
    assert "truncated" in reason(tmp_path / "cut.jpg").lower()


def test_pixels_without_a_known_range(tmp_path):
    floats = write(tmp_path / "f.tif", Image.fromarray(np.ones((4, 4), np.float32)))
    assert reason(floats) == "its pixels are floating-point numbers; save it with 8 or 16 bits"
    deep = write(tmp_path / "i.tif", Image.fromarray(np.full((4, 4), 70000, np.int32)))
    assert reason(deep) == "its pixels have 32 bits; save it with 8 or 16 bits"


def test_pixels_are_counted_without_decoding(tmp_path):
    (tmp_path / "large.png").write_bytes(png(5000, 4000))
    (tmp_path / "no.png").write_bytes(b"no")
    assert count_pixels(tmp_path / "large.png") == 20_000_000
    assert count_pixels(tmp_path / "no.png") == 0


def test_photos_at_any_depth(tmp_path):
    names = [
        "b.PNG",
        "a/deep/er/x.jpeg",
        "a/z.webp",
        "c.heic",
        "README.txt",
        ".hidden.jpg",
        ".cache/y.jpg",
        "a/no_suffix",
        "@eaDir/b.PNG",
        "$RECYCLE.BIN/b.PNG",
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a/photo of mine. At home").write_bytes(encoded(0))
    assert list_photos(tmp_path) == [
        *("a/deep/er/x.jpeg", "a/photo of mine. At home", "a/z.webp", "b.PNG", "c.heic")
    ]


def test_names_that_are_no_text(tmp_path):
    with open(os.path.join(os.fsencode(tmp_path), b"\xff.jpg"), "wb"):
        pass
    [name] = list_photos(tmp_path)
    assert os.fsencode(name) == b"\xff.jpg"


def test_links(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/a.jpg").touch()
    (tmp_path / "photos/link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos/broken.jpg").symlink_to(tmp_path / "gone")
    assert list_photos(tmp_path / "photos") == ["broken.jpg", "link/a.jpg"]
    (tmp_path / "photos/loop").symlink_to(tmp_path / "photos")
    with pytest.raises(InputError, match="loop: a link to a folder that it lies in"):
        list_photos(tmp_path / "photos")


def test_old_versions_of_pillow_lack_formats(monkeypatch, tmp_path):
    pillow_decoder._plugins.cache_clear()
    monkeypatch.delitem(Image.OPEN, "AVIF", raising=False)
    try:
        assert (read(write(tmp_path / "a.png")) == PIXELS).all()
    finally:
        pillow_decoder._plugins.cache_clear()


def test_photos_of_files_and_folders(tmp_path):
    root = tmp_path / "people"
    one = root / "person01" / "0.png"
    one.parent.mkdir(parents=True)
    for number in range(2):
        write(root / "person01" / f"{number}.png")
    assert photos_at(root) == [one, root / "person01" / "1.png"]
    assert photos_at(one) == [one]
    (tmp_path / "empty").mkdir()
    (tmp_path / "note.txt").write_text("x")
    os.mkfifo(tmp_path / "pipe.jpg")
    for path, message in (
        ("pipe.jpg", r"pipe\.jpg: not a regular file; give an image or a folder"),
        ("empty", r"empty: no image \(JPEG, PNG, BMP, .* or PPM\) in it"),
        ("none.jpg", r"none\.jpg: no such photo or folder"),
        ("note.txt", r"note\.txt: not an image that can be read"),
    ):
        with pytest.raises(InputError, match=message):
            photos_at(tmp_path / path)


def test_a_contact_sheet_is_no_face(tmp_path):
    (tmp_path / "faces").mkdir()
    for name in ("contact_sheet.png", "ann.png"):
        write(tmp_path / "faces" / name)
    assert photos_at(tmp_path / "faces") == [tmp_path / "faces" / "ann.png"]
    with pytest.raises(InputError, match=r"contact_sheet\.png: a contact sheet of a tool"):
        photos_at(tmp_path / "faces" / "contact_sheet.png")


def test_photos_that_can_not_be_read_are_listed(tmp_path):
    """Whoever reads them says why, in the same words for a file and for one in a folder."""
    for name in ("a.heic", "b.jpg", "c.nef"):
        (tmp_path / name).touch()
    files = [tmp_path / name for name in ("a.heic", "b.jpg", "c.nef")]
    assert photos_at(tmp_path) == files
    assert [photos_at(file) for file in files] == [[file] for file in files]
