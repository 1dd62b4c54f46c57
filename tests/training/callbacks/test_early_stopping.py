"""When a stage ends, and with which weights."""

import pytest

from tests.training.recipes import load_tiny
from tfface.training.callbacks.early_stopping import update_early_stopping
from tfface.training.run_progress import RunProgress


@pytest.fixture
def update(tmp_path):
    """Returns (whether each epoch's weights were kept, progress) of epochs with these metrics."""

    def update(stage: dict, epochs: list[dict[str, float]]):
        overrides = [f"training.stages.0.{key}={value}" for key, value in stage.items()]
        [stage, _] = load_tiny(tmp_path, *overrides).training.stages
        progress = RunProgress()
        kept = []
        for metrics in epochs:
            progress.epoch += 1
            kept.append(update_early_stopping(progress, stage, metrics))
            if progress.ended_by:
                break
        return kept, progress

    return update


def stopping(monitor: str, patience: int = 2) -> dict:
    return {"early_stopping": f"{{monitor: {monitor}, patience: {patience}}}"}


GAP = {"overfit_stop": "{max_gap: 0.25}"}


class TestEarlyStopping:
    def test_ends_after_patience_epochs_without_a_better_one(self, update):
        losses = [{"val_loss": value} for value in [3.0, 2.0, 2.5, 2.0, 1.0]]
        kept, progress = update(stopping("val_loss"), losses)
        assert kept == [True, True, False, False]
        assert progress.ended_by == "early_stopping"
        assert progress.best == 2.0
        assert progress.best_epoch == 2

    def test_accuracy_is_better_when_higher(self, update):
        accuracies = [{"val_accuracy": value} for value in [0.5, 0.6, 0.4, 0.7]]
        kept, progress = update(stopping("val_accuracy"), accuracies)
        assert kept == [True, True, False, True]
        assert not progress.ended_by
        assert progress.best == 0.7


class TestGap:
    def epochs(self, *pairs):
        return [{"accuracy": one, "val_accuracy": other} for one, other in pairs]

    def test_ends_past_the_threshold_with_the_epoch_before(self, update):
        # 0.25 itself is not past 0.25.
        epochs = self.epochs((0.5, 0.5), (0.75, 0.5), (0.8, 0.5), (0.5, 0.5))
        kept, progress = update(GAP, epochs)
        assert kept == [True, True, False]
        assert progress.ended_by == "overfit_stop"
        assert progress.best_epoch == 2

    def test_in_the_first_epoch_nothing_of_the_stage_is_kept(self, update):
        kept, progress = update(GAP, self.epochs((0.9, 0.5)))
        assert kept == [False]
        assert progress.best_epoch == 0

    def test_that_never_opens_keeps_the_last_epoch(self, update):
        kept, progress = update(GAP, self.epochs((0.5, 0.5), (0.6, 0.4)))
        assert kept == [True, True]
        assert not progress.ended_by
        assert progress.best_epoch == 2

    def test_with_early_stopping_the_best_epoch_before_it_is_kept(self, update):
        epochs = self.epochs((0.5, 0.6), (0.6, 0.5), (0.99, 0.7))
        kept, progress = update(GAP | stopping("val_accuracy"), epochs)
        assert kept == [True, False, False]
        assert progress.ended_by == "overfit_stop"
        assert (progress.best_epoch, progress.best) == (1, 0.6)

    def test_with_early_stopping_patience_may_end_first(self, update):
        epochs = self.epochs((0.5, 0.6), (0.6, 0.5), (0.99, 0.7))
        _, progress = update(GAP | stopping("val_accuracy", patience=1), epochs)
        assert progress.ended_by == "early_stopping"


def test_a_stage_without_either_keeps_nothing(update):
    kept, progress = update({}, [{"loss": 1.0}])
    assert kept == [False]
    assert not progress.ended_by
