"""What a recipe may say: its sections, their keys, types, ranges and defaults.

The description of a key is the one place that says what it means: the reference page, the JSON
schema and `tfface train --help-recipe` are made from it.
"""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pydantic
from pydantic import BeforeValidator, Field, Strict
from pydantic_core import PydanticCustomError

from tfface.recipe.errors import unknown_message
from tfface.recipe.yaml_file import SHORT_NAME
from tfface.registry import STRICT, OrNone, WithNone, YamlPath, options_schema


class Config(pydantic.BaseModel):
    """A section of a recipe."""

    model_config = STRICT


class ComponentConfig(Config):
    """An entry of a registry with its options.

    In YAML `name`, `{name: {option: value}}` and `{name: NAME, option: value}` are the same. The
    registries are the context of the validation.
    """

    kind: ClassVar[str]
    key: ClassVar[str] = "name"
    name: str
    options: dict[str, Any] = {}

    @pydantic.model_validator(mode="before")
    @classmethod
    def _read(cls, given: Any, info: pydantic.ValidationInfo) -> Any:
        given = cls._long_form(given)
        name = given.pop(cls.key)
        registry = (info.context or {})[f"{cls.kind}s"]
        if not isinstance(name, str) or name not in registry:
            message = unknown_message(f"{cls.kind} '{name}'", str(name), registry)
            raise PydanticCustomError("message", "{text}", {"text": message})
        own = {key: given.pop(key) for key in cls.own_keys() if key in given}
        schema = options_schema(registry[name])
        try:
            options = schema.model_validate(given)
        except pydantic.ValidationError as error:
            # `format_validation_errors` knows where in the recipe this component stands.
            known = [cls.key, *cls.own_keys(), *schema.model_fields]
            raise PydanticCustomError("options", "", {"error": error, "known": known}) from error
        return {"name": name, **own, "options": dict(options)}

    @classmethod
    def _long_form(cls, given: Any) -> dict[str, Any]:
        """Returns `{name: NAME, option: value}`, as a copy."""
        if isinstance(given, str):
            return {cls.key: given}
        if not isinstance(given, dict):
            raise _error(f"must be a name or {{{cls.key}: NAME, ...}}")
        if SHORT_NAME in given:
            given = {cls.key if key == SHORT_NAME else key: v for key, v in given.items()}
        if cls.key in given:
            return dict(given)
        if len(given) == 1:
            [(name, options)] = given.items()
            if isinstance(options, dict) or options is None:
                return {**(options or {}), cls.key: name}
        raise _error(f"needs '{cls.key}: NAME' and its options")

    @classmethod
    def own_keys(cls) -> list[str]:
        """Keys of the recipe's own that stand among the options, such as a backbone's weights."""
        return sorted(set(cls.model_fields) - {"name", "options"})

    @pydantic.model_serializer
    def _write_long_form(self) -> dict[str, Any]:
        own = {key: getattr(self, key) for key in self.own_keys()}
        options = {key: str(v) if isinstance(v, Path) else v for key, v in self.options.items()}
        return {self.key: self.name, **own, **options}

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        # The registries are known only later: `reference.json_schema` fills this in.
        return {"component": cls.kind}


class SourceConfig(ComponentConfig):
    kind = "source"
    key = "source"


class AugmentationConfig(ComponentConfig):
    kind = "augmentation"


class BackboneConfig(ComponentConfig):
    kind = "backbone"
    weights: WithNone[str] = Field(
        "none",
        description="Starting weights: `imagenet` (downloaded), `none` (random), or the path of a "
        "weights file. Not used with `model.init_from`.",
    )


class HeadWeightsConfig(Config):
    """Class weights of a head that another project has trained."""

    path: YamlPath = Field(
        description="The file of weights: of PyTorch, NumPy, safetensors or ONNX. `*` in its name "
        "stands for the numbers of several files, of which each has the rows of some classes, such "
        "as `rank_*_softmax_weight.pt`."
    )
    class_names: YamlPath = Field(
        description="The names of its classes in the order of its rows: a text file with a name in "
        "each line, or a CSV file with the columns `label` and `name`."
    )
    array: str | None = Field(
        None,
        description="The name of the array, such as `head.kernel`; null takes the only one whose "
        "size is that of the classes and embeddings.",
    )

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        return handler.resolve_ref_schema(handler(core_schema))


