"""Figures in words, which promise no more than was measured."""

from tests.reporting.made_figures import figures
from tfface.reporting.format import align
from tfface.reporting.verification_table import (
    FOOTNOTE,
    GROUP_NOTE,
    HEADER,
    as_text,
    group_rows,
    header,
    notes,
    result_row,
    table_rows,
    threshold_sentence,
)


def with_interval(by="identity"):
    accuracy = figures()["accuracy"] | {"interval": [0.9904, 0.9951]}
    return figures() | {"accuracy": accuracy, "interval_by": by}


def of_templates():
    points = [
        {"far": far, "tar": 0.9, "measured_far": far, "threshold_cosine": 0.5, "sufficient": True}
        for far in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
    ]
    absent = {"accuracy": None, "threshold": None, "interval_by": None, "groups": None}
    return figures() | absent | {"tar_at_far": points, "num_pairs": 15_658_489}


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


def test_intervals_have_a_column_where_there_are_any():
    assert header({"lfw": figures()}) == HEADER
    sets = {"lfw": with_interval(), "old": figures(), "bin": with_interval("pair")}
    names, rows = header(sets), table_rows(sets)
    assert names == [*HEADER[:3], "95% CI", *HEADER[3:]]
    assert [row[3] for row in rows] == ["99.04-99.51", "-", "99.04-99.51"]
    assert notes({"old": figures()}) == [FOOTNOTE]
    assert notes({"lfw": with_interval()}) == [
        FOOTNOTE,
        "95% CI: of the accuracy, by bootstrap over people",
    ]
    assert notes({"bin": with_interval("pair")})[1] == (
        "95% CI: of the accuracy, by bootstrap over pairs, which is too narrow where people repeat"
    )
    assert notes(sets)[1] == (
        "95% CI: of the accuracy, by bootstrap over people; of bin over pairs, which is too narrow "
        "where people repeat"
    )


def test_rows_of_results():
    plain, with_ci, templates = (
        result_row("model", "set", of_set)
        for of_set in (figures(), with_interval(), of_templates())
    )
    assert list(plain) == list(with_ci) == list(templates)
    assert (plain["accuracy_mean"], plain["accuracy_std"]) == (0.993, 0.0041)
    assert (plain["tar_at_far_1e-4"], plain["tar_at_far_1e-4_sufficient"]) == (0.5, False)
    assert plain["tar_at_far_1e-3_sufficient"] is True
    assert plain["accuracy_ci_low"] is None
    assert (with_ci["accuracy_ci_low"], with_ci["accuracy_ci_high"]) == (0.9904, 0.9951)
    assert templates["accuracy_mean"] is None
    assert templates["num_pairs"] == 15_658_489
    none = result_row("model", "set", figures() | {"tar_at_far": []})
    assert none["tar_at_far_1e-2"] is none["tar_at_far_1e-2_sufficient"] is None


def test_finer_rates_are_shown_where_there_are_pairs_enough():
    sets = {"ijbc": of_templates()}
    assert header(sets)[3:8] == [f"TAR@1e-{power}" for power in range(2, 7)]
    text = as_text(sets)
    assert "15,658,489         -    90.00%" in text
    assert text.endswith(
        "ijbc: for at most 1 false accept in 1,000,000 impostors when cosine >= 0.500."
    )
    # With both, the interval has no room.
    both = as_text({"lfw": with_interval(), "ijbc": of_templates()})
    assert "95% CI" not in both
    assert max(map(len, both.splitlines()[:3])) <= 100
    assert "95% CI" in as_text({"lfw": with_interval()})


def test_too_few_pairs_for_any_threshold():
    few = of_templates()
    for point in few["tar_at_far"]:
        point["sufficient"] = False
    assert threshold_sentence("x", few) == "x: too few impostor pairs to name a threshold."


def test_groups():
    group = {
        **{"num_pairs": 1200, "num_genuine": 0, "accuracy": 0.9912, "far": 0.0125},
        **{"tar": None, "eer": None, "auc": None},
    }
    sets = {"kface": figures() | {"groups": {"C1-C7": group}}, "lfw": figures()}
    row = ["kface / C1-C7", "1,200", "0", "99.12%", "1.25%", "-", "-", "-"]
    assert group_rows(sets) == [row]
    lines = as_text(sets).splitlines()
    assert lines[4].split()[:4] == ["set", "/", "group", "pairs"]
    assert lines[5].split() == " ".join(row).split()
    assert lines[6] == GROUP_NOTE
    many = {"kface": figures() | {"groups": {f"group {number}": group for number in range(50)}}}
    lines = as_text(many).splitlines()
    assert "and 10 more groups, which are in the JSON file" in lines
    assert len(group_rows(many)) == 50


def test_accuracy_of_lopsided_sets_has_a_word_of_warning():
    lopsided = figures() | {"num_genuine": 600}
    (note,) = (note for note in notes({"a": lopsided, "even": figures()}) if "one answer" in note)
    assert note.startswith("a: 600 of 6,000 pairs are genuine, so an accuracy of 90.00% is had by")
