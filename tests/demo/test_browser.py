"""The page in a browser, as its user sees and uses it."""

import base64
import os

import pytest
from PIL import ExifTags, Image

import tfface
from tests.api.dot_photos import group_photo, landscape, photo_of
from tests.demo.devtools import browser_page
from tests.reporting.browser import DESKTOP, PHONE
from tfface.demo.server import MOST_BYTES

# Where the boxes of a field are in its picture, in pixels of the photo.
_BOXES = """(() => {
  const image = document.querySelector("#%s img"), whole = image.getBoundingClientRect();
  const scale = image.naturalWidth / whole.width;
  return [...document.querySelectorAll("#%s .box")].map(box => {
    const {left, top, right, bottom} = box.getBoundingClientRect();
    return [left - whole.left, top - whole.top, right - whole.left, bottom - whole.top]
      .map(value => value * scale);
  });
})()"""

_DROP = """(() => {
  const bytes = Uint8Array.from(atob("%s"), letter => letter.charCodeAt(0));
  const dropped = new DataTransfer();
  dropped.items.add(new File([bytes], "hills.png", {type: "image/png"}));
  document.querySelector("#first .field").dispatchEvent(
    new DragEvent("drop", {dataTransfer: dropped, bubbles: true, cancelable: true}));
})()"""


def answer(page, question: str) -> list[str]:
    """Waits for the answer of a question, and returns its lines."""
    where = f"document.querySelector('#{question} .answer')"
    page.wait_for(f"!!{where}.innerText && !{where}.hasAttribute('aria-busy')")
    return [line for line in page.value(f"{where}.innerText").split("\n") if line]


def boxes(page, photo: str, number: int) -> list[list[float]]:
    page.wait_for(f"document.querySelectorAll('#{photo} .box').length === {number}")
    return page.value(_BOXES % (photo, photo))


@pytest.mark.slow
@pytest.mark.usefixtures("dot_detector")
def test_questions_and_answers(server, answers, tmp_path):
    photos = {
        "anna": photo_of("Anna"),
        "group": group_photo("Ben", "Anna", "Cleo"),
        "hills": landscape(),
    }
    for name, photo in photos.items():
        photo.save(tmp_path / f"{name}.png")
    # As a phone stores it: on its side.
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    on_its_side = photos["anna"].transpose(Image.Transpose.ROTATE_90)
    on_its_side.save(tmp_path / "turned.jpg", quality=95, exif=turned)
    photos["anna"].save(tmp_path / "anna.tiff")
    with browser_page(tmp_path) as page:
        page.open(server.url, PHONE)
        page.choose("#first input", tmp_path / "anna.png")
        page.choose("#second input", tmp_path / "group.png")
        verdict, cosine, threshold, which = answer(page, "compare")
        assert (verdict, threshold) == ("same person", "threshold: given by the caller")
        assert cosine.startswith("cosine ")
        assert cosine.endswith(">= 0.900")
        assert which == "Second photo: of 3 faces the most similar one decides"
        expected = tfface.compare(photos["anna"], photos["group"], model=answers.model)
        [drawn] = boxes(page, "first", 1)
        assert drawn == pytest.approx(expected.first.box, abs=2)
        assert len(boxes(page, "second", 3)) == 3
        chosen = "document.querySelectorAll('#second .chosen').length"
        assert page.value(chosen) == 1

        page.choose("#query input", tmp_path / "group.png")
        lines = answer(page, "identify")
        assert sorted(lines[:-1:2]) == ["Anna", "Ben", "unknown"]
        assert lines[-1] == "threshold: 0.950, kept with the gallery"
        labels = "[...document.querySelectorAll('#query .box')].map(box => box.innerText).join()"
        assert sorted(label[2:] for label in page.value(labels).split(",")) == sorted(lines[:-1:2])

        for width in (DESKTOP, PHONE):
            page.resize(width, dark=width == PHONE)
            assert page.value("document.documentElement.scrollWidth") == width
        # By name for those who can't see it.
        assert page.value("document.querySelector('#first img').alt") == "First photo: anna.png"
        for _ in range(2):
            page.press("Tab")
        assert page.value("document.activeElement.matches('button, input[type=file]')")

        page.choose("#query input", tmp_path / "hills.png")
        [error] = answer(page, "identify")
        assert error.startswith("the photo: no usable face found")
        page.choose("#first input", tmp_path / "hills.png")
        [error] = answer(page, "compare")
        assert error.startswith("the first photo: no usable face found")
        assert boxes(page, "first", 0) == []

        page.choose("#first input", tmp_path / "turned.jpg")
        assert answer(page, "compare")[0] == "same person"
        [drawn] = boxes(page, "first", 1)
        assert drawn == pytest.approx(expected.first.box, abs=3)
        # A photo that the browser can't show is compared all the same.
        page.choose("#first input", tmp_path / "anna.tiff")
        assert answer(page, "compare")[0] == "same person"
        shown = page.value("document.querySelector('#first').innerText")
        assert "anna.tiff: this browser can't show the photo" in shown
        # What is dropped on a field.
        page.value(_DROP % base64.b64encode((tmp_path / "hills.png").read_bytes()).decode())
        [error] = answer(page, "compare")
        assert error.startswith("the first photo: no usable face found")
        # A file that is too large is not even sent.
        (tmp_path / "large.jpg").write_bytes(b"")
        os.truncate(tmp_path / "large.jpg", MOST_BYTES + 1)
        page.choose("#second input", tmp_path / "large.jpg")
        note = "document.querySelector('#second .note').innerText"
        assert page.value(note) == "large.jpg: a photo may have 32 MiB"
        # Chromium notes each answer whose status is no success.
        assert len(page.messages) == 3
        assert all("status of 422" in message for message in page.messages)
