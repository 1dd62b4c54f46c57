"""The reference, the help and the JSON schema of recipes say what the schema and registries say."""

import json
from pathlib import Path

import pytest

from tests.recipe.test_recipe import GOOD
from tfface.errors import InputError
from tfface.recipe.reference import help_text, json_schema, page
from tfface.recipe.yaml_file import read_yaml
from tfface.registry import options_schema, summary
from tfface.training.registries import REGISTRIES

RECIPES = sorted((Path(__file__).resolve().parents[2] / "recipes").glob("*.yaml"))


def test_every_row_of_the_page_is_full():
    rows = [line for line in page(REGISTRIES).split("\n") if line.startswith("| `")]
    assert len(rows) > 200
    for row in rows:
        _, name, *cells, meaning, _ = (cell.strip() for cell in row.replace("\\|", "/").split("|"))
        assert name
        assert meaning, row
        assert cells == [] or cells[0], row


@pytest.mark.parametrize("kind", REGISTRIES)
def test_every_component_and_option_is_described(kind):
    for name, component in REGISTRIES[kind].items():
        assert summary(component), name
        for option, field in options_schema(component).model_fields.items():
            assert field.description, f"{name}.{option}"


def test_options_of_a_base_class_are_described_there():
    described = options_schema(REGISTRIES["heads"]["arcface"]).model_fields
    assert "see" not in described["label_smoothing"].description.split()


class TestHelp:
    @pytest.mark.parametrize(
        ("key", "lines"),
        [
            (None, ["data.batch_size  (integer in [1, 65536], default 128)", "model: The network"]),
            ("data", ["data.cache  (none, memory, disk, features, default none)"]),
            ("training.stages", ["training.stages  (list of section, required)"]),
            ("training.stages.0.epochs", ["training.stages.N.epochs  (integer >= 1, required)"]),
            ("training.stages.N.early_stopping", ["early_stopping.patience  (integer >= 1, req"]),
            ("model.head", ["model.head.NAME: softmax, sigmoid, arcface"]),
            ("model.head.arcface", ["margin  (number in [0, 1.5708), default 0.5)"]),
            ("data.train.csv", ["identity_column  (text, default identity)"]),
            (
                "model.embedding_size",
                ["model.embedding_size  (integer in [1, 65536] or null, default 512)"],
            ),
        ],
    )
    def test_of_a_key(self, key, lines):
        text = help_text(REGISTRIES, key)
        for line in lines:
            assert line in text
        assert max(map(len, text.split("\n"))) <= 100

    @pytest.mark.parametrize(
        ("key", "message"),
        [
            ("model.hed", "unknown key; did you mean 'model.head'"),
            ("model.head.arcfase", "unknown name 'arcfase'; did you mean 'arcface'"),
            ("dta", "unknown key; did you mean 'data'"),
        ],
    )
    def test_of_no_key(self, key, message):
        with pytest.raises(InputError, match=message):
            help_text(REGISTRIES, key)


@pytest.fixture(scope="module")
def validator():
    jsonschema = pytest.importorskip("jsonschema", reason="needs the package jsonschema")
    schema = json.loads(json.dumps(json_schema(REGISTRIES)))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def replaced(tmp_path: Path, old: str, new: str) -> dict:
    """The good recipe of the tests, changed, as YAML."""
    assert old in GOOD
    path = tmp_path / "recipe.yaml"
    path.write_text(GOOD.replace(old, new), encoding="utf-8")
    return read_yaml(path)


class TestJsonSchema:
    @pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
    def test_recipes_fit(self, validator, path):
        assert [error.message for error in validator.iter_errors(read_yaml(path))] == []

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("{name: arcface, margin: 0.3}", "{arcface: {margin: 0.3}}"),
            ("{name: arcface, margin: 0.3}", "arcface"),
            ("{name: arcface, margin: 0.3}", "{arcface: null}"),
            ("by: image}", "by: image}\n  exclude: none"),
            ("by: image}", "by: image}\n  exclude: null"),
            ("by: image}", "by: image}\n  cache: null"),
            ("by: image}", "by: image}\n  image_size: 64"),
            ("by: image}", "by: image}\n  image_size: [64, 32]"),
        ],
    )
    def test_other_ways_of_writing_fit(self, validator, tmp_path, old, new):
        given = replaced(tmp_path, old, new)
        assert [error.message for error in validator.iter_errors(given)] == []

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("head:", "hed:"),
            ("margin", "margn"),
            ("epochs: 2", "epochs: 0"),
            ("epochs: 2", 'epochs: "2"'),
            ("arcface", "arcfase"),
            (", path: faces", ""),
            ("by: image", "by: photo"),
            ("by: image}", "by: image}\n  image_size: 16"),
        ],
    )
    def test_mistakes_do_not_fit(self, validator, tmp_path, old, new):
        assert [*validator.iter_errors(replaced(tmp_path, old, new))]