class HeadConfig(ComponentConfig):
    kind = "head"
    weights: OrNone[HeadWeightsConfig] = Field(
        None,
        description="Class weights to start from, of a file of another project; a run's own come "
        "by `model.init_from`.",
    )


class OptimizerConfig(ComponentConfig):
    kind = "optimizer"


class ScheduleConfig(ComponentConfig):
    kind = "schedule"


def _error(text: str) -> PydanticCustomError:
    return PydanticCustomError("message", "{text}", {"text": text})


def _square(given: Any) -> Any:
    """112 means 112 by 112."""
    return (given, given) if type(given) is int else given


_PATH_SCHEMA = {"type": "string", "format": "path"}


class PathConfig(Config):
    """A path, or a section with the path and more.

    Attributes:
        allowed: what may be given, for messages.
    """

    allowed: ClassVar[str]

    @pydantic.model_validator(mode="before")
    @classmethod
    def _read(cls, given: Any) -> Any:
        if isinstance(given, str):
            return {"path": given}
        if not isinstance(given, dict):
            raise _error(f"must be {cls.allowed}")
        return {"path" if key == SHORT_NAME else key: value for key, value in given.items()}

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        return {"anyOf": [_PATH_SCHEMA, handler.resolve_ref_schema(handler(core_schema))]}


PositiveInt = Annotated[int, Field(ge=1)]
# Widths of layers and images of a batch, far above what fits in memory.
Size = Annotated[int, Field(ge=1, le=65_536)]
Side = Annotated[int, Field(ge=32, le=2048)]
_SIDE_SCHEMA = {"type": "integer", "minimum": 32, "maximum": 2048}
ImageSize = Annotated[
    tuple[Side, Side],
    Strict(False),
    BeforeValidator(_square),
    pydantic.WithJsonSchema(
        {
            "anyOf": [
                _SIDE_SCHEMA,
                {"type": "array", "items": _SIDE_SCHEMA, "minItems": 2, "maxItems": 2},
            ]
        }
    ),
]


class AboutConfig(Config):
    """Texts for the user when the data of the recipe is missing. Nothing else reads them."""

    notes: str = Field("", description="Where the data comes from and where to put it.")
    demo_overrides: str = Field(
        "", description="The `--set` options that run the recipe on synthetic faces."
    )


class ValidationConfig(Config):
    """Validation data: a share of the training data, or a source of its own."""

    fraction: OrNone[Annotated[float, Field(gt=0, lt=1)]] = Field(
        None, description="Share of the training data that is held out."
    )
    by: Literal["image", "identity"] = Field(
        "image",
        description="What is held out: `image`, some images of every identity; `identity`, all "
        "images of some identities, which are then verified in pairs.",
    )
    source: OrNone[SourceConfig] = Field(
        None, description="Images of the same identities, in place of `fraction` and `by`."
    )

    @pydantic.model_validator(mode="before")
    @classmethod
    def _read(cls, given: Any) -> Any:
        if isinstance(given, str) or (isinstance(given, dict) and "source" in given):
            return {"source": given}
        return given

    @pydantic.model_validator(mode="after")
    def _check(self) -> "ValidationConfig":
        if (self.fraction is None) == (self.source is None):
            raise _error("needs either 'fraction' (with 'by') or 'source', or null")
        return self

    @pydantic.model_serializer
    def _write(self) -> dict[str, Any]:
        if self.source is not None:
            return self.source.model_dump()
        return {"fraction": self.fraction, "by": self.by}

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        share = handler.resolve_ref_schema(handler(core_schema))
        del share["properties"]["source"]
        share["required"] = ["fraction"]
        return {"anyOf": [share, {"component": SourceConfig.kind}]}


