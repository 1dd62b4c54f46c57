"""A gallery in words."""

from tfface.report.gallery_text import answers_as_text, content_as_text


def test_content():
    lines = content_as_text(["bob", "ann", "bob"], "faces").splitlines()
    assert [line.split() for line in lines[:3]] == [["name", "images"], ["ann", "1"], ["bob", "2"]]
    assert lines[3] == "3 images of 2 people, embedded by faces"


def test_answers():
    candidates = [{"name": "ann", "cosine": 0.61234}, {"name": "bob", "cosine": 0.2}]
    asked = [
        {"image": "1.jpg", "name": "ann", "candidates": candidates},
        {"image": "2.jpg", "name": None, "candidates": candidates[1:]},
        {"image": "3.jpg", "name": None, "candidates": []},
    ]
    lines = [line.split() for line in answers_as_text(asked, 0.5).splitlines()]
    assert lines == [
        ["image", "name", "most", "alike", "cosine"],
        ["1.jpg", "ann", "ann", "0.612"],
        ["bob", "0.200"],
        ["2.jpg", "nobody", "bob", "0.200"],
        ["3.jpg", "nobody", "-", "-"],
    ]
    assert answers_as_text(asked, None).splitlines()[-1].startswith("without --threshold strangers")
