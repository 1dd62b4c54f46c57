"""Progress without a terminal: nothing for a minute, then one line a minute."""

import sys
from types import SimpleNamespace

import pytest

from tfface import progress as module
from tfface.progress import Lines, progress, said, silence


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is moved; nothing has been said for no time."""
    now = [1000.0]
    monkeypatch.setattr(module, "_clock", lambda: now[0])
    said()
    yield now
    monkeypatch.undo()
    said()


def run(clock, number: int, seconds: float, **options) -> None:
    options = {"description": "train 1/8", "unit": "steps", **options}
    for _ in progress(range(number), **options):
        clock[0] += seconds


def test_a_line_a_minute(clock, capsys):
    run(clock, 6 * 480, 0.125)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "train 1/8: 480 of 2,880 steps, 8 a second, 05:00 left"
    # The last step comes at the end of the sixth minute.
    assert len(lines) == 6


def test_what_takes_less_says_nothing(clock, capsys):
    run(clock, 479, 0.125)
    assert capsys.readouterr().err == ""


def test_many_short_ones_together_are_not_silent(clock, capsys):
    for number in range(10):
        run(clock, 4, 5.0, description=f"embedding set {number}", unit="images")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "embedding set 2: 4 of 4 images, 0.2 a second, 00:00 left"
    assert len(lines) == 3


def test_what_was_said_otherwise_counts(clock, capsys):
    for _ in range(10):
        run(clock, 10, 3.0)
        # As the line of an epoch.
        said()
    assert capsys.readouterr().err == ""


def test_what_is_moved_by_hand(clock, capsys):
    with progress(total=None, description="reading", unit="records") as bar:
        bar.set_postfix(loss="1.200", refresh=False)
        clock[0] += 61
        bar.update(1500)
        bar.set_description("writing")
        clock[0] += 61
        bar.set_postfix_str("epoch 3")
    assert capsys.readouterr().err.splitlines() == [
        "reading: 1,500 records, 24.6 a second, loss=1.200",
        "writing: 1,500 records, 12.3 a second, epoch 3",
    ]


def test_one_of_several_processes_speaks(clock, capsys):
    with silence():
        bar = progress(total=9, description="train", unit="steps")
    clock[0] += 61
    bar.update()
    bar.close()
    assert capsys.readouterr().err == ""


def test_a_terminal_has_a_bar(monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with progress([1], description="train", unit="steps") as bar:
        assert not isinstance(bar, Lines)
        # All that a bar is asked to do elsewhere.
        for name in vars(Lines):
            assert name.startswith("_") or hasattr(bar, name)


@pytest.fixture(scope="module")
def a_minute_ago():
    """Set up before the test's own fixtures, as what other tests leave behind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_said_at", module._clock() - 3600)
        yield


def test_tests_do_not_inherit_the_silence_of_others(a_minute_ago, capsys):
    for _ in progress(range(3), description="checking", unit="images"):
        pass
    assert capsys.readouterr().err == ""


@pytest.mark.filterwarnings("ignore::tqdm.TqdmWarning")
@pytest.mark.parametrize(("config", "is_bar"), [({"IPKernelApp": {}}, True), ({}, False)])
def test_a_notebook_has_a_bar(monkeypatch, config, is_bar):
    shell = SimpleNamespace(config=config)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    bar = progress(range(3), description="embedding", unit="images")
    assert isinstance(bar, Lines) is not is_bar
    assert list(bar) == [0, 1, 2]