class DataConfig(Config):
    """The images: where they come from, and how they become batches."""

    train: SourceConfig = Field(description="The training images.")
    exclude: OrNone[YamlPath] = Field(
        None,
        description="File with the names of identities of `data.train` to leave out, such as "
        "`exclude.csv` of `tfface inspect`.",
    )
    validation: OrNone[ValidationConfig] = Field(
        None, description="What each epoch is validated on; null for no validation."
    )
    image_size: ImageSize = Field(
        (112, 112), description="Size of the model's input in pixels: one side, or [height, width]."
    )
    cache: WithNone[Literal["none", "memory", "disk", "features"]] = Field(
        "none",
        description="What is kept after the first epoch: `memory` and `disk` keep decoded images, "
        "`features` the output of a frozen backbone.",
    )
    # Each is compiled into one program with the others.
    augment: Annotated[list[AugmentationConfig], Field(max_length=64)] = Field(
        [], description="Random changes of training images, applied in this order."
    )
    augment_on: Literal["auto", "host", "device"] = Field(
        "auto",
        description="Where images are augmented: `host` works on the next batch during a step; "
        "`device` (TensorFlow only) works inside the step, on its device; `auto` is `device` on "
        "one GPU with TensorFlow, else `host`. The images are the same.",
    )
    num_cached_augmentations: OrNone[PositiveInt] = Field(
        None,
        description="With `cache: features`: the number of augmented epochs that are cached and "
        "then repeated.",
    )
    batch_size: Size = Field(
        128, description="Images in a training step; all images, if there are fewer."
    )
    samples_per_identity: OrNone[PositiveInt] = Field(
        None,
        description="PK sampling: images of each identity in a batch. It must divide "
        "`batch_size`. Null draws images without regard to identity.",
    )

    @pydantic.model_validator(mode="after")
    def _batches_are_whole(self) -> "DataConfig":
        if self.samples_per_identity and self.batch_size % self.samples_per_identity:
            raise _error(
                f"batch_size {self.batch_size} can't be divided by samples_per_identity "
                f"{self.samples_per_identity}"
            )
        return self


class NeckConfig(Config):
    """The layers from the backbone's feature map to the embedding, in the order of the keys."""

    input_batch_norm: bool = Field(False, description="Batch norm before all other layers.")
    pooling: Literal["average", "max", "flatten", "adaptive_average_7x7"] = Field(
        "average",
        description="Global average or max pooling; `flatten` keeps all positions, which makes the "
        "next layer larger; `adaptive_average_7x7` averages to 7x7 positions and flattens these, "
        "as torchvision's VGG does.",
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0,
        description="Share of values dropped after each hidden layer; after the pooling if there "
        "is no hidden layer.",
    )
    hidden_units: Annotated[list[Size], Field(max_length=16)] = Field(
        [], description="Sizes of dense layers with ReLU."
    )
    embedding_bias: bool | None = Field(
        None,
        description="Whether the dense layer that makes the embedding has a bias. Null: only if no "
        "batch norm follows, which would cancel it.",
    )
    embedding_l2: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0,
        description="L2 regularization of that layer's kernel: its sum of squares times this is "
        "added to the training loss.",
    )
    batch_norm: bool = Field(False, description="Batch norm of the embedding.")


class InitFromConfig(PathConfig):
    """Another run or model to start from. In YAML also its path alone."""

    path: YamlPath = Field(description="A run folder or a `.keras` file.")
    parts: Literal["backbone", "embedder", "all"] = Field(
        "all",
        description="What is loaded: the `backbone`; the `embedder`, which is backbone and neck; "
        "or `all`, the embedder and, from a run folder, the class centers by identity name.",
    )

    allowed = "a path, {path: PATH, parts: PARTS}, or null"


class ModelConfig(Config):
    """The network: a backbone and a neck make the embedding, and a head trains it."""

    backbone: BackboneConfig = Field(description="The network from image to feature map.")
    neck: NeckConfig = Field(
        NeckConfig(), description="The layers from the feature map to the embedding."
    )
    embedding_size: OrNone[Size] = Field(
        512, description="Values in an embedding; null takes the output of the neck as it is."
    )
    head: OrNone[HeadConfig] = Field(
        description="The training loss and its class centers; null trains by "
        "`training.distillation` alone, which needs no labels."
    )
    input_normalization: OrNone[
        Literal[
            "minus_one_to_one",
            "minus_one_to_one_bgr",
            "facenet",
            "zero_to_one",
            "imagenet",
            "caffe",
            "raw",
        ]
    ] = Field(
        None,
        description="How pixels of 0 to 255 are scaled for the backbone; null takes what its "
        "published weights were trained with.",
    )
    init_from: OrNone[InitFromConfig] = Field(
        None, description="Another run to start from; the backbone's `weights` are then not loaded."
    )


