"""Optimizers: what a stage's `optimizer` may name.

Each takes its options and, by keyword, the learning rate (a keras LearningRateSchedule) under
`schedule`. To add one: a function here and a line in OPTIMIZERS. Weight decay is decoupled from
the gradient, as Keras does it: weight -= learning_rate * weight_decay * weight.
"""

from typing import Annotated

import keras
from pydantic import Field

from tfface.kernels import optimizers as fast_optimizers

# Beyond it are typing errors, and soon what a 32-bit number can't hold.
_MAX_RATE = 1e6
LearningRate = Annotated[
    float, Field(gt=0, le=_MAX_RATE, description="Peak learning rate, which the schedule scales.")
]
Decay = Annotated[
    float,
    Field(
        ge=0,
        lt=1,
        description="Decoupled weight decay: each step shrinks matrices and kernels by "
        "learning_rate * weight_decay. Biases, batch norms and other vectors are not decayed.",
    ),
]
Momentum = Annotated[
    float, Field(ge=0, lt=1, description="Share of the previous update that is kept.")
]
Beta1 = Annotated[
    float, Field(ge=0, lt=1, description="Decay rate of the running mean of the gradient.")
]
Beta2 = Annotated[
    float, Field(ge=0, lt=1, description="Decay rate of the running mean of the squared gradient.")
]
Epsilon = Annotated[
    float, Field(gt=0, le=_MAX_RATE, description="Added to the denominator for stability.")
]


def sgd(
    learning_rate: LearningRate = 0.01,
    momentum: Momentum = 0.9,
    nesterov: Annotated[bool, Field(description="Use Nesterov momentum.")] = False,
    weight_decay: Decay = 0.0,
    *,
    schedule,
) -> keras.optimizers.Optimizer:
    """Stochastic gradient descent with momentum."""
    return fast_optimizers.sgd(
        schedule, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay or None
    )


def adam(
    learning_rate: LearningRate = 1e-3,
    beta_1: Beta1 = 0.9,
    beta_2: Beta2 = 0.999,
    epsilon: Epsilon = 1e-7,
    *,
    schedule,
) -> keras.optimizers.Optimizer:
    """Adam. Reference: arXiv:1412.6980."""
    return fast_optimizers.adam(schedule, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon)


def adamw(
    learning_rate: LearningRate = 1e-3,
    weight_decay: Decay = 0.01,
    beta_1: Beta1 = 0.9,
    beta_2: Beta2 = 0.999,
    epsilon: Epsilon = 1e-7,
    *,
    schedule,
) -> keras.optimizers.Optimizer:
    """Adam with decoupled weight decay. Reference: arXiv:1711.05101."""
    return fast_optimizers.adamw(
        schedule, weight_decay=weight_decay, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon
    )


def rmsprop(
    learning_rate: LearningRate = 1e-3,
    rho: Beta2 = 0.9,
    momentum: Momentum = 0.0,
    epsilon: Epsilon = 1e-7,
    *,
    schedule,
) -> keras.optimizers.Optimizer:
    """RMSprop."""
    return keras.optimizers.RMSprop(schedule, rho=rho, momentum=momentum, epsilon=epsilon)


def adagrad(
    learning_rate: LearningRate = 1e-2, epsilon: Epsilon = 1e-7, *, schedule
) -> keras.optimizers.Optimizer:
    """Adagrad."""
    return keras.optimizers.Adagrad(schedule, epsilon=epsilon)


def lamb(
    learning_rate: LearningRate = 1e-3, weight_decay: Decay = 0.01, *, schedule
) -> keras.optimizers.Optimizer:
    """LAMB, for large batches. Reference: arXiv:1904.00962."""
    return keras.optimizers.Lamb(schedule, weight_decay=weight_decay or None)


def lion(
    learning_rate: LearningRate = 1e-4, weight_decay: Decay = 0.01, *, schedule
) -> keras.optimizers.Optimizer:
    """Lion. Reference: arXiv:2302.06675."""
    return keras.optimizers.Lion(schedule, weight_decay=weight_decay or None)


OPTIMIZERS = {
    "sgd": sgd,
    "adam": adam,
    "adamw": adamw,
    "rmsprop": rmsprop,
    "adagrad": adagrad,
    "lamb": lamb,
    "lion": lion,
}
