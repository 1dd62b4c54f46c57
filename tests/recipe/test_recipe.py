"""Recipes are strict; each mistake is one line that names place, value and what is allowed."""

import tempfile
from pathlib import Path
from typing import Annotated, Literal

import hypothesis
import pytest
import yaml
from hypothesis import strategies
from pydantic import Field

from tests.property_tests import examples
from tfface.errors import InputError
from tfface.paths import EMPTY_PATH
from tfface.recipe import dump, load


def folder(path: Path, *, name: str = ""):
    """A part with a path."""


def synthetic(num_identities: Annotated[int, Field(ge=2)] = 200):
    """A part that has a default for everything."""


def random_flip():
    """A part without options."""


def random_crop(from_size: Annotated[int, Field(ge=32)], *, image_size: tuple[int, int]):
    """A part that needs an option."""


def mobilenet_v2(alpha: Annotated[float, Field(gt=0)] = 1.0, *, image_size, weights):
    """A backbone."""


def arcface(
    margin: Annotated[float, Field(ge=0, lt=1.57)] = 0.5,
    scale: float = 64.0,
    bounds: tuple[float, float] = (0.0, 1.0),
    warm_start: float | None = 1.0,
    distance: Literal["none", "cosine"] = "cosine",
):
    """A head."""


def sgd(learning_rate: Annotated[float, Field(gt=0)] = 0.1, nesterov: bool = False):
    """An optimizer."""


def step(every_epochs: Annotated[int, Field(ge=1)]):
    """A schedule that needs an option."""


def constant():
    """A schedule without options."""


REGISTRIES = {
    "sources": {"folder": folder, "synthetic": synthetic},
    "augmentations": {"random_flip": random_flip, "random_crop": random_crop},
    "backbones": {"mobilenet_v2": mobilenet_v2},
    "heads": {"arcface": arcface},
    "optimizers": {"sgd": sgd},
    "schedules": {"step": step, "constant": constant},
}

GOOD = """
data:
  train: {source: folder, path: faces}
  validation: {fraction: 0.2, by: image}
  augment: [random_flip, {random_crop: {from_size: 128}}]
model:
  backbone: {name: mobilenet_v2, weights: imagenet}
  head: {name: arcface, margin: 0.3}
training:
  stages:
    - name: train
      epochs: 2
      optimizer: {name: sgd, learning_rate: 5e-4}
"""


def read(tmp_path: Path, text: str, *overrides: str):
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path, REGISTRIES, overrides)


def lines_of(tmp_path: Path, text: str, *overrides: str) -> list[str]:
    with pytest.raises(InputError, match=r"recipe\.yaml") as caught:
        read(tmp_path, text, *overrides)
    return [line.partition("recipe.yaml: ")[2] for line in str(caught.value).split("\n")]


