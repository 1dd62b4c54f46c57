"""Which figures a recipe measures, and which epoch's count."""

import pytest

from tests.training.recipes import load_tiny
from tfface.errors import InputError
from tfface.recipe.schema import EarlyStoppingConfig
from tfface.training.run_folder import RunFolder
from tfface.training.run_metrics import best_epoch, metric_names, read_run_metrics


@pytest.mark.parametrize(
    ("overrides", "first"),
    [
        ([], "val_accuracy"),
        (["data.validation=none"], "accuracy"),
        (["data.validation={fraction: 0.4, by: identity}"], "val_verification_accuracy"),
        (["evaluation.verification=[a/lfw.bin, mine=b.bin]"], "lfw.accuracy"),
        (["evaluation.verification=[mine=b.bin]"], "mine.accuracy"),
        (
            ["evaluation.verification=[a.bin]", "evaluation.classification=synthetic"],
            "test_accuracy",
        ),
    ],
)
def test_the_figure_that_counts_most(tmp_path, overrides, first):
    names = metric_names(load_tiny(tmp_path, *overrides))
    assert names[0] == first
    assert len(set(names)) == len(names)


def records(*stages):
    """Records of epochs: (stage, val_loss, val_accuracy, what else they have)."""
    return [
        {"epoch": number, "stage": stage, "val_loss": loss, "val_accuracy": accuracy, **more}
        for number, (stage, loss, accuracy, more) in enumerate(stages, start=1)
    ]


BY_LOSS = EarlyStoppingConfig(monitor="val_loss", patience=1)
BY_ACCURACY = EarlyStoppingConfig(monitor="val_accuracy", patience=1)
TWO_STAGES = records(
    ("head", 0.1, 0.9, {}), ("all", 0.5, 0.6, {}), ("all", 0.4, 0.8, {}), ("all", 0.6, 0.8, {})
)


@pytest.mark.parametrize(
    ("stopping", "epoch"),
    [([None, None], 4), ([None, BY_LOSS], 3), ([BY_LOSS, BY_ACCURACY], 3)],
)
def test_best_epoch(stopping, epoch):
    assert best_epoch(TWO_STAGES, stopping)["epoch"] == epoch


@pytest.mark.parametrize("word", ["overfit_stop", "end_on_gap"])
def test_an_epoch_that_opened_the_gap_is_not_kept(word):
    gap = {"ended_by": word}
    ended = records(("one", 0.5, 0.5, {}), ("two", 0.4, 0.6, {}), ("two", 0.3, 0.7, gap))
    assert best_epoch(ended, [None, None])["epoch"] == 2
    at_once = records(("one", 0.5, 0.5, {}), ("two", 0.3, 0.7, gap))
    assert best_epoch(at_once, [None, None])["epoch"] == 1
    assert best_epoch(at_once[1:], [None]) is None


@pytest.mark.parametrize(
    "content",
    [
        *("{}", "[]", "null", '{"sets": null}', '{"sets": [1]}', '{"sets": {"lfw": "x"}}'),
        *('{"sets": {"lfw": {}}}', '{"sets": {"lfw": {"accuracy": [1], "eer": 0, "auc": 1}}}'),
    ],
)
def test_json_that_holds_no_metrics(tmp_path, content):
    recipe = load_tiny(tmp_path, "evaluation.verification=[lfw.bin]")
    (tmp_path / "metrics.jsonl").write_text("")
    with pytest.raises(InputError, match=r"metrics\.jsonl: holds no epoch"):
        read_run_metrics(RunFolder(tmp_path), recipe)
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 1, "step": 3, "stage": "head"}\n')
    (tmp_path / "verification.json").write_text(content)
    with pytest.raises(InputError, match=r"verification\.json: has not the metrics of a run"):
        read_run_metrics(RunFolder(tmp_path), recipe)
