"""Old names of recipe keys: they are read, with a warning, as the new ones."""

import re

import pytest

from tfface.errors import InputError
from tfface.heads import HEADS
from tfface.heads.head_file import load_head, save_head
from tfface.recipe import load, load_source
from tfface.recipe.reference import help_text
from tfface.recipe.renamed import RENAMED, Renames
from tfface.registry import options_schema
from tfface.training.registries import REGISTRIES

OLD = """
about: {data: Ask., synthetic: --set data.train=synthetic}
data:
  train: {source: split, of: {source: csv, path: faces.csv, images: faces}, part: train}
  validation: {source: split, path: more, part: validation, train_images: 2}
  images_per_identity: 4
model:
  backbone: plain_cnn
  neck: {pooling: average_7x7, hidden: [8]}
  head: {arcface: {warmup_epochs: 1, sampled_centers: 0.5}}
  pixels: raw
training:
  device: gpu
  stages:
    - name: first
      epochs: 3
      freeze: batch_norm
      optimizer: adam
      schedule: {cosine: {final_fraction: 0.1}}
      warmup_epochs: 2
      clip_norm: 5
      ema: 0.9
      end_on_gap: {threshold: 0.1}
"""
NEW = """
about: {notes: Ask., demo_overrides: --set data.train=synthetic}
data:
  train: {source: split, of: {source: csv, path: faces.csv, image_root: faces}, subset: train}
  validation: {source: split, path: more, subset: validation, shots: 2}
  samples_per_identity: 4
model:
  backbone: plain_cnn
  neck: {pooling: adaptive_average_7x7, hidden_units: [8]}
  head: {arcface: {margin_warmup_epochs: 1, sample_rate: 0.5}}
  input_normalization: raw
training:
  require_gpu: true
  stages:
    - name: first
      epochs: 3
      freeze: backbone_bn
      optimizer: adam
      schedule: {cosine: {min_lr_ratio: 0.1}}
      lr_warmup_epochs: 2
      global_clipnorm: 5
      ema_momentum: 0.9
      overfit_stop: {max_gap: 0.1}
"""


@pytest.fixture
def read(tmp_path):
    def _read(text, *overrides):
        path = tmp_path / "recipe.yaml"
        path.write_text(text, encoding="utf-8")
        return load(path, REGISTRIES, overrides)

    return _read


def test_an_old_recipe_is_the_new_one(read, capsys):
    old = read(OLD)
    warning = capsys.readouterr().err
    assert re.search(
        r"^warning: .*recipe\.yaml: old names, .*: about\.data is now notes; ", warning
    )
    assert warning.endswith("and 15 more\n")
    assert old == read(NEW)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("old", RENAMED)
def test_the_new_name_is_known_and_the_old_one_is_not(old):
    section, _, key = old.partition("=")[0].rpartition(".")
    new, _, value = RENAMED[old].partition("=")
    if section in ("HEAD", "SOURCE") or section.endswith("schedule"):
        kind = f"{section.rpartition('.')[2].lower()}s"
        known = {
            name for one in REGISTRIES[kind].values() for name in options_schema(one).model_fields
        }
        assert new in known
        assert key not in known
        return
    row = help_text(REGISTRIES, f"{section}.{new}").replace("\n", " ")
    assert value in ("", "true", "false") or f"{value}," in row or f"{value} " in row
    if new != key:
        with pytest.raises(InputError, match="unknown key"):
            read_without_renames(f"{section}.{key}")


def read_without_renames(key: str) -> None:
    """Raises InputError: no section has the key."""
    section, _, name = key.rpartition(".")
    if f"{key}  (" not in help_text(REGISTRIES, section):
        raise InputError(f"{key}: unknown key {name}")


class TestOverrides:
    @pytest.mark.parametrize(
        ("override", "new"),
        [
            ("model.head.arcface.warmup_epochs=3", "model.head.arcface.margin_warmup_epochs=3"),
            (
                "model.head={arcface: {warmup_epochs: 3}}",
                "model.head={arcface: {margin_warmup_epochs: 3}}",
            ),
            (
                "training.stages.0.end_on_gap.threshold=0.2",
                "training.stages.0.overfit_stop.max_gap=0.2",
            ),
            ("training.stages.0.end_on_gap=none", "training.stages.0.overfit_stop=null"),
            ("training.stages.0.freeze=batch_norm", "training.stages.0.freeze=backbone_bn"),
            ("training.device=any", "training.require_gpu=false"),
            ("data.train.of.images=b", "data.train.of.image_root=b"),
            (
                "data.train={union: {of: [{source: kface, without_box: skip}, {csv: {}}]}}",
                "data.train={union: {of: [{source: kface, on_missing_box: skip}, {csv: {}}]}}",
            ),
            (
                "training.stages=[{name: a, epochs: 1, optimizer: sgd, ema: 0.5}]",
                "training.stages=[{name: a, epochs: 1, optimizer: sgd, ema_momentum: 0.5}]",
            ),
        ],
    )
    @pytest.mark.parametrize("text", [OLD, NEW], ids=["old", "new"])
    def test_old_names_replace_values_of_new_ones(self, read, text, override, new):
        assert read(text, override) == read(NEW, new)

    def test_they_are_named(self, read, capsys):
        read(NEW, "training.stages.0.ema=0.5")
        assert "training.stages.0.ema is now ema_momentum" in capsys.readouterr().err


def test_both_names_at_once_are_refused(read):
    with pytest.raises(
        InputError, match=r"model\.pixels: is the old name of input_normalization, wh"
    ):
        read(NEW.replace("  input_normalization: raw", "  input_normalization: raw\n  pixels: raw"))


def test_values_of_one_name_are_not_those_of_another(read):
    """Images of a synthetic identity are no samples of a batch, and a stage's ema is a stage's."""
    text = NEW.replace(
        "{source: split, of: {source: csv, path: faces.csv, image_root: faces}, subset: train}",
        "{source: synthetic, images_per_identity: 4}",
    )
    assert read(text).data.train.options["images_per_identity"] == 4
    with pytest.raises(InputError, match=r"model\.ema: unknown key"):
        read(NEW, "model.ema=0.5")
    with pytest.raises(InputError, match=r"training\.device: unknown key"):
        read(NEW, "training.device=tpu")


def test_a_source_of_a_tool(capsys):
    given = {"source": "csv", "path": "a.csv", "images": "b"}
    source = load_source(given, REGISTRIES["sources"], "--data")
    assert str(source.options["image_root"]) == "b"
    assert "warning: --data: old names, " in capsys.readouterr().err


def test_a_head_of_an_earlier_version(tmp_path):
    head = HEADS["adaface"](num_identities=3)
    head.build((None, 4))
    options = {"concentration": 0.5, "warmup_epochs": 0.0, "sampled_centers": 0.5}
    save_head(
        tmp_path / "head.npz",
        head,
        name="adaface",
        options=options,
        num_identities=3,
        embedding_size=4,
    )
    loaded = load_head(tmp_path / "head.npz").head
    assert (loaded.margin.h, loaded.centers.sample_rate) == (0.5, 0.5)


def test_help_of_an_old_name():
    assert "training.stages.N.ema_momentum" in help_text(REGISTRIES, "training.stages.0.ema")


def test_nothing_renamed_is_not_said(capsys):
    renames = Renames("a.yaml")
    assert renames.apply({"model": {"head": "arcface"}}) == {"model": {"head": "arcface"}}
    renames.warn()
    assert capsys.readouterr().err == ""
