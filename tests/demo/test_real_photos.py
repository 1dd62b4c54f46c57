"""Real photos in the page, with a real model, in a browser."""

import tarfile

import pytest

import tfface
from tests.demo.devtools import browser_page
from tests.demo.serving import serving
from tests.demo.test_browser import answer, boxes
from tests.reporting.browser import DESKTOP
from tfface.demo.photo_answers import PhotoAnswers


@pytest.mark.slow
def test_real_photos(test_data, tmp_path):
    names = ("img1.jpg", "img2.jpg", "img3.jpg", "couple.jpg")
    with tarfile.open(test_data / "data" / "deepface_pairs.tar") as archive:
        for name in names:
            member = archive.extractfile(f"deepface_pairs/{name}")
            (tmp_path / name).write_bytes(member.read())
    model = tfface.load_embedder(test_data / "data" / "mobilefacenet_192.tflite")
    staff = {"Angelina": tmp_path / "img2.jpg"}
    gallery = tfface.Gallery.build(model, staff, threshold=0.45)
    first = tmp_path / "img1.jpg"
    expected = {
        name: tfface.compare(first, tmp_path / name, model=model, threshold=0.406)
        for name in ("img2.jpg", "img3.jpg")
    }
    assert [comparison.is_same for comparison in expected.values()] == [True, False]
    answers = PhotoAnswers(model, gallery=gallery, threshold=0.406)
    with serving(answers) as server, browser_page(tmp_path) as page:
        page.open(server.url, DESKTOP)
        page.choose("#first input", first)
        for second, comparison in expected.items():
            page.choose("#second input", tmp_path / second)
            shown = answer(page, "compare")
            assert f"{shown[0]}: {shown[1]}" == repr(comparison).partition("\n")[0]
            [drawn] = boxes(page, "second", 1)
            assert drawn == pytest.approx(comparison.second.box, abs=4)
        page.choose("#query input", tmp_path / "couple.jpg")
        assert sorted(answer(page, "identify")[:-1:2]) == ["Angelina", "unknown"]
        assert page.messages == []
