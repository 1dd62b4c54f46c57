"""Starting a run from what another one has learned: `model.init_from` of a recipe.

The backbone is matched layer by layer. So is the neck, from its beginning on: what lies behind a
layer that starts anew does so as well. What a head has for each identity is matched by the
identities' names, and only behind a neck that is the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import ops

from tfface import recipe as recipes
from tfface.backbones.normalization import fold_rescaling, use_weights
from tfface.backbones.weights.keras_file import load_keras_file
from tfface.errors import InputError
from tfface.evaluation.class_names import read_class_names
from tfface.heads import HEADS, Head
from tfface.heads.head_file import load_head
from tfface.paths import expanded
from tfface.recipe.schema import Model as ModelRecipe
from tfface.training.class_center_transfer import Learned, fill_identities, misfit, of_identities
from tfface.training.registries import TABLES
from tfface.training.run_folder import RunFolder
from tfface.training.weight_transfer import (
    Arrays,
    count_weights,
    fill,
    fitting,
    fitting_from_the_beginning,
    parts_of,
)

# Of layers that are told to the user.
_MOST_NAMED = 3


@dataclass(frozen=True)
class Init:
    """What another run has learned, read and not yet used; as large as its model.

    Attributes:
        recipe: the `model` section that says `init_from`.
        path: the run folder or file.
        backbone, neck: their weights there.
        head: what the head there has for each identity; None where that isn't asked for, or
            nothing.
        without_head: why it is nothing.
    """

    recipe: ModelRecipe
    path: Path
    backbone: Arrays
    neck: Arrays
    head: Learned | None = None
    without_head: str = ""

    def fill(
        self, embedder: keras.Model, head: Head | None = None, identities: Sequence[str] = ()
    ) -> str:
        """Fills a model with what fits it.

        Args:
            embedder: as `build_embedder` makes it.
            head: built; None where there is only an embedder.
            identities: the head's; position = label.
        Returns: a line on what was filled, and one for each part of which something was skipped.
        Raises InputError: nothing of the backbone fits.
        """
        parts = self.recipe.init_from.parts
        filled, skipped, neck_anew = self._fill_embedder(embedder, with_neck=parts != "backbone")
        if parts == "all" and head is not None:
            of_head, left_out = self._fill_head(head, identities, neck_anew)
            filled += f"; {of_head}" if of_head else ""
            skipped += left_out
        weights = self.recipe.backbone.weights
        instead = f" in place of weights: {weights}" if weights != "none" else ""
        first = f"init_from {self.recipe.init_from.path}{instead}: {filled}"
        return "\n".join([first, *(f"skipped: {line}" for line in skipped)])

    def _fill_embedder(
        self, embedder: keras.Model, *, with_neck: bool
    ) -> tuple[str, list[str], bool]:
        """Returns what was filled, what wasn't in lines, and whether some of the neck wasn't."""
        backbone, neck = parts_of(embedder)
        layers, misfits = fitting(backbone, self.backbone)
        if not any(backbone[layer] for layer in layers):
            raise InputError(f"model.init_from: {self._of_another_backbone(misfits[0])}")
        fill(backbone, self.backbone, layers)
        use_weights(embedder)
        filled = f"{count_weights(backbone, layers)} weights of the backbone"
        skipped = _some(misfits)
        if not with_neck:
            return filled, skipped, True
        layers, reason = fitting_from_the_beginning(neck, self.neck)
        fill(neck, self.neck, layers)
        if neck:
            filled += f", {count_weights(neck, layers)} of the neck"
        return filled, [*skipped, reason] if reason else skipped, bool(reason)

    def _fill_head(
        self, head: Head, identities: Sequence[str], neck_anew: bool
    ) -> tuple[str, list[str]]:
        """Returns what was filled, or "", and what wasn't in lines."""
        here = of_identities(head)
        if here is None:
            return "", [f"the head: {_name_of(head)} has nothing for each identity"]
        reason = self.without_head if self.head is None else misfit(here, self.head)
        if not reason and neck_anew:
            reason = "the neck before the head starts anew"
        if reason:
            return "", [f"{here.kind}: {reason}"]
        return fill_identities(here, identities, self.head)

    def _of_another_backbone(self, misfit: str) -> str:
        here, there = self.recipe.backbone.name, _backbone_of(self.path)
        if there is None:
            layers = [layer for layer, weights in self.backbone.items() if weights]
            there = f"a network of {len(layers):,} layers ({', '.join(layers[:_MOST_NAMED])}, ...)"
        return (
            f"{self.path}: nothing of its backbone fits this one: it is {there} there and {here} "
            f"here ({misfit}); set model.backbone to what was trained there, with its options, or "
            f"give a run of {here}"
        )


