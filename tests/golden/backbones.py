"""Pins parameter counts and outputs of every backbone for fixed weights and images."""

import math

import keras
import numpy as np

from tests.golden import inputs, internals, summaries

# More than 30 million parameters each: in the slow tier.
LARGE = (
    "ir_101",
    "ir_50",
    "ir_se_101",
    "ir_se_50",
    "iresnet50",
    "iresnet100",
    "resnet101",
    "resnet101_torchvision",
    "resnet101_v2",
    "resnet152",
    "resnet152_v2",
    "resnext101_32x8d",
    "vit_b",
    "vit_b16",
    "vit_s",
    "wide_resnet101_2",
)
_MAX_PARAMETERS = 30_000_000
# Deeper ones of a family whose first one is in the default tier: in the slow tier.
DEEPER = (
    *(f"efficientnet_{family}{depth}" for family in ("b", "v2_b") for depth in (1, 2, 3)),
    "ir_34",
)
# Image sizes of networks that do not take 32 pixels.
_SIZES = {"inception_resnet_v1": 75}
_NUM_ENTRIES = 6
# The scale factors (gamma) of norms are drawn from [low, low + 1]. With these lows, by prefix, a
# change of the input or of an early layer neither dies out on its way to the output nor is
# amplified without bound, as networks with squeeze-and-excitation easily do.
_LOWEST_GAMMA = {"efficientnet_b": 0.55, "efficientnet_v2": 0.25, "": 0.5}


def small() -> dict:
    """Pins all others; a new backbone is included as soon as it is in the package's table."""
    return _pin([name for name in internals.backbone_names() if name not in (*LARGE, *DEEPER)])


def large() -> dict:
    return _pin((*LARGE, *DEEPER))


def _pin(names) -> dict:
    return {"values": {name: _pin_one(name) for name in names}}


def _pin_one(name: str) -> dict:
    size = _SIZES.get(name, inputs.SIZE)
    images = inputs.uniform(0, (2, size, size, 3), 0, 255)
    # Variables get no values of their own: initializing them takes longer than all the rest.
    with keras.StatelessScope(initialize_variables=False):
        network, preprocess = internals.build_backbone(name, size)
        places = {id(variable): place for place, variable in enumerate(network.variables)}
        low = next(low for prefix, low in _LOWEST_GAMMA.items() if name.startswith(prefix))
        trainable, others = (
            [_values_for(variable, places[id(variable)], low) for variable in variables]
            for variables in (network.trainable_variables, network.non_trainable_variables)
        )
        outputs, _ = network.stateless_call(trainable, others, preprocess(images))
    # Else Keras would initialize them later.
    keras.backend.clear_session(free_memory=False)
    outputs = keras.ops.convert_to_numpy(outputs)
    parameters = summaries.num_parameters(network.weights)
    if (parameters > _MAX_PARAMETERS) != (name in LARGE):
        raise ValueError(f"{name}: has {parameters:,} parameters; LARGE in backbones.py is wrong")
    return {
        "parameters": parameters,
        "trainable": summaries.num_parameters(network.trainable_weights),
        "output": summaries.of_array(outputs, _NUM_ENTRIES),
    }


def _values_for(variable: keras.Variable, place: int, low: float) -> np.ndarray:
    """Returns values that depend on a variable's place in its network, shape and Keras name.

    Args:
        low: lowest value of a gamma.
    """
    shape = variable.shape
    if variable.dtype != "float32":
        # The state of a random generator, which inference does not use.
        return np.zeros(shape, variable.dtype)
    if variable.name == "gamma":
        return inputs.uniform(place, shape, low, low + 1)
    if variable.name == "moving_variance":
        return inputs.uniform(place, shape, 0.5, 1.5)
    lengths = [length for length in shape if length > 1]
    if len(lengths) < 2:
        return inputs.uniform(place, shape, -0.2, 0.2)
    # The variance of He initialization.
    fan_in = math.prod(lengths[:2] if "depthwise" in variable.path else lengths[:-1])
    bound = math.sqrt(6 / fan_in)
    return inputs.uniform(place, shape, -bound, bound)
