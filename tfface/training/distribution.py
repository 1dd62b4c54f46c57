"""The devices that a run trains on: one, or all devices of every process.

On JAX this is the distribution API of Keras, and a run computes the same as on one device: each
device has its rows of a batch, and batch norm statistics are those of the whole batch. With
`model_parallel`, each device also has its rows of the class centers and of their optimizer state.
The embeddings of a batch are then sent to all devices that share the centers; the centers are never
sent.

On TensorFlow it is `tf.distribute.MirroredStrategy`, for the devices of one machine. There, batch
norm statistics are those of a device's own rows.

Files are the same without and with any distribution.
"""

import functools
import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import keras
import numpy as np

from tfface.backbones.normalization import use_weights
from tfface.data.pipeline.epoch_order import BatchShard
from tfface.errors import InputError
from tfface.heads.class_centers import EMBEDDINGS, LABELS, LOGITS
from tfface.kernels.device import numpy_view
from tfface.recipe.schema import DistributionConfig, HeadConfig, TrainingConfig
from tfface.training import multiprocess

_BATCH, _MODEL = "batch", "model"


class SingleDevice:
    """No distribution: the default device of Keras.

    Attributes:
        description: for the printed line about the model, or "".
        num_devices: devices that share a batch.
        center_shards: number of parts of the class centers.
        shard: the rows of each batch that this process loads; None if no batch is shared.

    Example:
        >>> device = SingleDevice()
        >>> device.num_devices, device.images_per_batch_norm(batch_size=128)
        (1, 128)
    """

    description = ""
    num_devices = 1
    center_shards = 1
    shard: BatchShard | None = None

    def scope(self) -> AbstractContextManager:
        """Returns the context in which models are built and trained."""
        return nullcontext()

    def local_replica(self, embedder: keras.Model) -> "LocalReplica":
        """Returns the embedder for use in this process, without the others."""
        return LocalReplica(embedder)

    def images_per_batch_norm(self, batch_size: int) -> int:
        """Returns over how many images of a batch a batch norm computes its statistics."""
        return batch_size

    def check_batch(self, batch_size: int) -> None:
        """Raises InputError: a batch can't be divided among the devices."""
        if batch_size % self.num_devices:
            raise InputError(
                f"data.batch_size: a batch has {batch_size} images, which {self.num_devices} "
                "devices can't share evenly; it is that of all devices together, so give a "
                f"multiple of {self.num_devices}"
            )


class LocalReplica:
    """An embedder for use in one process, without the others.

    Attributes:
        model: keras.Model.

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
        >>> replica = SingleDevice().local_replica(model)
        >>> with replica.synced():
        ...     replica.model.output_shape
        (None, 3)
    """

    def __init__(self, model: keras.Model):
        self.model = model

    @contextmanager
    def synced(self) -> Iterator[None]:
        """Within the block, `model` has the current weights."""
        yield


class MirroredDevices(SingleDevice):
    """Every GPU of this machine, on TensorFlow."""

    def __init__(self):
        self._strategy = mirrored_strategy()
        self.num_devices = self._strategy.num_replicas_in_sync
        self.shard = BatchShard()
        self.description = f", data_parallel on {_num(self.num_devices, 'device')}"

    def images_per_batch_norm(self, batch_size: int) -> int:
        return batch_size // self.num_devices

    def scope(self) -> AbstractContextManager:
        return self._strategy.scope()


class JaxDistribution(SingleDevice):
    """Every device of every process, on JAX.

    Raises InputError: `model_devices` doesn't divide their number, or processes have more devices
        than others.
    """

    def __init__(self, section: DistributionConfig):
        import jax

        devices = keras.distribution.list_devices()
        self.num_devices = len(devices)
        if len(devices) != jax.local_device_count() * multiprocess.process_count():
            raise InputError(
                f"process {multiprocess.process_index()} has {jax.local_device_count()} of "
                f"{len(devices)} devices: each of "
                f"{multiprocess.process_count()} processes must have as many"
            )
        self.shard = BatchShard(multiprocess.process_index(), multiprocess.process_count())
        self.description = f", {section.mode} on {_num(len(devices), 'device')}"
        if multiprocess.process_count() > 1:
            self.description += f" of {multiprocess.process_count()} processes"
        if section.mode == "data_parallel":
            self._keras = keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False)
            return
        self.center_shards = section.model_devices or len(devices)
        if len(devices) % self.center_shards:
            raise InputError(
                f"training.distribution.model_devices: {self.center_shards} doesn't divide the "
                f"{len(devices)} devices there are"
            )
        self.description += f", class centers in {_num(self.center_shards, 'part')}"
        self._keras = _ShardedCenters(devices, self.center_shards)

    def scope(self) -> AbstractContextManager:
        return self._keras.scope()

    def local_replica(self, embedder: keras.Model) -> LocalReplica:
        return _LocalCopy(embedder)


