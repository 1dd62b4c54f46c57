"""Warm start: initializing a run with the weights of another one (`model.init_from`).

The backbone is matched layer by layer, by name and by the shapes of its weights. So is the neck, up
to its first layer that does not match. The class weights of a head are matched by the identities'
names, and only if the whole neck matches. A layer is transferred whole or not at all.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import keras
import numpy as np
from keras import ops

from tfface import recipe as recipes
from tfface.backbones.normalization import fold_rescaling, use_weights
from tfface.backbones.weights.file_readers import check_trainable
from tfface.backbones.weights.keras_file import load_keras_file
from tfface.errors import InputError, shown
from tfface.evaluation.classifier import read_class_names
from tfface.heads import HEADS, Head
from tfface.heads.head_file import load_head
from tfface.paths import expanded
from tfface.recipe.schema import ModelConfig
from tfface.training.class_weights import (
    TrainedClassWeights,
    class_weights,
    mismatch_reason,
    transfer_class_weights,
)
from tfface.training.distribution import put
from tfface.training.registries import REGISTRIES
from tfface.training.run_folder import RunFolder

_BACKBONE = "backbone"
# Of layers in a message.
_MOST_NAMED = 3

# Layer -> weight -> variable of the target, or value of the source.
Variables = Mapping[str, Mapping[str, keras.Variable]]
Arrays = Mapping[str, Mapping[str, np.ndarray]]


def backbone_and_neck(
    model: keras.Layer, *, without: Sequence[keras.Layer] = ()
) -> tuple[Variables, Variables]:
    """Returns the layers of an embedder's backbone, and those of its neck that have weights.

    A model that has no backbone in it is taken for one.

    Args:
        without: layers that are left out.
    """
    layers = _layers_in(model)
    backbone = next((layer for layer in layers if layer.name == _BACKBONE), None)
    if backbone is None:
        return _by_name(_others(layers, without)), {}
    neck = [layer for layer in layers if layer is not backbone and layer.weights]
    return _by_name(_others(_layers_in(backbone), without)), _by_name(neck)


def matching_layers(target: Variables, source: Arrays) -> tuple[list[str], list[str]]:
    """Returns the layers that match, and for all others of target and source why they don't.

    Layers without weights count as well: without one of them it is another network.
    """
    reasons = {layer: _mismatch(layer, target, source) for layer in target}
    found = [layer for layer, reason in reasons.items() if not reason]
    mismatches = [reason for reason in reasons.values() if reason]
    return found, [
        *mismatches,
        *(f"{layer} isn't in this model" for layer in source if layer not in target),
    ]


def matching_prefix(target: Variables, source: Arrays) -> tuple[list[str], str]:
    """Returns the layers that match before the first that doesn't, and why that doesn't, or ""."""
    found: list[str] = []
    for layer, other in zip_longest(target, source):
        if layer is None:
            return found, f"{other} isn't in this model"
        reason = _mismatch(layer, target, source)
        if not reason and layer != other:
            reason = f"{other} comes before {layer} in the source"
        if reason:
            behind = list(target)[len(found) + 1 :]
            if behind:
                verb = "starts" if len(behind) == 1 else "start"
                reason += f"; {', '.join(behind)} behind it {verb} with new weights"
            return found, reason
        found.append(layer)
    return found, ""


def assign_layers(target: Variables, source: Arrays, layers: Iterable[str]) -> None:
    """Assigns the source's weights to layers that match."""
    for layer in layers:
        for weight, variable in target[layer].items():
            put(variable, source[layer][weight])


def count_weights(target: Variables, layers: Iterable[str]) -> str:
    """Returns how many weights these layers have, and of how many if there are more."""
    number = sum(len(target[layer]) for layer in layers)
    total = sum(map(len, target.values()))
    return f"{number:,}" if number == total else f"{number:,} of {total:,}"


def _mismatch(layer: str, target: Variables, source: Arrays) -> str:
    """Returns why a layer of the target doesn't match, or ""."""
    if layer not in source:
        return f"{layer} isn't in the source"
    target_weights, source_weights = target[layer], source[layer]
    for weight in {**target_weights, **source_weights}:
        if weight not in source_weights:
            return f"{layer}/{weight} isn't in the source"
        if weight not in target_weights:
            return f"{layer}/{weight} isn't in this model"
        if tuple(target_weights[weight].shape) != source_weights[weight].shape:
            sizes = _size(source_weights[weight].shape), _size(target_weights[weight].shape)
            return f"{layer}/{weight} is {sizes[0]} in the source and {sizes[1]} here"
    return ""