class EarlyStoppingConfig(Config):
    """Ends a stage that no longer improves, and restores the weights of its best epoch."""

    monitor: Literal[
        "loss", "val_loss", "val_accuracy", "val_verification_accuracy", "val_verification_auc"
    ] = Field(description="The metric to watch.")
    patience: PositiveInt = Field(description="Epochs without improvement before the stage ends.")

    @property
    def lower_is_better(self) -> bool:
        return self.monitor.endswith("loss")


class OverfitStopConfig(Config):
    """Ends a stage that overfits, and restores the weights from before."""

    max_gap: Annotated[float, Field(gt=0, lt=1)] = Field(
        description="Largest allowed `accuracy - val_accuracy`, as a share of 1."
    )


class StageConfig(Config):
    """One phase of training with an optimizer of its own."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")] = Field(
        description="Name in messages and plots: letters, digits, `_`, `.` and `-`."
    )
    freeze: WithNone[Literal["none", "backbone", "backbone_bn", "embedder"]] = Field(
        "none",
        description="What is not trained: the `backbone`, with its batch norms in inference mode; "
        "with `backbone_bn`, its batch norms alone; or, with `embedder`, all but the head.",
    )
    epochs: PositiveInt = Field(description="Passes over the training data, at most.")
    optimizer: OptimizerConfig = Field(description="How weights are updated.")
    schedule: ScheduleConfig = Field(
        "constant",  # validated with the registries
        description="The learning rate over the stage.",
        validate_default=True,
    )
    lr_warmup_epochs: Annotated[float, Field(ge=0)] = Field(
        0.0,
        description="Epochs over which the learning rate rises linearly from 0; fractions allowed.",
    )
    global_clipnorm: OrNone[Annotated[float, Field(gt=0)]] = Field(
        None, description="Largest norm of the gradient of all weights together."
    )
    ema_momentum: OrNone[Annotated[float, Field(gt=0, lt=1)]] = Field(
        None,
        description="Momentum of an exponential moving average of the weights. The average is "
        "validated and is the result of the stage.",
    )
    early_stopping: OrNone[EarlyStoppingConfig] = Field(
        None, description="End the stage when a metric no longer improves."
    )
    overfit_stop: OrNone[OverfitStopConfig] = Field(
        None, description="End the stage when training accuracy exceeds validation accuracy."
    )

    @pydantic.model_validator(mode="after")
    def _warmup_fits(self) -> "StageConfig":
        if self.lr_warmup_epochs > self.epochs:
            raise _error(
                f"lr_warmup_epochs is {self.lr_warmup_epochs:g}, more than the {self.epochs} "
                "epochs of the stage"
            )
        return self

    @property
    def freezes_backbone(self) -> bool:
        """Whether no weight and no statistic of the backbone changes."""
        return self.freeze in ("backbone", "embedder")


class DistributionConfig(Config):
    """Training on all devices of all processes."""

    mode: Literal["data_parallel", "model_parallel"] = Field(
        description="`data_parallel` divides each batch among the devices; `model_parallel` also "
        "divides the class centers."
    )
    model_devices: OrNone[PositiveInt] = Field(
        None,
        description="Devices that share the class centers with `model_parallel`; it must divide "
        "the number of devices. Null: all.",
    )

    @pydantic.model_validator(mode="after")
    def _only_centers_are_divided(self) -> "DistributionConfig":
        if self.model_devices is not None and self.mode != "model_parallel":
            raise _error("model_devices goes with mode: model_parallel; leave it out")
        return self


class TeacherConfig(PathConfig):
    """A trained model that the student imitates. In YAML also its path alone."""

    path: YamlPath = Field(
        description="A run folder, a `.keras`, `.h5`, `.onnx`, `.tflite` or OpenVINO `.xml` file, "
        "a SavedModel folder, or the word `pixels`."
    )
    color_order: OrNone[Literal["rgb", "bgr"]] = Field(
        None, description="Color order that a model of another project takes; null is `rgb`."
    )
    input_range: OrNone[str] = Field(
        None,
        description="Pixel values that such a model takes: those of 0 and 255, as in `-1..1`, or a "
        "formula; null is `(x-127.5)/128`.",
    )
    image_size: OrNone[ImageSize] = Field(
        None, description="Input size for a model that takes any: one side, or [height, width]."
    )
    output: OrNone[str] = Field(
        None, description="Name of the embedding among several outputs of a model."
    )

    allowed = "a path, or {path: PATH, color_order: ORDER, ...}"


class DistillationConfig(Config):
    """Learning the embeddings of a trained model, with or without labels."""

    teacher: TeacherConfig = Field(description="The model that is imitated.")
    loss: Literal["cosine", "relational"] = Field(
        "cosine",
        description="`cosine`: 1 - the cosine of the student's and the teacher's embedding of an "
        "image, which have one size; `relational`: squared difference of the cosines between the "
        "images of a batch, for any sizes.",
    )
    weight: Annotated[float, Field(gt=0)] = Field(
        1.0, description="Weight of this loss, which is added to that of the head."
    )


class CheckpointConfig(Config):
    """When checkpoints are written in addition to those after each epoch."""

    every_steps: OrNone[PositiveInt] = Field(None, description="Also after this many steps.")
    every_minutes: OrNone[Annotated[float, Field(gt=0)]] = Field(
        10.0, description="Also when the last one is this many minutes old; null for never."
    )
    keep: PositiveInt = Field(
        2, description="Checkpoints to keep. A run resumes from an older one if a newer is damaged."
    )


class TrainingConfig(Config):
    """How the model is trained."""

    seed: Annotated[int, Field(ge=0, lt=2**31)] = Field(
        0, description="Seed of the data split, batch order, augmentation and initial weights."
    )
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16", "auto"] = Field(
        "float32",
        description="Precision of the network's computations. `auto` measures a few steps when a "
        "run begins, and takes mixed_bfloat16 if it is clearly faster here, else float32.",
    )
    require_gpu: bool = Field(False, description="Refuse to train without a GPU.")
    deterministic: bool = Field(
        False, description="Use deterministic operations only, which are slower on a GPU."
    )
    on_nonfinite: Literal["stop", "skip", "restore"] = Field(
        "stop",
        description="What to do when a loss or gradient is NaN or infinite: `stop`; `skip` the "
        "step; or `restore` the last checkpoint and leave out the batch.",
    )
    checkpoints: CheckpointConfig = Field(
        CheckpointConfig(), description="When checkpoints are written."
    )
    distribution: OrNone[DistributionConfig] = Field(
        None, description="Train on several devices or processes; null for one device."
    )
    distillation: OrNone[DistillationConfig] = Field(
        None, description="Learn the embeddings of a trained model; null learns from labels alone."
    )
    stages: Annotated[list[StageConfig], Field(min_length=1)] = Field(
        description="The phases of training, in order."
    )

    @pydantic.field_validator("stages")
    @classmethod
    def _names_differ(cls, stages: list[StageConfig]) -> list[StageConfig]:
        names = [stage.name for stage in stages]
        if len(set(names)) < len(names):
            raise _error(f"two stages have the same name: {names}")
        return stages


class EvaluationConfig(Config):
    """What the trained model is evaluated on."""

    classification: OrNone[SourceConfig] = Field(
        None, description="Test images of the training identities, to be classified."
    )
    verification: list[str] = Field(
        [], description="Pair sets, as `tfface evaluate verification --pairs` takes them."
    )


class Recipe(Config):
    """One training run."""

    about: AboutConfig = Field(AboutConfig(), description=AboutConfig.__doc__)
    data: DataConfig = Field(description=DataConfig.__doc__)
    model: ModelConfig = Field(description=ModelConfig.__doc__)
    training: TrainingConfig = Field(description=TrainingConfig.__doc__)
    evaluation: EvaluationConfig = Field(EvaluationConfig(), description=EvaluationConfig.__doc__)