class TestGoodRecipes:
    def test_options_and_defaults(self, tmp_path):
        recipe = read(tmp_path, GOOD)
        assert recipe.data.train.options == {"path": Path("faces")}
        assert recipe.data.image_size == (112, 112)
        assert [part.name for part in recipe.data.augment] == ["random_flip", "random_crop"]
        assert recipe.data.augment[1].options == {"from_size": 128}
        assert recipe.model.backbone.weights == "imagenet"
        assert recipe.model.backbone.options == {"alpha": 1.0}
        assert recipe.model.head.options["margin"] == 0.3
        assert recipe.model.head.options["scale"] == 64.0
        [stage] = recipe.training.stages
        assert stage.schedule.name == "constant"

    @pytest.mark.parametrize("number", ["5e-4", "5E-4", "5.e-4", ".5e-3", "0.0005", "5.0e-04"])
    def test_numbers_with_an_exponent_are_numbers(self, tmp_path, number):
        recipe = read(tmp_path, GOOD.replace("5e-4", number))
        assert recipe.training.stages[0].optimizer.options["learning_rate"] == 5e-4

    @pytest.mark.parametrize("number", ["010", "1:30", "1_0", "0x10", "0b1", "1e3"])
    def test_what_is_no_plain_whole_number_is_none(self, tmp_path, number):
        """YAML 1.1 reads the first three as 8, 90 and 10."""
        with pytest.raises(InputError, match=r"training\.seed: .* is not allowed"):
            read(tmp_path, GOOD, f"training.seed={number}")

    def test_numbers_with_underscores_are_texts(self, tmp_path):
        """YAML 1.1 reads 10.5 and 0.1; a folder may be called like that."""
        for number in ("1_0.5", ".1_0"):
            message = rf'learning_rate: "{number}" is not allowed; must be a valid number'
            with pytest.raises(InputError, match=message):
                read(tmp_path, GOOD.replace("5e-4", number))
        folder = "data.train={source: folder, path: 2026_01}"
        assert read(tmp_path, GOOD, folder).data.train.options["path"] == Path("2026_01")

    def test_resolved_dump_reads_back_to_the_same(self, tmp_path):
        recipe = read(tmp_path, GOOD, "data.image_size=[112, 96]")
        assert read(tmp_path, dump(recipe)) == recipe
        assert dump(read(tmp_path, dump(recipe))) == dump(recipe)

    @pytest.mark.parametrize(
        ("override", "place", "value"),
        [
            ("training.stages.0.epochs=7", ("training", "stages", 0, "epochs"), 7),
            ("training.seed=3", ("training", "seed"), 3),
            ("data.image_size=64", ("data", "image_size"), [64, 64]),
            ("model.head.margin=0", ("model", "head", "margin"), 0.0),
            (
                "training.stages.0.ema_momentum=0.99",
                ("training", "stages", 0, "ema_momentum"),
                0.99,
            ),
            (
                "training.stages.0.ema_momentum=none",
                ("training", "stages", 0, "ema_momentum"),
                None,
            ),
            (
                "training.stages.0.global_clipnorm=5",
                ("training", "stages", 0, "global_clipnorm"),
                5.0,
            ),
            (
                "training.stages.0.overfit_stop=none",
                ("training", "stages", 0, "overfit_stop"),
                None,
            ),
            ("model.embedding_size=none", ("model", "embedding_size"), None),
            ("data.validation=none", ("data", "validation"), None),
            ("data.samples_per_identity=4", ("data", "samples_per_identity"), 4),
            ("data.samples_per_identity=none", ("data", "samples_per_identity"), None),
            ("data.train=synthetic", ("data", "train", "num_identities"), 200),
            ("evaluation.verification=[a.bin]", ("evaluation", "verification"), ["a.bin"]),
            ("model.init_from=none", ("model", "init_from"), None),
            ("model.init_from=runs/a", ("model", "init_from"), {"path": "runs/a", "parts": "all"}),
        ],
    )
    def test_overrides(self, tmp_path, override, place, value):
        found = yaml.safe_load(dump(read(tmp_path, GOOD, override)))
        for key in place:
            found = found[key]
        assert found == value

    @pytest.mark.parametrize(
        ("override", "same"),
        [
            ("model.embedding_size=none", "model.embedding_size=null"),
            ("data.cache=none", "data.cache=null"),
            ("model.head.warm_start=none", "model.head.warm_start=null"),
            ("model.head.distance=none", "model.head.distance=null"),
        ],
    )
    def test_none_and_null_are_the_same(self, tmp_path, override, same):
        assert read(tmp_path, GOOD, override) == read(tmp_path, GOOD, same)

    def test_paths_and_pairs_of_options(self, tmp_path):
        options = read(tmp_path, GOOD, "model.head.bounds=[1, 2]").model.head.options
        assert options["bounds"] == (1.0, 2.0)
        assert read(tmp_path, GOOD).data.train.options["path"] == Path("faces")

    def test_a_date_is_text(self, tmp_path):
        stage = read(tmp_path, GOOD, "training.stages.0.name=2026-01-31").training.stages[0]
        assert stage.name == "2026-01-31"

    def test_what_a_run_starts_from(self, tmp_path):
        overrides = ["model.init_from=runs/a", "model.init_from.parts=backbone"]
        start = read(tmp_path, GOOD, *overrides).model.init_from
        assert (start.path, start.parts) == (Path("runs/a"), "backbone")

    def test_an_override_opens_a_short_form(self, tmp_path):
        text = GOOD.replace("{name: arcface, margin: 0.3}", "arcface")
        recipe = read(tmp_path, text, "model.head.margin=0.2")
        assert recipe.model.head.options["margin"] == 0.2
        overrides = ["data.augment=[random_flip, random_crop]", "data.augment.1.from_size=64"]
        recipe = read(tmp_path, GOOD, *overrides)
        assert recipe.data.augment[1].options["from_size"] == 64
        overrides = ["data.train=synthetic", "data.train.num_identities=5"]
        recipe = read(tmp_path, GOOD, *overrides)
        assert recipe.data.train.options["num_identities"] == 5