def _size(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "a number"


def _others(layers: Sequence[keras.Layer], without: Sequence[keras.Layer]) -> list[keras.Layer]:
    return [layer for layer in layers if not any(layer is other for other in without)]


def _layers_in(model: keras.Layer) -> list[keras.Layer]:
    return model.layers if isinstance(model, keras.Model) else [model]


def _by_name(layers: Sequence[keras.Layer]) -> Variables:
    return {
        shown(name): {
            _stable_name(layer, place): variable for place, variable in enumerate(layer.weights)
        }
        for name, layer in zip(_stable_names(layers), layers, strict=True)
    }


def _stable_name(layer: keras.Layer, place: int) -> str:
    """Returns the name of a layer's weight, which may be one of a layer in it."""
    name = layer.weights[place].path.rpartition(f"{layer.name}/")[2]
    # One without a name has from Keras how many variables the process had made before.
    return f"weight_{place}" if re.fullmatch(r"variable(_\d+)?", name) else shown(name)


def _stable_names(layers: Sequence[keras.Layer]) -> list[str]:
    """Returns the layers' names, the same in every process.

    In a name that Keras gave, such as `normalization_3`, the number is that of the layers of this
    kind that a process had made before.
    """
    numbered: dict[str, list[tuple[int, str]]] = {}
    for layer in layers:
        kind, number = re.fullmatch(r"(.*?)(?:_(\d{1,9}))?", layer.name, re.DOTALL).groups("0")
        if kind.replace("_", "") == type(layer).__name__.lower():
            numbered.setdefault(kind, []).append((int(number), layer.name))
    stable = {
        name: f"{kind}_{place}" if place else kind
        for kind, found in numbered.items()
        for place, (_, name) in enumerate(sorted(found))
    }
    return [stable.get(layer.name, layer.name) for layer in layers]


@dataclass(frozen=True)
class WarmStart:
    """The weights of another run, in memory.

    Attributes:
        recipe: the `model` section with `init_from`.
        path: the run folder or file.
        backbone, neck: their weights.
        head: class weights of the head; None if the recipe doesn't ask for them, or there are none.
        without_head: why there are none.
    """

    recipe: ModelConfig
    path: Path
    backbone: Arrays
    neck: Arrays
    head: TrainedClassWeights | None = None
    without_head: str = ""

    def fill(
        self, embedder: keras.Model, head: Head | None = None, identities: Sequence[str] = ()
    ) -> str:
        """Transfers what matches to a model.

        Args:
            embedder: as `build_embedder` makes it.
            head: built; None if there is only an embedder.
            identities: the head's; position = label.

        Returns:
            A line on what was transferred, and one for each part of which something was skipped.

        Raises:
            InputError: no layer of the backbone matches.
        """
        parts = self.recipe.init_from.parts
        filled, skipped, neck_differs = self._transfer_embedder(
            embedder, with_neck=parts != "backbone"
        )
        if parts == "all" and head is not None:
            of_head, left_out = self._transfer_head(head, identities, neck_differs)
            filled += f"; {of_head}" if of_head else ""
            skipped += left_out
        weights = self.recipe.backbone.weights
        instead = f" in place of weights: {weights}" if weights != "none" else ""
        first = f"init_from {self.recipe.init_from.path}{instead}: {filled}"
        return "\n".join([first, *(f"skipped: {line}" for line in skipped)])

    def _transfer_embedder(
        self, embedder: keras.Model, *, with_neck: bool
    ) -> tuple[str, list[str], bool]:
        """Returns what was filled, what wasn't in lines, and whether some of the neck wasn't."""
        backbone, neck = backbone_and_neck(embedder)
        layers, mismatches = matching_layers(backbone, self.backbone)
        if not any(backbone[layer] for layer in layers):
            raise InputError(f"model.init_from: {self._of_another_backbone(mismatches[0])}")
        assign_layers(backbone, self.backbone, layers)
        use_weights(embedder)
        filled = f"{count_weights(backbone, layers)} weights of the backbone"
        skipped = _some(mismatches)
        if not with_neck:
            return filled, skipped, True
        layers, reason = matching_prefix(neck, self.neck)
        assign_layers(neck, self.neck, layers)
        if neck:
            filled += f", {count_weights(neck, layers)} of the neck"
        return filled, [*skipped, reason] if reason else skipped, bool(reason)

    def _transfer_head(
        self, head: Head, identities: Sequence[str], neck_differs: bool
    ) -> tuple[str, list[str]]:
        """Returns what was filled, or "", and what wasn't in lines."""
        target = class_weights(head)
        if target is None:
            return "", [f"the head: {_name_of(head)} has nothing for each identity"]
        reason = self.without_head if self.head is None else mismatch_reason(target, self.head)
        if not reason and neck_differs:
            reason = "the neck before the head was not transferred"
        if reason:
            return "", [f"{target.kind}: {reason}"]
        return transfer_class_weights(target, identities, self.head)

    def _of_another_backbone(self, misfit: str) -> str:
        target, source = self.recipe.backbone.name, _backbone_of(self.path)
        if source is None:
            layers = [layer for layer, weights in self.backbone.items() if weights]
            source = f"a network of {len(layers):,} layers ({', '.join(layers[:_MOST_NAMED])}, ...)"
        return (
            f"{self.path}: nothing of its backbone fits this one: it is {source} in the source and "
            f"{target} here ({misfit}); set model.backbone to what was trained there, with its "
            f"options, or give a run of {target}"
        )


def read_warm_start(recipe: ModelConfig, data_dir: Path) -> WarmStart | None:
    """Reads the weights that a recipe's `init_from` names; None if it names nothing.

    No code in the files is run. Call it outside of a distribution's scope, whose devices would all
    hold the weights.

    Args:
        recipe: a recipe's `model` section.
        data_dir: where its relative paths start.
    Raises InputError: it is neither a finished run nor a `.keras` file, or is damaged.
    """
    if recipe.init_from is None:
        return None
    path = data_dir / expanded(recipe.init_from.path)
    check_trainable(path, "model.init_from")
    try:
        return _read(recipe, path)
    except InputError as error:
        raise InputError(f"model.init_from: {error}") from error


def _read(recipe: ModelConfig, path: Path) -> WarmStart:
    run = RunFolder(path) if path.is_dir() else None
    model = load_keras_file(_embedder_file(path, run))
    # The backbone here is never built for published weights, as that of there may have been.
    folded = fold_rescaling(model)
    backbone, neck = (
        {
            layer: {name: ops.convert_to_numpy(variable) for name, variable in weights.items()}
            for layer, weights in part.items()
        }
        for part in backbone_and_neck(model, without=folded)
    )
    head, without_head = None, ""
    if recipe.init_from.parts == "all":
        head, without_head = _read_head(run)
    return WarmStart(recipe, path, backbone, neck, head, without_head)


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
        raise InputError(
            f"{path}: must be a run folder or a .keras file; weights in other formats are given as "
            "model.backbone.weights"
        )
    return path


def _read_head(run: RunFolder | None) -> tuple[TrainedClassWeights | None, str]:
    """Returns what the head of a run has for each identity, or None and why it's nothing."""
    if run is None:
        return None, "a .keras file has none, a run folder does"
    if not run.head.is_file():
        return None, f"the source has no {run.head.name}"
    head, num_identities, _ = load_head(run.head)
    found = class_weights(head)
    if found is None:
        return None, f"the head of the source, {_name_of(head)}, has none"
    names = read_class_names(run.identities, distinct=False)
    if len(names) != num_identities:
        raise InputError(
            f"{run.path}: {run.identities.name} names {len(names):,} identities, and "
            f"{run.head.name} tells {num_identities:,} apart: they are not of one run"
        )
    arrays = [np.moveaxis(ops.convert_to_numpy(w), axis, 0) for w, axis in found.weights]
    return TrainedClassWeights(found.kind, names, arrays, found.num_rows), ""


def _name_of(head: Head) -> str:
    return next(name for name, kind in HEADS.items() if type(head) is kind)


def _backbone_of(path: Path) -> str | None:
    """Returns what a run's backbone is called, if its recipe is there and can be read."""
    try:
        return recipes.load(RunFolder(path).recipe, REGISTRIES).model.backbone.name
    except InputError:
        return None


def _some(mismatches: Sequence[str]) -> list[str]:
    """Returns in a line why layers of the backbone don't fit; no line where all do."""
    if not mismatches:
        return []
    named = "; ".join(mismatches[:_MOST_NAMED])
    more = f"; and {len(mismatches) - _MOST_NAMED:,} more" if len(mismatches) > _MOST_NAMED else ""
    return [f"layers of the backbone: {named}{more}"]
