"""tools/eval_classification.py as its users call it."""

import json
from functools import partial
from pathlib import Path

import pytest

from tests.cli.running import run_tool
from tests.evaluation.color_run import write_image, write_run
from tests.reporting.page_parser import read_page
from tests.training.recipes import load_tiny
from tfface import recipe as recipes
from tfface.cli import evaluate_classification as classification
from tfface.errors import InputError
from tfface.reporting.results import read_rows

TOOL = Path(__file__).resolve().parents[2] / "tools" / "eval_classification.py"
run = partial(run_tool, TOOL)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """A run on photos at CLASS/PERSON/IMAGE.png, and photos of people it saw and didn't see."""
    folder = tmp_path_factory.mktemp("experiment")
    run = write_run(folder / "run", ["cold", "warm"], head="sigmoid")
    recipe = load_tiny(
        folder,
        "data.train={source: folder, path: train}",
        "data.validation=none",
        "model.head=sigmoid",
    )
    (run / "recipe.yaml").write_text(recipes.dump(recipe))
    photos = {
        "train/cold/ann": "blue",
        "train/warm/bob": "red",
        "test/cold/ann": "blue",
        "test/warm/bob": "red",
        # New people look otherwise.
        "test/cold/new1": "red",
        "test/warm/new2": "red",
    }
    for place, color in photos.items():
        for seed in range(3):
            write_image(folder / place / f"{seed}.png", color, seed)
    return folder


def main(capsys, *arguments) -> str:
    classification.main([str(argument) for argument in arguments])
    return capsys.readouterr().out


def test_all_outputs(experiment, tmp_path, capsys):
    said = main(
        capsys,
        *(experiment / "run", "--data", experiment / "test", "--data-dir", experiment),
        *(
            "--person",
            "subfolder",
            "--group-by",
            "subfolder",
            "--json",
            tmp_path / "out" / "f.json",
        ),
        *("--plots", tmp_path / "plots", "--report", tmp_path / "report.html"),
        *("--results", tmp_path / "results.csv", "--label", "tiny"),
    )
    figures = json.loads((tmp_path / "out" / "f.json").read_text())
    assert figures["num_images"] == 12
    assert figures["accuracy"] == 0.75
    assert figures["top5"] is None
    assert figures["seen"]["accuracy"] == 1
    assert figures["unseen"]["accuracy"] == 0.5
    assert figures["groups"]["new1"]["unseen"]["accuracy"] == 0
    assert figures["groups"]["ann"]["seen"]["num_images"] == 3
    assert figures["per_class"]["cold"]["unseen"] == {"support": 3, "recall": 0}
    assert len(figures["most_wrong"]) == 3

    assert "identities unseen in training: 50.00% (" in said
    where = f"data.train of {experiment / 'run'}"
    assert f"2 people were seen in training, by the attribute 'subfolder' in {where}." in said
    assert said.splitlines()[-4:] == [
        f"metrics: {tmp_path / 'out' / 'f.json'}",
        f"plots: {tmp_path / 'plots'}",
        f"report: {tmp_path / 'report.html'}",
        f"results: {tmp_path / 'results.csv'}",
    ]
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == [
        *("confusion.png", "groups.png", "most_wrong.png", "reliability.png")
    ]
    # Its own it replaces.
    classification.main(
        [
            *(str(experiment / "run"), "--data", str(experiment / "test")),
            *("--data-dir", str(experiment), "--json", str(tmp_path / "out" / "f.json")),
            *("--plots", str(tmp_path / "plots")),
        ]
    )
    text = read_page(tmp_path / "report.html")
    assert "run on test" in text
    assert "true: cold\npredicted: warm" in text
    rows = read_rows(tmp_path / "results.csv")
    # All, seen, unseen; and each of the four groups with its part.
    assert len(rows) == 3 + 8
    assert [rows[0][key] for key in ("model", "dataset", "subset", "accuracy")] == [
        *("tiny", "test", "all", "0.75")
    ]


def test_a_page_alone_leaves_no_pictures(experiment, tmp_path, capsys):
    report = tmp_path / "report.html"
    main(capsys, experiment / "run", "--data", experiment / "test", "--report", report)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_people_are_told_apart_only_when_it_is_known_who_they_are(experiment, tmp_path, capsys):
    said = main(
        capsys, experiment / "run", "--data", experiment / "test", "--group-by", "subfolder"
    )
    assert "subfolder=new1" in said
    assert "seen identities" not in said
    assert "People who were in training and others are not told apart. Where the classes" in said
    assert "of: subfolder." in said
    # Without attributes, nothing needs to be said.
    flat = tmp_path / "flat"
    write_image(flat / "cold" / "0.png", "blue", 0)
    assert "told apart" not in main(capsys, experiment / "run", "--data", flat)


