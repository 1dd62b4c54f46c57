"""Figures in words, which promise no more than was measured."""

from tests.report.made_figures import figures
from tfface.report.verification_table import HEADER, align, table_rows, threshold_sentence


def test_table_marks_what_the_pairs_cannot_tell():
    (row,) = table_rows({"lfw": figures()})
    assert row == [
        "lfw",
        "6,000",
        "99.30 +- 0.41%",
        "99.00%",
        "98.00%",
        "50.00%*",
        "0.70%",
        "0.9989",
    ]
    lines = align(HEADER, [row, ["a much longer name", *row[1:]]]).split("\n")
    assert len({len(line) for line in lines}) == 1


def test_threshold_sentence_never_promises_more_than_was_measured():
    sentence = threshold_sentence("lfw", figures())
    assert sentence.startswith("lfw: accept two images as one person when cosine >= 0.400 ")
    # 0.45501 rounded down would let an impostor in.
    assert sentence.endswith("at most 1 false accept in 1,000 impostors when cosine >= 0.456.")


def test_threshold_sentence_of_a_model_that_finds_all_alike():
    alike = figures()
    for point in alike["tar_at_far"]:
        point["threshold_cosine"] = 1.0000001
    assert threshold_sentence("lfw", alike).endswith(
        "; no cosine up to 1 gives so few as 1 false accept in 1,000 impostors."
    )