class _ShardedCenters(keras.distribution.ModelParallel):
    """Shards the class centers over some devices, and each batch over all.

    `keras.distribution.ModelParallel` gives all rows of a batch to each of the devices that share a
    variable, which would then all compute the same embeddings.
    """

    def __init__(self, devices: list[str], num_parts: int):
        mesh = keras.distribution.DeviceMesh(
            (len(devices) // num_parts, num_parts), (_BATCH, _MODEL), devices
        )
        layouts = keras.distribution.LayoutMap(mesh)
        layouts[".*class_centers"] = (_MODEL, None)
        layouts[EMBEDDINGS] = (_BATCH, None)
        layouts[LOGITS] = (_BATCH, _MODEL)
        layouts[LABELS] = (_BATCH,)
        super().__init__(layout_map=layouts, batch_dim_name=_BATCH, auto_shard_dataset=False)

    def get_data_layout(self, data_shape) -> "_BatchOverAllDevices":
        return _BatchOverAllDevices(self.device_mesh)


class _BatchOverAllDevices:
    """A layout that TensorLayout can't express: the first axis over both axes of the mesh."""

    def __init__(self, mesh: keras.distribution.DeviceMesh):
        from jax.sharding import NamedSharding, PartitionSpec

        self.backend_layout = NamedSharding(mesh.backend_mesh, PartitionSpec((_BATCH, _MODEL)))


class _LocalCopy(LocalReplica):
    """A copy of the embedder on one device of this process."""

    def __init__(self, embedder: keras.Model):
        self._embedder = embedder
        with _no_distribution():
            super().__init__(keras.models.clone_model(embedder))

    @contextmanager
    def synced(self) -> Iterator[None]:
        weights = [fetch(variable) for variable in self._embedder.weights]
        with _no_distribution():
            self.model.set_weights(weights)
            use_weights(self.model)
            yield


def distribute(training: TrainingConfig, head: HeadConfig | None) -> SingleDevice:
    """Returns the devices that a recipe's `training.distribution` asks for.

    Raises InputError: this backend or these processes can't train so.
    """
    section, backend = training.distribution, keras.backend.backend()
    if section is None:
        if multiprocess.process_count() > 1:
            raise InputError(
                f"{multiprocess.process_count()} processes train together only by a "
                "training.distribution; add --set training.distribution.mode=data_parallel"
            )
        return SingleDevice()
    is_shared = backend == "jax" and section.mode == "data_parallel"
    is_sampled = head is not None and head.options.get("sample_rate", 1.0) < 1
    if is_sampled and not is_shared:
        raise InputError(
            "model.head.sample_rate: centers that a step draws from all can't be drawn from "
            "parts of them, nor by each device for itself: use data_parallel with "
            "KERAS_BACKEND=jax, or sample_rate: 1"
        )
    if backend == "jax":
        return JaxDistribution(section)
    if backend == "tensorflow" and section.mode == "data_parallel":
        if training.on_nonfinite == "skip":
            raise InputError(
                "training.on_nonfinite: skip doesn't work with training.distribution on the "
                "backend tensorflow, where each device would decide for itself: use restore, or "
                "KERAS_BACKEND=jax"
            )
        return MirroredDevices()
    raise InputError(
        f"training.distribution: {section.mode} doesn't work on the backend {backend}: set "
        "KERAS_BACKEND=jax"
    )


def fetch(variable: keras.Variable) -> np.ndarray:
    """Returns the whole value of a variable in each process; copy it before the variable changes.

    No device receives more than one part of it beside its own. All processes must call it.
    """
    if multiprocess.process_count() == 1 or variable.value.is_fully_replicated:
        return numpy_view(variable)
    return _gather(variable.value)


def put(variable: keras.Variable, array: np.ndarray) -> None:
    """Assigns a variable; each device takes its part.

    Args:
        array: with the variable's shape, or fewer rows: the rest is filled with zeros.
    """
    array = np.asarray(array, variable.dtype)
    if missing := math.prod(variable.shape[:1]) - math.prod(array.shape[:1]):
        array = np.pad(array, [(0, missing)] + [(0, 0)] * (array.ndim - 1))
    if keras.distribution.distribution() is None:
        variable.assign(array)
        return
    import jax

    variable.assign(
        jax.make_array_from_callback(
            array.shape, variable.value.sharding, lambda index: array[index]
        )
    )


def _gather(value) -> np.ndarray:
    """Returns a jax.Array whose rows are divided over the model axis of the mesh."""
    import jax
    from jax.sharding import PartitionSpec

    mesh = value.sharding.mesh

    def send(own, number):
        is_sender = jax.lax.axis_index(_MODEL) == number
        return jax.lax.psum(jax.numpy.where(is_sender, own, 0), _MODEL)

    receive = jax.jit(
        jax.shard_map(
            send,
            mesh=mesh,
            in_specs=(PartitionSpec(_MODEL), PartitionSpec()),
            out_specs=PartitionSpec(),
        )
    )
    parts = [receive(value, number) for number in range(mesh.shape[_MODEL])]
    return np.concatenate([np.asarray(part) for part in parts])


@contextmanager
def _no_distribution() -> Iterator[None]:
    before = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(before)


def _num(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number > 1 else ''}"


# A second one in a process would send under the numbers of the first.
@functools.cache
def mirrored_strategy():
    """Returns the `tf.distribute.MirroredStrategy` of every device of this machine.

    Where TensorFlow sees no GPU, these are its (virtual) CPUs.
    """
    import tensorflow as tf

    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])
