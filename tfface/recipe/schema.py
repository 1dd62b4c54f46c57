"""What a recipe may say: its sections, their keys, types, ranges and defaults."""

import json
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pydantic
from pydantic import Field
from pydantic_core import PydanticCustomError

from tfface.recipe.errors import unknown
from tfface.recipe.validation import misfits
from tfface.recipe.yaml_file import SHORT_NAME
from tfface.registry import NAMED_PATH, STRICT, options_model


class Part(pydantic.BaseModel):
    """One entry of a table with its options.

    In YAML `name`, `{name: {option: value}}` and `{name: NAME, option: value}` are the same.
    """

    model_config = STRICT
    kind: ClassVar[str]
    key: ClassVar[str] = "name"
    name: str
    options: dict[str, Any] = {}

    @pydantic.model_validator(mode="before")
    @classmethod
    def _read_short_forms(cls, given: Any) -> Any:
        if isinstance(given, str):
            return {"name": given}
        if not isinstance(given, dict):
            raise PydanticCustomError("part", f"must be a name or {{{cls.key}: NAME, ...}}")
        if SHORT_NAME in given:
            given = {cls.key if key == SHORT_NAME else key: v for key, v in given.items()}
        if cls.key in given:
            own = cls._own_keys()
            return {
                "name": given[cls.key],
                **{key: value for key, value in given.items() if key in own},
                "options": {k: v for k, v in given.items() if k != cls.key and k not in own},
            }
        if len(given) == 1:
            [(name, options)] = given.items()
            if isinstance(options, dict) or options is None:
                return {"name": name, "options": options or {}}
        raise PydanticCustomError("part", f"needs '{cls.key}: NAME' and its options")

    @pydantic.model_validator(mode="after")
    def _check_options(self, info: pydantic.ValidationInfo) -> "Part":
        table = (info.context or {})[f"{self.kind}s"]
        if self.name not in table:
            raise PydanticCustomError(
                "unknown_part", unknown(f"{self.kind} '{self.name}'", self.name, table)
            )
        model = options_model(table[self.name])
        try:
            checked = model.model_validate_json(json.dumps(self.options, default=str))
        except pydantic.ValidationError as error:
            # Carried to `mistakes`, which knows where in the recipe this part stands.
            known = [self.key, *sorted(self._own_keys()), *model.model_fields]
            raise PydanticCustomError(
                "options", "has wrong options", {"error": error, "known": known}
            ) from error
        self.options.clear()
        self.options.update({key: getattr(checked, key) for key in model.model_fields})
        return self

    @classmethod
    def _own_keys(cls) -> set[str]:
        """Keys of the recipe's own that stand among the options (a backbone's weights)."""
        return set(cls.model_fields) - {"name", "options"}

    @pydantic.model_serializer
    def _write_long_form(self) -> dict[str, Any]:
        own = {key: getattr(self, key) for key in sorted(self._own_keys())}
        options = {key: str(v) if isinstance(v, Path) else v for key, v in self.options.items()}
        return {self.key: self.name, **own, **options}


class SourcePart(Part):
    kind = "source"
    key = "source"


class AugmentationPart(Part):
    kind = "augmentation"


class BackbonePart(Part):
    """weights: `imagenet` (downloaded by Keras), `none`, or the path of a weights file."""

    kind = "backbone"
    weights: str = "none"


class HeadPart(Part):
    kind = "head"


class OptimizerPart(Part):
    kind = "optimizer"


class SchedulePart(Part):
    kind = "schedule"


class Section(pydantic.BaseModel):
    model_config = STRICT


class About(Section):
    """Said to the user when the recipe's data is missing; read by nothing else."""

    data: str = ""
    synthetic: str = ""


class Validation(Section):
    """A share of the training data, by image or by identity, or images of its own source."""

    fraction: Annotated[float, Field(gt=0, lt=1)] | None = None
    by: Literal["image", "identity"] = "image"
    source: SourcePart | None = None

    @pydantic.model_validator(mode="before")
    @classmethod
    def _read(cls, given: Any) -> Any:
        if isinstance(given, str) or (isinstance(given, dict) and "source" in given):
            return {"source": given}
        return given

    @pydantic.model_validator(mode="after")
    def _check(self) -> "Validation":
        if (self.fraction is None) == (self.source is None):
            raise PydanticCustomError(
                "validation", "needs either 'fraction' (with 'by') or 'source', or 'none'"
            )
        return self

    @pydantic.model_serializer
    def _write(self) -> dict[str, Any]:
        if self.source is not None:
            return self.source.model_dump()
        return {"fraction": self.fraction, "by": self.by}


def _none_means_nothing(given: Any) -> Any:
    return None if given == "none" else given


def _square(given: Any) -> Any:
    """112 means 112 by 112."""
    if isinstance(given, int) and not isinstance(given, bool):
        return (given, given)
    return tuple(given) if isinstance(given, list) else given