class TestMistakes:
    @pytest.mark.parametrize(
        ("old", "new", "line"),
        [
            ("head:", "hed:", "model.hed: unknown key; did you mean 'head'?"),
            ("margin", "margn", "model.head.margn: unknown key; did you mean 'margin'?"),
            (
                "epochs: 2",
                "num_epochs: 2",
                "training.stages.0.num_epochs: unknown key; did you mean 'epochs'?",
            ),
            (
                "learning_rate:",
                "lr:",
                "training.stages.0.optimizer.lr: unknown key; did you mean 'learning_rate'?",
            ),
            ("epochs: 2", "epochs: 0", "training.stages.0.epochs: 0 is not allowed"),
            ("epochs: 2", 'epochs: "2"', 'training.stages.0.epochs: "2" is not allowed; must be a'),
            ("epochs: 2", "epochs: true", "training.stages.0.epochs: true is not allowed"),
            ("5e-4", "fast", 'training.stages.0.optimizer.learning_rate: "fast" is not allowed'),
            ("5e-4", "-1", "training.stages.0.optimizer.learning_rate: -1 is not allowed"),
            ("0.2", "1.5", "data.validation.fraction: 1.5 is not allowed; must be less than 1"),
            ("by: image", "by: photo", 'data.validation.by: "photo" is not allowed'),
            ("arcface", "arcfase", "model.head: unknown head 'arcfase'; did you mean 'arcface'?"),
            ("mobilenet_v2", "mobilenetv2", "model.backbone: unknown backbone 'mobilenetv2'; did"),
            (", path: faces", "", "data.train.path: missing; it must be given"),
            ("from_size: 128", "from_size: 8", "data.augment.1.from_size: 8 is not allowed"),
            (
                "[random_flip, ",
                "random_flip # [",
                'data.augment: "random_flip" is not allowed; must be a list',
            ),
            (
                "data:",
                "evaluation: {verification: lfw}\ndata:",
                'evaluation.verification: "lfw" is not',
            ),
            (
                "data:",
                "evaluation: lfw\ndata:",
                'evaluation: "lfw" is not allowed; must be a mapping',
            ),
            (
                "  augment",
                "  image_size: [64, 64, 64]\n  augment",
                "data.image_size: [64, 64, 64] is not allowed; must have at most 2 items",
            ),
            ("  augment", "  image_size: 16\n  augment", "data.image_size.0: 16 is not allowed"),
        ],
    )
    def test_each_is_one_line(self, tmp_path, old, new, line):
        found = lines_of(tmp_path, GOOD.replace(old, new, 1))
        assert any(each.startswith(line) for each in found), found

    @pytest.mark.parametrize(
        ("given", "line"),
        [
            ("3", "model.init_from: must be a path, {path: PATH, parts: PARTS}, or null"),
            ("{path: a, part: all}", "model.init_from.part: unknown key; did you mean 'parts'?"),
            ("{parts: all}", "model.init_from.path: missing; it must be given"),
            ("''", f"model.init_from.path: {EMPTY_PATH}"),
            ("{path: 3}", "model.init_from.path: 3 is not allowed; must be"),
            (
                "{path: a, parts: head}",
                'model.init_from.parts: "head" is not allowed; must be '
                "'backbone', 'embedder' or 'all'",
            ),
        ],
    )
    def test_what_a_run_starts_from(self, tmp_path, given, line):
        [found] = lines_of(tmp_path, GOOD, f"model.init_from={given}")
        assert found.startswith(line)

    def test_no_stages(self, tmp_path):
        assert lines_of(tmp_path, GOOD, "training.stages=[]") == [
            "training.stages: [] is not allowed; must have at least 1 item"
        ]

    def test_all_are_reported_together(self, tmp_path):
        text = GOOD.replace("epochs: 2", "epochs: 0").replace("margin", "margn")
        assert len(lines_of(tmp_path, text, "data.batch_size=0")) == 3

    def test_duplicate_keys_name_both_lines(self, tmp_path):
        text = "data:\n  batch_size: 1\n  batch_size: 2\nmodel: {}\n"
        assert lines_of(tmp_path, text) == [
            "data.batch_size: given twice, on lines 2 and 3; keep one"
        ]

    def test_duplicate_keys_in_an_override(self, tmp_path):
        override = "model.head={name: arcface, margin: 0.1, margin: 0.5}"
        with pytest.raises(InputError, match=r"^--set .*: margin: given twice; keep one$"):
            read(tmp_path, GOOD, override)

    def test_broken_yaml_names_line_and_column(self, tmp_path):
        [line] = lines_of(tmp_path, "data:\n  train: [folder\nmodel: 1\n")
        assert line.startswith("line 3, column 6: not valid YAML: ")

    @pytest.mark.parametrize("key", ["{{name: arcface}}", "{[a, b]: 1}", "{? {a: b} : 1}"])
    def test_keys_that_are_no_words(self, tmp_path, key):
        [line] = lines_of(tmp_path, f"model: {{head: {key}}}\n")
        assert "not valid YAML: found unhashable key" in line

    def test_aliases_are_refused(self, tmp_path):
        """They are how a small file becomes a huge one."""
        assert "aliases" in lines_of(tmp_path, "a: &a [x, x]\nb: [*a, *a]\n")[0]

    def test_early_stopping_on_something_that_is_not_measured(self, tmp_path):
        stopping = "early_stopping: {monitor: val_verification_auc, patience: 2}"
        text = GOOD.replace("epochs: 2", f"epochs: 2\n      {stopping}")
        [line] = lines_of(tmp_path, text)
        assert line.startswith(
            "training.stages.0.early_stopping.monitor: 'val_verification_auc' is"
        )
        assert line.endswith("measured are: loss, val_loss, val_accuracy")
        by_identity = text.replace("by: image", "by: identity")
        assert read(tmp_path, by_identity).training.stages[0].early_stopping.patience == 2

    @pytest.mark.parametrize("validation", ["none", "{fraction: 0.2, by: identity}"])
    def test_a_gap_without_validation_accuracy(self, tmp_path, validation):
        gap = "training.stages.0.overfit_stop={max_gap: 0.1}"
        assert read(tmp_path, GOOD, gap).training.stages[0].overfit_stop.max_gap == 0.1
        [line] = lines_of(tmp_path, GOOD, gap, f"data.validation={validation}")
        assert line == (
            "training.stages.0.overfit_stop: validation accuracy is not measured with this "
            "data.validation; validate by image or with a source"
        )

    @pytest.mark.parametrize(
        ("overrides", "line"),
        [
            (
                {"training.stages.0.freeze": "none", "data.num_cached_augmentations": "2"},
                "data.cache: features stay the same only while the backbone is frozen",
            ),
            ({}, "data.cache: augmented images have other features in each epoch; give the"),
            (
                {"data.augment": "[]", "data.num_cached_augmentations": "2"},
                "data.num_cached_augmentations: all epochs are the same without data.augment",
            ),
            (
                {"data.cache": "memory", "data.num_cached_augmentations": "2"},
                "data.num_cached_augmentations: needs data.cache: features; leave it out",
            ),
        ],
    )
    def test_features_that_can_not_be_cached(self, tmp_path, overrides, line):
        given = {"data.cache": "features", "training.stages.0.freeze": "backbone"} | overrides
        [found] = lines_of(tmp_path, GOOD, *(f"{key}={value}" for key, value in given.items()))
        assert found.startswith(line)

    def test_augmentation_that_no_step_can_do(self, tmp_path):
        several = "training.distribution.mode=data_parallel"
        [line] = lines_of(tmp_path, GOOD, "data.augment_on=device", several)
        assert line.startswith("data.augment_on: device is for a run on one device")

    def test_regularizing_an_embedding_layer_that_is_not_there(self, tmp_path):
        given = ["model.neck.embedding_l2=5e-4", "model.embedding_size=none"]
        [line] = lines_of(tmp_path, GOOD, *given)
        assert line.startswith("model.neck.embedding_l2: with model.embedding_size: null there is")

    def test_parts_that_do_not_fit_are_reported_together(self, tmp_path):
        gap = "training.stages.0.overfit_stop={max_gap: 0.1}"
        overrides = [gap, "data.validation=none", "data.cache=features", "data.augment=[]"]
        assert len(lines_of(tmp_path, GOOD, *overrides)) == 2

    def test_stages_need_names_of_their_own(self, tmp_path):
        stage = GOOD[GOOD.index("    - name: train") :]
        assert "two stages have the same name" in lines_of(tmp_path, GOOD + stage)[0]

    def test_batches_are_whole(self, tmp_path):
        [line] = lines_of(tmp_path, GOOD, "data.samples_per_identity=3")
        assert line == "data: batch_size 128 can't be divided by samples_per_identity 3"

    def test_warm_up_longer_than_the_stage(self, tmp_path):
        [line] = lines_of(tmp_path, GOOD, "training.stages.0.lr_warmup_epochs=3")
        assert line.startswith("training.stages.0: lr_warmup_epochs is 3, more than the 2 epochs")

    @pytest.mark.parametrize(
        ("override", "reason"),
        [
            ("training.seed", "must be PLACE=VALUE"),
            ("=3", "must be PLACE=VALUE"),
            ("training.stages.4.epochs=1", "'4' is not a position in training.stages"),
            ("training.stages.\u00b2.epochs=1", "'\u00b2' is not a position in training.stages"),
            ("training.stages.a.epochs=1", "'a' is not a position in training.stages"),
            ("model.head=[", "the value is not valid YAML"),
        ],
    )
    def test_overrides_that_can_not_be_applied(self, tmp_path, override, reason):
        with pytest.raises(InputError, match=reason):
            read(tmp_path, GOOD, override)

    def test_no_such_file(self, tmp_path):
        with pytest.raises(InputError, match=r"nowhere\.yaml: no such recipe file"):
            load(tmp_path / "nowhere.yaml", REGISTRIES)

    def test_too_large_a_file(self, tmp_path):
        with pytest.raises(InputError, match="not a recipe"):
            read(tmp_path, "#" * (2 << 20))