def test_the_seen_are_said(experiment, tmp_path, capsys):
    write_image(tmp_path / "seen" / "any" / "new1" / "0.png", "blue", 0)
    figures = tmp_path / "f.json"
    main(
        capsys,
        *(experiment / "run", "--data", experiment / "test", "--person", "subfolder"),
        *("--seen", tmp_path / "seen", "--json", figures),
    )
    assert json.loads(figures.read_text())["seen"]["num_images"] == 3


def test_a_column_called_person_is_taken_for_that(experiment, tmp_path, capsys):
    lines = ["path,identity,person", "cold/ann/0.png,cold,ann", "warm/new2/0.png,warm,new2"]
    (experiment / "test" / "list.csv").write_text("\n".join(lines) + "\n")
    data = ["--data", experiment / "test" / "list.csv"]
    said = main(capsys, experiment / "run", *data)
    assert "not told apart, as it isn't known who was in training: " in said
    # The training data have no such attribute; a list of it does.
    (experiment / "train" / "list.csv").write_text(
        "path,identity,person\ncold/ann/0.png,cold,ann\n"
    )
    said = main(capsys, experiment / "run", *data, "--seen", experiment / "train" / "list.csv")
    assert "unseen identities" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["RUN", "--data", "TEST", "--group-by", "hair"],
            "test: no attribute 'hair'; there are: sub",
        ),
        (["RUN", "--data", "TEST", "--person", "name"], "test: no attribute 'name'"),
        (
            ["RUN", "--data", "TEST", "--person", "subfolder", "--data-dir", "nowhere"],
            r"who was in training: nowhere/train: no such folder; give --data-dir, or --seen",
        ),
        (["RUN", "--data", "TEST", "--seen", "TEST"], "--seen: say by --person which attribute"),
        (["RUN", "--data", "TRAIN/cold"], "cold: has classes that the model doesn't know: ann"),
        (["RUN", "--data", "nowhere"], "nowhere: no such file or folder"),
        (["RUN/model.keras", "--data", "TEST"], "give its run folder"),
        (["recipe.yaml", "--data", "TEST"], r"recipe\.yaml: no such model"),
    ],
)
def test_bad_arguments(experiment, arguments, message):
    for word, folder in (("RUN", "run"), ("TEST", "test"), ("TRAIN", "train")):
        arguments = [text.replace(word, str(experiment / folder)) for text in arguments]
    with pytest.raises(InputError, match=message):
        classification.main(arguments)


def test_people_of_a_model_of_others(experiment, tmp_path):
    (tmp_path / "names.txt").write_text("cold\nwarm\nhot\n")
    model, test = experiment / "run" / "model.keras", experiment / "test"
    arguments = [model, "--classes", tmp_path / "names.txt", "--data", test]
    with pytest.raises(InputError, match=r"model\.keras is no run folder: give --seen SOURCE"):
        classification.main([*map(str, arguments), "--person", "subfolder"])


@pytest.mark.parametrize("option", ["--json", "--plots", "--report", "--results"])
def test_what_can_not_be_written_is_found_first(tmp_path, option):
    (tmp_path / "file").write_text("in the way")
    model = str(tmp_path / "m.keras")
    Path(model).touch()
    with pytest.raises(InputError, match=r"can't be written: |is a folder; give a file"):
        classification.main([model, "--data", "d", option, str(tmp_path / "file" / "x")])


def test_attributes_of_kface(test_data, tmp_path, capsys):
    kface = test_data / "fixtures" / "kface_shaped"
    names = sorted(path.name for path in (kface / "High").iterdir())
    run = write_run(tmp_path / "run", names, head="arcface")
    main(capsys, run, "--data", kface, "--group-by", "light", "--json", tmp_path / "f.json")
    groups = json.loads((tmp_path / "f.json").read_text())["groups"]
    assert list(groups) == [f"L{number}" for number in range(1, 7)]
    assert sum(group["num_images"] for group in groups.values()) == 36
    assert groups["L1"]["top5"] is not None


@pytest.mark.slow
def test_ends_with_2_and_one_line(experiment, tmp_path):
    result = run(tmp_path / "missing", "--data", experiment / "test")
    assert result.returncode == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith(f"error: {tmp_path / 'missing'}: no such model")
