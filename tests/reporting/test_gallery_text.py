"""A gallery in words."""

from tfface.reporting.gallery_text import answers_as_text, content_as_text


def test_content():
    lines = content_as_text(["bob", "ann", "bob"], "faces").splitlines()
    assert [line.split() for line in lines[:3]] == [["name", "images"], ["ann", "1"], ["bob", "2"]]
    assert lines[3] == "3 images of 2 people, embedded by faces"


def test_names_are_harmless_to_a_terminal():
    lines = content_as_text(["bob\x1b[31m\nann 99", "ann"], "faces").splitlines()
    assert [line.split() for line in lines[1:3]] == [["ann", "1"], ["bob?[31m?ann", "99", "1"]]
    answer = {"image": "a\x1b[2J.jpg", "name": "b\rc", "candidates": []}
    assert "a?[2J.jpg   b?c" in answers_as_text([answer], 0.5)


def test_a_person_called_nobody_is_told_from_no_one():
    candidates = [{"name": "nobody", "cosine": 0.6}]
    asked = [
        {"image": "1.jpg", "name": "nobody", "candidates": candidates},
        {"image": "2.jpg", "name": None, "candidates": candidates},
    ]
    lines = [line.split() for line in answers_as_text(asked, 0.5).splitlines()]
    assert [line[1] for line in lines[1:]] == ["'nobody'", "nobody"]


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