@examples(300)
@hypothesis.given(
    strategies.lists(
        strategies.tuples(strategies.integers(0, len(GOOD) - 1), strategies.text(max_size=3)),
        min_size=1,
        max_size=3,
    )
)
def test_damaged_recipes_are_refused_or_read(damage):
    """Whatever characters are changed to: a recipe or an InputError, nothing else."""
    text = list(GOOD)
    for place, characters in damage:
        text[place] = characters
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recipe.yaml"
        path.write_bytes("".join(text).encode("utf-8", "surrogatepass"))
        try:
            found = load(path, REGISTRIES).training.stages
        except InputError as error:
            found = str(error).startswith(str(path))
        assert found


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (".".join("a" * 3000) + "=1", "nested more than 32 deep$"),
        ("about.notes=" + "[" * 3000 + "]" * 3000, "line 1: nested more than 32 deep$"),
        ("about.notes=&a [*a]", r"aliases \(\*a\) are not allowed"),
        ('data.train="a\\0b"', "data.train.* with a character that no file's name can hold$"),
        ("data.train=" + "a" * 300, "data.train: a name of more than 255 characters$"),
        ("data.train=" + "a" * 5000, "a text of 5,000 characters; at most 4,096"),
        ('about.notes="a\\x1b[2J"', r"about\.notes: 'a\?\[2J' holds control characters"),
        ("training.seed=" + "9" * 5000, "a value that can't be read: Exceeds the limit"),
        ("training.stages.0.epochs=" + "9" * 22, r"epochs: a number of more than 64 bits$"),
        ("training.seed=-" + "9" * 22, r"training\.seed: a number of more than 64 bits$"),
        ("training.stages." + "9" * 5000 + ".epochs=1", "is not a position in training.stages"),
        ("about.notes=!!python/object/apply:os.system [x]", "could not determine a constructor"),
        ("a\x1b[2J.b=1", r"a\?\[2J"),
    ],
)
def test_hostile_overrides(tmp_path, override, message):
    path = tmp_path / "recipe.yaml"
    path.write_text(GOOD, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        load(path, REGISTRIES, [override])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[" * 100_000, "line 1: nested more than 32 deep$"),
        ("data: 1\n" * 20_000, "larger than 131,072 bytes; not a recipe$"),
        ("\n".join(f"k{i}: 1" for i in range(500)), "and 453 more mistakes$"),
        ("about: {notes: !!timestamp 2020-99-99}", "a value that can't be read: month"),
    ],
)
def test_hostile_files(tmp_path, content, message):
    path = tmp_path / "recipe.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        load(path, REGISTRIES)