# Widths of layers and images of a batch, far above what anybody has memory for.
_MOST = 65_536
Pixels = Annotated[int, Field(ge=32, le=2048)]
ImageSize = Annotated[tuple[Pixels, Pixels], pydantic.BeforeValidator(_square)]


class Data(Section):
    """exclude: a list of identities of `train` that are left out, as `identity_list` reads it.
    images_per_identity: batches hold so many images of each of their identities.
    augment_on: `host` augments beside the step before, `device` in the step.
    augmented_copies: epochs whose augmented images `cache: features` embeds, before they are used
    again.
    """

    train: SourcePart
    exclude: Annotated[Path | None, pydantic.BeforeValidator(_none_means_nothing), NAMED_PATH] = (
        None
    )
    validation: Annotated[Validation | None, pydantic.BeforeValidator(_none_means_nothing)] = None
    image_size: ImageSize = (112, 112)
    cache: Literal["none", "memory", "disk", "features"] = "none"
    # Each is compiled into one program with the others.
    augment: Annotated[list[AugmentationPart], Field(max_length=64)] = []
    augment_on: Literal["host", "device"] = "host"
    augmented_copies: Annotated[
        Annotated[int, Field(ge=1)] | None, pydantic.BeforeValidator(_none_means_nothing)
    ] = None
    batch_size: Annotated[int, Field(ge=1, le=_MOST)] = 128
    images_per_identity: Annotated[
        Annotated[int, Field(ge=1)] | None, pydantic.BeforeValidator(_none_means_nothing)
    ] = None

    @pydantic.model_validator(mode="after")
    def _batches_are_whole(self) -> "Data":
        if self.images_per_identity and self.batch_size % self.images_per_identity:
            raise PydanticCustomError(
                "validation",
                f"batch_size {self.batch_size} can't be divided by images_per_identity "
                f"{self.images_per_identity}",
            )
        return self


class Neck(Section):
    """What turns the backbone's feature map into the embedding, in the order of the fields.

    dropout: after each hidden layer, or after pooling where there is none.
    embedding_bias: of the embedding's dense layer; by default where no batch norm follows, which
        would take it out again.
    embedding_l2: L2 regularization of that layer's kernel: the sum of its squared weights times
        this is added to the training loss.
    """

    pooling: Literal["average", "max", "flatten", "average_7x7"] = "average"
    input_batch_norm: bool = False
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    hidden: Annotated[list[Annotated[int, Field(ge=1, le=_MOST)]], Field(max_length=16)] = []
    embedding_bias: bool | None = None
    embedding_l2: Annotated[float, Field(ge=0, lt=1)] = 0.0
    batch_norm: bool = False


class InitFrom(Section):
    """What another run has learned, to start from; in YAML also its path alone.

    path: a run folder, or a `.keras` file.
    parts: `all` is the embedder and, of a run folder, what its head has for each identity.
    """

    path: Annotated[Path, NAMED_PATH]
    parts: Literal["backbone", "embedder", "all"] = "all"

    @pydantic.model_validator(mode="before")
    @classmethod
    def _read(cls, given: Any) -> Any:
        if isinstance(given, str):
            return {"path": given}
        if not isinstance(given, dict):
            raise PydanticCustomError(
                "validation", "must be a path, {path: PATH, parts: PARTS}, or 'none'"
            )
        return {"path" if key == SHORT_NAME else key: value for key, value in given.items()}


class Model(Section):
    """embedding_size: width of the embedding; `none` takes what the neck gives as it is.
    pixels: the pixel contract, by default the backbone's own.
    init_from: with it, the backbone's `weights` are not loaded.
    """

    backbone: BackbonePart
    neck: Neck = Neck()
    embedding_size: Annotated[
        Annotated[int, Field(ge=1, le=_MOST)] | None, pydantic.BeforeValidator(_none_means_nothing)
    ] = 512
    head: HeadPart
    pixels: (
        Literal["minus_one_to_one", "facenet", "zero_to_one", "imagenet", "caffe", "raw"] | None
    ) = None
    init_from: Annotated[InitFrom | None, pydantic.BeforeValidator(_none_means_nothing)] = None


class EarlyStopping(Section):
    """Ends a stage after `patience` epochs without a better `monitor`; keeps the best weights."""

    patience: Annotated[int, Field(ge=1)]
    monitor: Literal[
        "loss", "val_loss", "val_accuracy", "val_verification_accuracy", "val_verification_auc"
    ]

    @property
    def lower_is_better(self) -> bool:
        return self.monitor.endswith("loss")


class EndOnGap(Section):
    """Ends a stage when training accuracy - validation accuracy is more than `threshold`; keeps the
    weights from before.
    """

    threshold: Annotated[float, Field(gt=0, lt=1)]


