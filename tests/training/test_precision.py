"""The precision of a run: `auto` takes the faster one, and a resumed run keeps it."""

import json

import pytest

from tests.training.recipes import ONE_STAGE, load_tiny
from tfface import processor
from tfface.errors import InputError
from tfface.training import precision
from tfface.training.precision import choose_precision, step_seconds
from tfface.training.run import train
from tfface.training.run_folder import RunFolder

AUTO = (*ONE_STAGE, "training.precision=auto")


def choose(folder, monkeypatch, float32, bfloat16, *overrides, has=("AMX",)):
    seconds = {"float32": float32, "mixed_bfloat16": bfloat16}
    monkeypatch.setattr(precision, "step_seconds", lambda *_: seconds)
    monkeypatch.setattr(precision, "bfloat16_instructions", lambda: list(has))
    monkeypatch.setattr(precision, "is_tf_cpu", lambda: True)
    monkeypatch.setattr(precision.onednn, "is_on", lambda: True)
    recipe = load_tiny(folder, *AUTO, *overrides)
    return choose_precision(recipe, RunFolder(folder / "run"), 6, None)


@pytest.mark.parametrize(
    ("float32", "bfloat16", "expected"),
    [
        (2.0, 1.0, "mixed_bfloat16"),
        (1.06, 1.0, "mixed_bfloat16"),
        (1.04, 1.0, "float32"),
        (1.0, 2.0, "float32"),
    ],
)
def test_bfloat16_must_be_clearly_faster(
    tmp_path, monkeypatch, capsys, float32, bfloat16, expected
):
    assert choose(tmp_path, monkeypatch, float32, bfloat16) == expected
    assert capsys.readouterr().out == (
        f"precision: {expected}; a step took {float32:.3f} s in float32 and {bfloat16:.3f} s in "
        "mixed_bfloat16\n"
    )


def test_without_instructions_nothing_is_measured(tmp_path, monkeypatch, capsys):
    assert choose(tmp_path, monkeypatch, 2.0, 1.0, has=()) == "float32"
    assert "has no instructions for bfloat16" in capsys.readouterr().out


def test_several_devices_are_refused(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="auto is measured on one device"):
        choose(tmp_path, monkeypatch, 2.0, 1.0, "training.distribution={mode: data_parallel}")


def test_float32_says_that_bfloat16_may_be_faster(tmp_path, monkeypatch, capsys):
    what = "training.precision=float32"
    assert choose(tmp_path, monkeypatch, 2.0, 1.0, what) == "float32"
    assert "this processor has AMX" in capsys.readouterr().out
    assert choose(tmp_path, monkeypatch, 2.0, 1.0, what, has=()) == "float32"
    assert capsys.readouterr().out == ""


def test_steps_are_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "_SECONDS", 0.0)
    seconds = step_seconds(load_tiny(tmp_path, *AUTO), 6, None)
    assert list(seconds) == ["float32", "mixed_bfloat16"]
    assert all(value > 0 for value in seconds.values())


@pytest.mark.slow
def test_steps_of_distillation_are_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "_SECONDS", 0.0)
    teacher = "training.distillation={teacher: pixels}"
    for head in ([], ["model.head=null"]):
        recipe = load_tiny(tmp_path, *AUTO, teacher, "model.embedding_size=16", *head)
        assert min(step_seconds(recipe, 6, 16).values()) > 0


def test_a_run_keeps_its_choice(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(precision, "_has_bfloat16", lambda: True)
    times = {"float32": 2.0, "mixed_bfloat16": 1.0}
    monkeypatch.setattr(precision, "step_seconds", lambda *_: times)
    recipe, run = load_tiny(tmp_path, *AUTO), tmp_path / "run"
    train(recipe, run, tmp_path)
    said = capsys.readouterr().out
    assert "precision: mixed_bfloat16; a step took 2.000 s" in said
    assert "parameters, mixed_bfloat16, backend" in said
    environment = json.loads((run / "environment.json").read_text(encoding="utf-8"))
    assert environment["precision"] == "mixed_bfloat16"
    # As if it had been interrupted before its report; another machine would choose otherwise.
    (run / "report.html").unlink()
    times["float32"] = 0.5
    train(recipe, run, tmp_path, resume=True)
    said = capsys.readouterr().out
    assert "a step took" not in said
    assert "parameters, mixed_bfloat16, backend" in said
    assert RunFolder(run).precision() == "mixed_bfloat16"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx2", []),
        ("fpu avx512_bf16", ["AVX512_BF16"]),
        ("avx512_bf16 amx_bf16 amx_tile", ["AMX", "AVX512_BF16"]),
    ],
)
def test_instructions_of_the_processor(monkeypatch, tmp_path, flags, expected):
    (tmp_path / "cpuinfo").write_text(f"model name: x\nflags\t\t: {flags}\n\nflags\t: fpu\n")
    monkeypatch.setattr(processor, "Path", lambda _: tmp_path / "cpuinfo")
    assert processor.bfloat16_instructions() == expected
    monkeypatch.setattr(processor, "Path", lambda _: tmp_path / "none")
    assert processor.bfloat16_instructions() == []
