"""The drawn faces: the same bytes everywhere, framed like face crops, people that differ."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfface import synthetic
from tfface.errors import InputError
from tfface.face_template import POINTS_112
from tfface.synthetic import (
    TEST_IDENTITIES_FROM,
    contact_sheet,
    render_face,
    render_faces,
)
from tfface.synthetic.__main__ import main
from tfface.synthetic.drawing import Camera, Pose
from tfface.synthetic.nuisance import sample_nuisance
from tfface.synthetic.people import HAIR_STYLES, Traits, sample_traits
from tfface.synthetic.portrait import groomed, landmarks, render

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def faces_are_rendered_each_time(monkeypatch):
    """In other tests they are rendered once."""
    monkeypatch.setattr(synthetic, "render", render)


def run_python(*arguments: str, stdin: str | None = None) -> str:
    return subprocess.run(
        [sys.executable, *arguments],
        input=stdin,
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout


# ---- pictures ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [32, 64, 112])
def test_a_face_is_a_color_picture_of_the_size_asked_for(size):
    face = render_face(identity=3, image=1, size=size)
    assert face.shape == (size, size, 3)
    assert face.dtype == np.uint8
    assert face.std() > 10, "an empty picture"


def test_each_argument_changes_the_face():
    face = render_face(1, 2, 64)
    for other in (render_face(2, 2, 64), render_face(1, 3, 64), render_face(1, 2, 64, seed=1)):
        assert np.abs(face.astype(int) - other).mean() > 5


def test_every_hair_style_is_drawn():
    first_with = {}
    for identity in range(300):
        first_with.setdefault(sample_traits(identity, seed=0).hair.style, identity)
    assert set(first_with) == set(HAIR_STYLES)
    faces = render_faces(list(first_with.values()), [0] * len(first_with), 32)
    assert len(np.unique(faces, axis=0)) == len(HAIR_STYLES)


def test_render_faces_keeps_the_order_and_gives_the_faces_of_render_face():
    faces = render_faces([5, 1, 5, TEST_IDENTITIES_FROM], [0, 7, 1, 0], 32, seed=4)
    assert faces.shape == (4, 32, 32, 3)
    for face, (identity, image) in zip(
        faces, [(5, 0), (1, 7), (5, 1), (TEST_IDENTITIES_FROM, 0)], strict=True
    ):
        np.testing.assert_array_equal(face, render_face(identity, image, 32, seed=4))


def test_no_faces_are_an_empty_array():
    assert render_faces([], [], 64).shape == (0, 64, 64, 3)


# ---- determinism -------------------------------------------------------------------------------


def test_the_bytes_do_not_depend_on_the_number_of_workers():
    identities, images = np.repeat(np.arange(7), 3), np.tile(np.arange(3), 7)
    alone = render_faces(identities, images, 48, workers=1)
    for workers in (2, 3):
        np.testing.assert_array_equal(
            render_faces(identities, images, 48, workers=workers),
            alone,
            err_msg=f"{workers} workers",
        )


def test_another_process_draws_the_same_bytes_in_another_order():
    program = (
        "import hashlib\n"
        "from tfface.synthetic import render_face\n"
        "render_face(9, 9, 64)\n"
        "for image in (1, 0):\n"
        "    print(hashlib.sha256(render_face(4, image, 64).tobytes()).hexdigest())\n"
    )
    first, second = (run_python("-c", program).split() for _ in range(2))
    assert first == second
    assert first[0] != first[1]


def test_workers_need_no_main_guard_and_no_tensorflow():
    # From stdin there is no file that a child could import again.
    program = (
        "import sys\n"
        "from tfface.synthetic import render_faces\n"
        "print(render_faces(range(4), [0] * 4, 32, workers=2).shape)\n"
        "print('tensorflow' in sys.modules, 'keras' in sys.modules)\n"
    )
    assert run_python("-", stdin=program).splitlines() == ["(4, 32, 32, 3)", "False False"]


def test_a_worker_that_fails_says_why(monkeypatch):
    from tfface.synthetic import pool

    failing = (sys.executable, "-c", "raise SystemExit('out of paint')")
    monkeypatch.setattr(pool, "_COMMAND", failing)
    with pytest.raises(RuntimeError, match="out of paint"):
        render_faces([1, 2], [0, 0], 32, workers=2)


# ---- people ------------------------------------------------------------------------------------


def numbers_of(traits: Traits) -> np.ndarray:
    """All traits that are numbers or colors, in one vector."""
    values = []
    for group in (getattr(traits, field.name) for field in dataclasses.fields(traits)):
        for field in dataclasses.fields(group):
            value = getattr(group, field.name)
            if isinstance(value, (int, float, tuple)):
                values.extend(np.ravel(value).astype(float))
    return np.array(values)


def test_people_differ_more_than_one_person_from_day_to_day():
    people = [sample_traits(identity, seed=0) for identity in range(150)]
    of_people = np.array([numbers_of(traits) for traits in people])
    scale = of_people.std(axis=0) + 1e-9
    between = np.linalg.norm((of_people[:, None] - of_people[None]) / scale, axis=-1)
    nearest = between[~np.eye(len(people), dtype=bool)].min()
    daily = [
        np.linalg.norm(
            (numbers_of(groomed(traits, sample_nuisance(i, image, 0).grooming)) - usual) / scale
        )
        for i, (traits, usual) in enumerate(zip(people, of_people, strict=True))
        for image in range(5)
    ]
    assert nearest > max(np.median(daily), 2.0)
    assert np.mean(daily) < 0.5 * between[~np.eye(len(people), dtype=bool)].mean()


def test_who_it_is_does_not_depend_on_the_picture():
    before = numbers_of(sample_traits(8, seed=0))
    render_face(8, 0, 32)
    sample_traits.cache_clear()
    np.testing.assert_array_equal(before, numbers_of(sample_traits(8, seed=0)))
    assert not np.array_equal(before, numbers_of(sample_traits(8, seed=1)))


def test_faces_are_aligned_like_face_crops():
    errors = []
    for identity in range(40):
        traits, nuisance = sample_traits(identity, 0), sample_nuisance(identity, 0, 0)
        points = landmarks(traits, nuisance.expression)
        errors.append(Camera(nuisance.pose, points).project(points) - POINTS_112)
    errors = np.array(errors)
    assert np.abs(errors.mean(axis=0)).max() < 4, "far from the template on average"
    assert np.abs(errors).max() < 20

    straight = Pose(yaw=0, pitch=0, roll=0, scale=1, shift_x=0, shift_y=0)
    seen = Camera(straight, points).project(points)
    np.testing.assert_allclose(seen.mean(axis=0), np.mean(POINTS_112, axis=0), atol=1e-6)


# ---- contact sheet -----------------------------------------------------------------------------


def test_the_contact_sheet_has_a_row_per_identity_and_a_column_per_image():
    sheet = contact_sheet([2, 6], images_per_identity=3, size=40)
    assert sheet.shape == (80, 120, 3)
    np.testing.assert_array_equal(sheet[40:, 80:], render_face(6, 2, 40))
    np.testing.assert_array_equal(contact_sheet(2, 1, 32)[32:], render_face(1, 0, 32))


def test_the_module_writes_the_sheet(tmp_path, capsys):
    output = tmp_path / "faces.png"
    main([str(output), "--identities", "2", "--images", "3", "--size", "32", "--first", "5"])
    with Image.open(output) as sheet:
        assert sheet.size == (96, 64)
    assert capsys.readouterr().out.strip() == str(output)


def test_the_module_ends_with_2_and_one_line_on_bad_input(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main([str(tmp_path / "faces.png"), "--size", "8"])
    assert capsys.readouterr().err.startswith("error: synthetic faces: size=8")
    assert not list(tmp_path.iterdir())


# ---- wrong arguments ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 31}, "size=31; it must be 32 or more"),
        ({"identity": -1}, "identity=-1; it must be 0 or more"),
        ({"image": -2}, "image=-2; it must be 0 or more"),
        ({"seed": -3}, "seed=-3; it must be 0 or more"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        render_face(**{"identity": 0, "image": 0, "size": 64, **arguments})


def test_wrong_lists_and_worker_counts_are_refused():
    with pytest.raises(InputError, match="3 identities but 2 images"):
        render_faces([1, 2, 3], [0, 0], 64)
    with pytest.raises(InputError, match="identity=-4"):
        render_faces([1, -4], [0, 0], 64)
    with pytest.raises(InputError, match="workers=0; it must be 1 or more"):
        render_faces([1], [0], 64, workers=0)
    with pytest.raises(InputError, match="0 identities with 8 images"):
        contact_sheet([], 8, 64)