class Stage(Section):
    """freeze: `backbone` keeps the backbone as it is, its batch norms in inference mode;
    `batch_norm` does that to the backbone's batch norms only.
    clip_norm: the longest that the gradient of all weights together may be.
    ema: momentum of the exponential moving average of the weights that the stage is judged by and
    ends with.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]
    freeze: Literal["none", "backbone", "batch_norm"] = "none"
    epochs: Annotated[int, Field(ge=1)]
    optimizer: OptimizerPart
    schedule: SchedulePart
    warmup_epochs: Annotated[float, Field(ge=0)] = 0.0
    clip_norm: Annotated[
        Annotated[float, Field(gt=0)] | None, pydantic.BeforeValidator(_none_means_nothing)
    ] = None
    ema: Annotated[
        Annotated[float, Field(gt=0, lt=1)] | None, pydantic.BeforeValidator(_none_means_nothing)
    ] = None
    early_stopping: Annotated[
        EarlyStopping | None, pydantic.BeforeValidator(_none_means_nothing)
    ] = None
    end_on_gap: Annotated[EndOnGap | None, pydantic.BeforeValidator(_none_means_nothing)] = None

    @pydantic.model_validator(mode="before")
    @classmethod
    def _default_schedule(cls, given: Any) -> Any:
        return {"schedule": "constant", **given} if isinstance(given, dict) else given

    @pydantic.model_validator(mode="after")
    def _warmup_fits(self) -> "Stage":
        if self.warmup_epochs > self.epochs:
            raise PydanticCustomError(
                "warmup",
                f"warmup_epochs is {self.warmup_epochs:g}, more than the {self.epochs} epochs "
                "of the stage",
            )
        return self


class Distribution(Section):
    """Training on every device of every process, of which each takes its part of a batch.

    mode: `model_parallel` also divides the class centers among devices.
    model_devices: among how many, which must divide the number of all; by default all.
    """

    mode: Literal["data_parallel", "model_parallel"]
    model_devices: Annotated[
        Annotated[int, Field(ge=1)] | None, pydantic.BeforeValidator(_none_means_nothing)
    ] = None

    @pydantic.model_validator(mode="after")
    def _only_centers_are_divided(self) -> "Distribution":
        if self.model_devices is not None and self.mode != "model_parallel":
            raise PydanticCustomError(
                "distribution", "model_devices goes with mode: model_parallel; leave it out"
            )
        return self


class Checkpoints(Section):
    """When a run writes checkpoints, beside those after every epoch.

    every_steps: also after so many steps.
    every_minutes: also when the last one is so old; `none` for never.
    keep: how many are kept; an older one is gone on from where a newer one is damaged.
    """

    every_steps: Annotated[
        Annotated[int, Field(ge=1)] | None, pydantic.BeforeValidator(_none_means_nothing)
    ] = None
    every_minutes: Annotated[
        Annotated[float, Field(gt=0)] | None, pydantic.BeforeValidator(_none_means_nothing)
    ] = 10.0
    keep: Annotated[int, Field(ge=1)] = 2


class Training(Section):
    """device: `gpu` refuses to train where there is none.
    deterministic: use only operations whose result doesn't depend on the order in which an
    accelerator happens to add numbers; slower there.
    on_nonfinite: what to do when a loss or gradient is infinite or no number: `stop`; `skip` the
    step, as if its batch had not been; or `restore` the last checkpoint and leave the batch out.
    """

    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    device: Literal["any", "gpu"] = "any"
    deterministic: bool = False
    on_nonfinite: Literal["stop", "skip", "restore"] = "stop"
    checkpoints: Checkpoints = Checkpoints()
    distribution: Annotated[Distribution | None, pydantic.BeforeValidator(_none_means_nothing)] = (
        None
    )
    stages: Annotated[list[Stage], Field(min_length=1)]

    @pydantic.field_validator("stages")
    @classmethod
    def _names_differ(cls, stages: list[Stage]) -> list[Stage]:
        names = [stage.name for stage in stages]
        if len(set(names)) < len(names):
            raise PydanticCustomError("names", f"two stages have the same name: {names}")
        return stages


class Evaluation(Section):
    """classification: images of identities that are trained on.
    verification: pairs arguments as `eval_verification.py --pairs` takes them.
    """

    classification: Annotated[SourcePart | None, pydantic.BeforeValidator(_none_means_nothing)] = (
        None
    )
    verification: list[str] = []


class Recipe(Section):
    about: About = About()
    data: Data
    model: Model
    training: Training
    evaluation: Evaluation = Evaluation()

    @pydantic.model_validator(mode="after")
    def _parts_fit_together(self) -> "Recipe":
        lines = [*misfits(self)]
        if lines:
            raise PydanticCustomError("recipe", "{lines}", {"lines": lines})
        return self