def read_init(recipe: ModelRecipe, data_dir: Path) -> Init | None:
    """Reads what a recipe's `init_from` names; None where it names nothing.

    No code of the files is run. To be called where no distribution is in force, whose devices
    would all hold it.

    Args:
        recipe: a recipe's `model` section.
        data_dir: where its relative paths start.
    Raises InputError: it is neither a finished run nor a `.keras` file, or is damaged.
    """
    if recipe.init_from is None:
        return None
    try:
        return _read(recipe, data_dir / expanded(recipe.init_from.path))
    except InputError as error:
        raise InputError(f"model.init_from: {error}") from error


def _read(recipe: ModelRecipe, path: Path) -> Init:
    run = RunFolder(path) if path.is_dir() else None
    model = load_keras_file(_embedder_file(path, run))
    # The backbone here is never built for published weights, as that of there may have been.
    folded = fold_rescaling(model)
    backbone, neck = (
        {
            layer: {name: ops.convert_to_numpy(variable) for name, variable in weights.items()}
            for layer, weights in part.items()
        }
        for part in parts_of(model, without=folded)
    )
    head, without_head = None, ""
    if recipe.init_from.parts == "all":
        head, without_head = _read_head(run)
    return Init(recipe, path, backbone, neck, head, without_head)


def _embedder_file(path: Path, run: RunFolder | None) -> Path:
    if run is not None:
        if run.model.is_file():
            return run.model
        raise InputError(
            f"{path}: holds no {run.model.name}, so it is no finished run; give the folder of "
            "one, or a .keras file"
        )
    if not path.is_file():
        raise InputError(
            f"{path}: no such run folder or .keras file; a relative path starts at --data-dir"
        )
    if path.suffix.lower() != ".keras":
        raise InputError(f"{path}: must be a run folder or a .keras file")
    return path


def _read_head(run: RunFolder | None) -> tuple[Learned | None, str]:
    """Returns what the head of a run has for each identity, or None and why it's nothing."""
    if run is None:
        return None, "a .keras file has none, a run folder does"
    if not run.head.is_file():
        return None, f"there is no {run.head.name}"
    head, num_identities, _ = load_head(run.head)
    found = of_identities(head)
    if found is None:
        return None, f"the head there, {_name_of(head)}, has none"
    names = read_class_names(run.identities, distinct=False)
    if len(names) != num_identities:
        raise InputError(
            f"{run.path}: {run.identities.name} names {len(names):,} identities, and "
            f"{run.head.name} tells {num_identities:,} apart: they are not of one run"
        )
    arrays = [np.moveaxis(ops.convert_to_numpy(w), axis, 0) for w, axis in found.weights]
    return Learned(found.kind, names, arrays, found.num_rows), ""


def _name_of(head: Head) -> str:
    return next(name for name, kind in HEADS.items() if type(head) is kind)


def _backbone_of(path: Path) -> str | None:
    """Returns what a run's backbone is called, if its recipe is there and can be read."""
    try:
        return recipes.load(RunFolder(path).recipe, TABLES).model.backbone.name
    except InputError:
        return None


def _some(misfits: Sequence[str]) -> list[str]:
    """Returns in a line why layers of the backbone don't fit; no line where all do."""
    if not misfits:
        return []
    named = "; ".join(misfits[:_MOST_NAMED])
    more = f"; and {len(misfits) - _MOST_NAMED:,} more" if len(misfits) > _MOST_NAMED else ""
    return [f"layers of the backbone: {named}{more}"]
