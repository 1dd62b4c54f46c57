"""Tables and sentences of verification promise no more than was measured."""

from tests.reporting.sample_metrics import verification
from tfface.reporting.verification_tables import (
    group_table,
    key_metrics,
    result_row,
    summary_table,
    threshold_sentence,
    to_text,
)

COLUMNS = ["set", "pairs", "accuracy", "TAR@1e-2", "TAR@1e-3", "TAR@1e-4", "EER", "AUC"]
INSUFFICIENT = "* too few impostor pairs to measure this FAR: the TAR is at FAR 0"


def with_interval(by="identity"):
    accuracy = verification()["accuracy"] | {"interval": [0.9904, 0.9951]}
    return verification() | {"accuracy": accuracy, "interval_by": by}


def templates():
    points = [
        {"far": far, "tar": 0.9, "measured_far": far, "threshold_cosine": 0.5, "sufficient": True}
        for far in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
    ]
    absent = {"accuracy": None, "threshold": None, "interval_by": None, "groups": None}
    return verification() | absent | {"tar_at_far": points, "num_pairs": 15_658_489}


def test_insufficient_tars_are_marked():
    table = summary_table({"lfw": verification()})
    assert table.header == COLUMNS
    assert table.rows == [
        ["lfw", "6,000", "99.30 +- 0.41%", "99.00%", "98.00%", "50.00%*", "0.70%", "0.9989"]
    ]
    assert table.notes == [INSUFFICIENT]


def test_threshold_sentence_is_never_too_optimistic():
    sentence = threshold_sentence("lfw", verification())
    assert sentence.startswith("lfw: same identity if cosine >= 0.400 (squared L2 <= 1.200); ")
    # 0.45501 rounded down would accept an impostor.
    assert sentence.endswith("at most 1 false accept in 1,000 impostor pairs if cosine >= 0.456.")


def test_a_strict_threshold_below_the_other_is_no_second_one():
    lower = verification()
    for point in lower["tar_at_far"]:
        point["threshold_cosine"] = 0.3
    assert threshold_sentence("lfw", lower) == (
        "lfw: same identity if cosine >= 0.400 (squared L2 <= 1.200); that is at most 1 false "
        "accept in 1,000 impostor pairs, too."
    )


def test_no_threshold_where_impostors_are_more_similar():
    sentence = threshold_sentence("mine", verification() | {"auc": 0.2394})
    assert sentence.startswith("mine: no threshold: impostor pairs are more similar")
    assert sentence.endswith("(AUC 0.2394). Are the labels swapped?")
    assert threshold_sentence("mine", verification() | {"auc": 0.48}).endswith("(AUC 0.4800).")


def test_threshold_sentence_for_equal_embeddings():
    equal = verification()
    for point in equal["tar_at_far"]:
        point["threshold_cosine"] = 1.0000001
    assert threshold_sentence("lfw", equal).endswith(
        "; no cosine threshold <= 1 has at most 1 false accept in 1,000 impostor pairs."
    )


def test_intervals_have_a_column_if_there_are_any():
    sets = {"lfw": with_interval(), "old": verification(), "bin": with_interval("pair")}
    table = summary_table(sets)
    assert table.header == [*COLUMNS[:3], "95% CI", *COLUMNS[3:]]
    assert [row[3] for row in table.rows] == ["99.04-99.51%", "-", "99.04-99.51%"]
    assert summary_table({"lfw": with_interval()}).notes == [
        INSUFFICIENT,
        "95% CI of the accuracy: bootstrap over identities",
    ]
    assert summary_table({"bin": with_interval("pair")}).notes[1] == (
        "95% CI of the accuracy: bootstrap over pairs, which is too narrow if identities repeat"
    )
    assert table.notes[1] == (
        "95% CI of the accuracy: bootstrap over identities; for bin over pairs, which is too "
        "narrow if identities repeat"
    )


def test_result_rows():
    plain, with_ci, of_templates = (
        result_row("model", "set", metrics)
        for metrics in (verification(), with_interval(), templates())
    )
    assert list(plain) == list(with_ci) == list(of_templates)
    assert (plain["accuracy_mean"], plain["accuracy_std"]) == (0.993, 0.0041)
    assert (plain["tar_at_far_1e-4"], plain["tar_at_far_1e-4_sufficient"]) == (0.5, False)
    assert plain["tar_at_far_1e-3_sufficient"] is True
    assert plain["accuracy_ci_low"] is None
    assert (with_ci["accuracy_ci_low"], with_ci["accuracy_ci_high"]) == (0.9904, 0.9951)
    assert of_templates["accuracy_mean"] is None
    assert of_templates["num_pairs"] == 15_658_489
    none = result_row("model", "set", verification() | {"tar_at_far": []})
    assert none["tar_at_far_1e-2"] is none["tar_at_far_1e-2_sufficient"] is None


def test_finer_fars_are_shown_if_there_are_enough_pairs():
    sets = {"ijbc": templates()}
    assert summary_table(sets).header[3:8] == [f"TAR@1e-{power}" for power in range(2, 7)]
    text = to_text(sets)
    assert "15,658,489         -    90.00%" in text
    assert text.endswith(
        "ijbc: at most 1 false accept in 1,000,000 impostor pairs if cosine >= 0.500."
    )
    # With both, there is no space for the interval.
    both = to_text({"lfw": with_interval(), "ijbc": templates()})
    assert "95% CI" not in both
    assert max(map(len, both.splitlines()[:3])) <= 100
    assert "95% CI" in to_text({"lfw": with_interval()})


def test_too_few_pairs_for_any_threshold():
    few = templates()
    for point in few["tar_at_far"]:
        point["sufficient"] = False
    assert threshold_sentence("x", few) == "x: too few impostor pairs to recommend a threshold."


def test_subgroups():
    group = {
        **{"num_pairs": 1200, "num_genuine": 0, "accuracy": 0.9912, "far": 0.0125},
        **{"tar": None, "eer": None, "auc": None},
    }
    sets = {"kface": verification() | {"groups": {"C1-C7": group}}, "lfw": verification()}
    row = ["kface / C1-C7", "1,200", "0", "99.12%", "1.25%", "-", "-", "-"]
    assert group_table(sets).rows == [row]
    lines = to_text(sets).splitlines()
    assert lines[4].split()[:4] == ["set", "/", "subgroup", "pairs"]
    assert lines[5].split() == " ".join(row).split()
    assert lines[6] == "FAR and TAR of subgroups are at the threshold of the whole set"
    many = verification() | {"groups": {f"group {number}": group for number in range(50)}}
    assert "and 10 more subgroups in the JSON file" in to_text({"kface": many}).splitlines()
    assert len(group_table({"kface": many}).rows) == 50
    assert group_table({"lfw": verification()}) is None


def test_accuracy_of_imbalanced_sets_has_a_note():
    imbalanced = verification() | {"num_genuine": 600}
    notes = summary_table({"a": imbalanced, "even": verification()}).notes
    assert notes[1:] == [
        "a: 600 of 6,000 pairs are genuine, so a constant prediction has an accuracy of 90.00%: "
        "use TAR, EER and AUC"
    ]


def test_key_metrics():
    assert dict(key_metrics(verification())) == {
        "accuracy": "99.30 +- 0.41%",
        "accept if cosine >=": "0.400",
        "EER": "0.70%",
        "AUC": "0.9989",
        "genuine pairs": "3,000",
        "impostor pairs": "3,000",
    }
    assert key_metrics(templates())[0][0] == "EER"
