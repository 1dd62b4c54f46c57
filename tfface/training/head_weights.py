"""Class weights of a head that another project has trained (`model.head.weights`).

The file has one row or column for each of its classes, and a second file names them: rows are
matched by the names of identities, as those of another run are.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfface.backbones.weights.array_files import StoredArray
from tfface.backbones.weights.file_readers import reader_of
from tfface.backbones.weights.torch_file import read_torch_file
from tfface.errors import InputError, shown
from tfface.evaluation.classifier import read_class_names
from tfface.heads import Head, MarginSoftmax
from tfface.heads.linear import SoftmaxHead
from tfface.paths import expanded, not_there
from tfface.recipe.schema import HeadConfig
from tfface.training.class_weights import (
    TrainedClassWeights,
    class_weights,
    transfer_class_weights,
)
from tfface.training.distribution import fetch

_PLACE = "model.head.weights"
# Of names in a message.
_MOST_NAMED = 4

Arrays = Mapping[str, StoredArray]


@dataclass(frozen=True)
class HeadWeights:
    """The files of class weights, opened.

    Attributes:
        path: as the recipe gives it.
        names: of the classes; position = row.
        parts: the arrays of each file, in the order of the classes.
        array: the name of the array that is meant; None for the only one that fits.
    """

    path: Path
    names: Sequence[str]
    parts: Sequence[Arrays]
    array: str | None = None

    def fill(self, head: Head, identities: Sequence[str]) -> str:
        """Transfers the rows of the identities that the file knows.

        Args:
            head: built.
            identities: of the head; position = label.

        Returns:
            A line on what was transferred, and one on what was skipped, if anything was.

        Raises:
            InputError: the file has nothing for this head, or for none of its identities.
        """
        target = class_weights(head)
        if target is None or not isinstance(head, MarginSoftmax | SoftmaxHead):
            raise InputError(f"{_PLACE}: only a softmax, or a head with class centers, has them")
        if target.num_rows > 1:
            raise InputError(
                f"{_PLACE}: the head has {target.num_rows} centers of each identity, and a file one"
            )
        if not set(identities) & set(self.names):
            raise InputError(
                f"{_PLACE}: {self.path}: none of the {len(identities):,} identities is among its "
                f"{len(self.names):,} classes: it has {_listed(self.names)}, and the training data "
                f"{_listed(identities)}"
            )
        kernel, axis = target.weights[0]
        name, is_transposed = self._find(int(kernel.shape[1 - axis]))
        try:
            rows = np.concatenate(
                [part[name].load().T if is_transposed else part[name].load() for part in self.parts]
            )
            bias = self._bias(name)
        except InputError as error:
            raise _of_head(error) from error
        if not np.isfinite(rows).all():
            raise InputError(f"{_PLACE}: {self.path}: {shown(name)} has values that are no numbers")
        arrays = [rows, bias]
        if isinstance(head, MarginSoftmax):
            # Norms set how fast centers turn at a learning rate: that of new ones is for all.
            norms = np.linalg.norm(rows, axis=1, keepdims=True)
            fresh = fetch(kernel)[: len(identities)]
            rows *= np.linalg.norm(fresh, axis=1).mean() / np.maximum(norms, 1e-12)
            arrays = [rows]
        source = TrainedClassWeights(target.kind, self.names, arrays)
        words, skipped = transfer_class_weights(target, identities, source)
        lines = [f"head weights: {words}, of {shown(name)} of {self.path.name}"]
        return "\n".join([*lines, *(f"skipped: {line}" for line in skipped)])

    def _find(self, size: int) -> tuple[str, bool]:
        """Returns the name of the array, and whether its columns are the classes.

        Args:
            size: of an embedding.
        """
        names = [*self.parts[0]] if self.array is None else [self.array]
        found = []
        for name in names:
            shapes = [part[name].shape for part in self.parts if name in part]
            if len(shapes) == len(self.parts) and all(len(shape) == 2 for shape in shapes):
                # Of a square matrix, the name tells: PyTorch's layers have rows, a kernel columns.
                ways = (True, False) if name.endswith("kernel") else (False, True)
                fitting = (way for way in ways if self._fits(shapes, size, is_transposed=way))
                found += [(name, way) for way in fitting][:1]
        if len(found) == 1:
            return found[0]
        if found:
            several = _listed([name for name, _ in found])
            raise InputError(
                f"{_PLACE}: {self.path}: several arrays fit: {several}; name one by array"
            )
        has = [
            f"{name} {list(array.shape)}"
            for name, array in self.parts[0].items()
            if len(array.shape) == 2 and (self.array is None or name == self.array)
        ]
        if self.array is not None and self.array not in self.parts[0]:
            has = [f"no array {self.array}, but {_listed([*self.parts[0]], quoted=False)}"]
        files = f"the first of {len(self.parts)} files has " if len(self.parts) > 1 else "it has "
        raise InputError(
            f"{_PLACE}: {self.path}: no matrix of {len(self.names):,} classes, as class_names has, "
            f"and embeddings of {size}: {files}{_listed(has, quoted=False) or 'none'}"
        )

    def _fits(self, shapes: Sequence[tuple[int, ...]], size: int, *, is_transposed: bool) -> bool:
        classes = 1 if is_transposed else 0
        num_classes = sum(shape[classes] for shape in shapes)
        return num_classes == len(self.names) and all(s[1 - classes] == size for s in shapes)

    def _bias(self, name: str) -> np.ndarray:
        """Returns the bias of the same layer; zeros without one."""
        bias = f"{name.rpartition('.')[0]}.bias".removeprefix(".")
        found = [part[bias].load().ravel() for part in self.parts if bias in part]
        values = np.concatenate(found) if found else np.zeros(0, np.float32)
        return values if len(values) == len(self.names) else np.zeros(len(self.names), np.float32)


def read_head_weights(head: HeadConfig | None, data_dir: Path) -> HeadWeights | None:
    """Opens the class weights that a recipe's head starts from; None if it names none.

    Args:
        head: a recipe's `model.head`.
        data_dir: where its relative paths start.

    Raises:
        InputError: a file is missing or damaged, or of a kind without named arrays.
    """
    if head is None or head.weights is None:
        return None
    path = data_dir / expanded(head.weights.path)
    try:
        names = read_class_names(data_dir / expanded(head.weights.class_names), distinct=False)
        parts = [_read(file) for file in _files(path)]
    except InputError as error:
        raise _of_head(error) from error
    return HeadWeights(path, names, parts, head.weights.array)


def _files(path: Path) -> list[Path]:
    if path.is_file() or "*" not in path.name:
        return [path]
    found = [file for file in path.parent.glob(path.name) if file.is_file()]
    if not found:
        raise InputError(f"{path}: no such files")
    # rank_10 comes after rank_2.
    return sorted(found, key=lambda file: [int(n) for n in re.findall(r"\d{1,9}", file.name)])


def _read(path: Path) -> Arrays:
    if not path.is_file():
        raise InputError(not_there(path, "file"))
    reader = reader_of(path)
    if reader is None:
        raise InputError(
            f"{path}: must be a file of PyTorch, NumPy (.npz), safetensors or ONNX with the array"
        )
    # Heads stand beside the state dict of the model, in which the backbone is.
    return read_torch_file(path, everything=True) if reader is read_torch_file else reader(path)


def _of_head(error: InputError) -> InputError:
    """Returns the error with the place of these weights: readers know that of a backbone's."""
    return InputError(f"{_PLACE}: {str(error).removeprefix('model.backbone.weights: ')}")


def _listed(names: Sequence[str], *, quoted: bool = True) -> str:
    some = [f"'{shown(name)}'" if quoted else shown(name) for name in names[:_MOST_NAMED]]
    return ", ".join(some) + (", ..." if len(names) > _MOST_NAMED else "")
