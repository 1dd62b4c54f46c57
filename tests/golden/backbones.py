"""What every backbone makes of two fixed pictures, with weights that no initializer has drawn."""

import math

import keras
import numpy as np

from tests.golden import inputs, internals, summaries

# More than 30 million parameters each; pinned apart, as they take most of the time.
LARGE = (
    "iresnet50",
    "iresnet100",
    "resnet101",
    "resnet101_torchvision",
    "resnet101_v2",
    "resnet152",
    "resnet152_v2",
    "resnext101_32x8d",
    "vit_b16",
    "wide_resnet101_2",
)
_LARGE_FROM = 30_000_000
# Where it can't be 32 pixels.
_SIZES = {"inception_resnet_v1": 75}
_NUM_OUTPUTS = 6
# From where the factors of norms are drawn, up to 1 above: where differences from layer to layer
# neither die out nor grow to all there is. Networks that gate their channels react most.
_FACTORS_FROM = {"efficientnet_b": 0.55, "efficientnet_v2": 0.25, "": 0.5}


def of_small() -> dict:
    """Pins of all that are not large; a backbone that is added to the package's table is in it."""
    return _pin([name for name in internals.backbone_names() if name not in LARGE])


def of_large() -> dict:
    return _pin(LARGE)


def _pin(names) -> dict:
    return {"values": {name: _pin_one(name) for name in names}}


def _pin_one(name: str) -> dict:
    size = _SIZES.get(name, inputs.SIZE)
    pictures = inputs.uniform(0, (2, size, size, 3), 0, 255)
    # No variable of the network gets a value of its own, which takes most of the time.
    with keras.StatelessScope(initialize_variables=False):
        network, as_expected = internals.build_backbone(name, size)
        places = {id(variable): place for place, variable in enumerate(network.variables)}
        low = next(low for prefix, low in _FACTORS_FROM.items() if name.startswith(prefix))
        trainable, others = (
            [_values_for(variable, places[id(variable)], low) for variable in variables]
            for variables in (network.trainable_variables, network.non_trainable_variables)
        )
        outputs, _ = network.stateless_call(trainable, others, as_expected(pictures))
    # Or Keras would give them values later.
    keras.backend.clear_session(free_memory=False)
    outputs = keras.ops.convert_to_numpy(outputs)
    parameters = summaries.num_parameters(network.weights)
    if (parameters > _LARGE_FROM) != (name in LARGE):
        raise ValueError(f"{name}: has {parameters:,} parameters; LARGE in backbones.py is wrong")
    return {
        "parameters": parameters,
        "trainable": summaries.num_parameters(network.trainable_weights),
        "output": summaries.of_array(outputs, _NUM_OUTPUTS),
    }


def _values_for(variable: keras.Variable, place: int, low: float) -> np.ndarray:
    """Returns values for the variable at this place of its network.

    They depend on its shape and on what Keras calls it.

    Args:
        low: the lowest factor of a norm.
    """
    shape = variable.shape
    if variable.dtype != "float32":
        # The state of random numbers, of which inference draws none.
        return np.zeros(shape, variable.dtype)
    if variable.name == "gamma":
        return inputs.uniform(place, shape, low, low + 1)
    if variable.name == "moving_variance":
        return inputs.uniform(place, shape, 0.5, 1.5)
    lengths = [length for length in shape if length > 1]
    if len(lengths) < 2:
        return inputs.uniform(place, shape, -0.2, 0.2)
    # As He et al. start networks: a sum of so many products, half of which ReLU leaves.
    fan_in = math.prod(lengths[:2] if "depthwise" in variable.path else lengths[:-1])
    bound = math.sqrt(6 / fan_in)
    return inputs.uniform(place, shape, -bound, bound)
