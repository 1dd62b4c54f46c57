"""Optimizers and learning-rate schedules: what a stage's `optimizer` and `schedule` may name.

An optimizer takes its options and, by keyword, the learning rate (a keras LearningRateSchedule)
under `schedule`. A schedule is given the stage's peak learning rate and its length in steps, and
returns a keras LearningRateSchedule. To add one: a function here and a line in OPTIMIZERS or
SCHEDULES. Weight decay is decoupled from the gradient, as Keras does it: weight -= learning_rate *
weight_decay * weight.
"""

from typing import Annotated

import keras
from keras import ops
from keras.optimizers import schedules
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


def constant(*, learning_rate: float) -> schedules.LearningRateSchedule:
    """The same learning rate throughout."""
    return Constant(learning_rate)


def step(
    every_epochs: Annotated[int, Field(ge=1)],
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1,
    *,
    learning_rate: float,
    steps_per_epoch: int,
) -> schedules.LearningRateSchedule:
    """learning_rate * gamma ** floor(epoch / every_epochs).

    Args:
        every_epochs: epochs after which the rate is multiplied by `gamma`, again and again.
        gamma: the factor.
    """
    return schedules.ExponentialDecay(
        learning_rate, every_epochs * steps_per_epoch, gamma, staircase=True
    )


def multi_step(
    epochs: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)],
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1,
    *,
    learning_rate: float,
    steps_per_epoch: int,
) -> schedules.LearningRateSchedule:
    """learning_rate * gamma ** (how many of `epochs` are done).

    Args:
        epochs: after each of these numbers of epochs the rate is multiplied by `gamma`.
        gamma: the factor.
    """
    return schedules.PiecewiseConstantDecay(
        # Keras changes the rate after the step of a boundary.
        [epoch * steps_per_epoch - 1 for epoch in sorted(epochs)],
        [learning_rate * gamma**number for number in range(len(epochs) + 1)],
    )


def exponential(
    gamma: Annotated[float, Field(gt=0, le=1)],
    *,
    learning_rate: float,
    steps_per_epoch: int,
) -> schedules.LearningRateSchedule:
    """learning_rate * gamma ** epoch, where the epoch is a fraction: a little less at each step.

    Args:
        gamma: the factor of one epoch.
    """
    return schedules.ExponentialDecay(learning_rate, steps_per_epoch, gamma)


def polynomial(
    power: Annotated[float, Field(gt=0)] = 1.0,
    min_lr_ratio: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    *,
    learning_rate: float,
    num_steps: int,
) -> schedules.LearningRateSchedule:
    """final + (learning_rate - final) * (1 - step / num_steps) ** power.

    final is min_lr_ratio * learning_rate.

    Args:
        power: 1 is a straight line; a larger power decays earlier.
        min_lr_ratio: rate after the last step, as a share of the first.
    """
    return schedules.PolynomialDecay(
        learning_rate, num_steps, end_learning_rate=min_lr_ratio * learning_rate, power=power
    )


def cosine(
    min_lr_ratio: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    *,
    learning_rate: float,
    num_steps: int,
) -> schedules.LearningRateSchedule:
    """Half a cosine from learning_rate down to min_lr_ratio * learning_rate after the last step.

    Args:
        min_lr_ratio: rate after the last step, as a share of the first.

    Reference: Loshchilov & Hutter, ICLR 2017, arXiv:1608.03983 (without restarts).
    """
    return schedules.CosineDecay(learning_rate, num_steps, alpha=min_lr_ratio)


SCHEDULES = {
    "constant": constant,
    "step": step,
    "multi_step": multi_step,
    "exponential": exponential,
    "polynomial": polynomial,
    "cosine": cosine,
}


class Constant(schedules.LearningRateSchedule):
    """The same at every step.

    Example:
        >>> float(Constant(0.5)(1000))
        0.5
    """

    def __init__(self, learning_rate: float):
        self.learning_rate = learning_rate

    def __call__(self, step):
        return ops.convert_to_tensor(self.learning_rate, "float32")

    def get_config(self):
        return {"learning_rate": self.learning_rate}


class WarmUp(schedules.LearningRateSchedule):
    """Rises linearly over `num_steps` steps to what `schedule` gives, then follows it.

    Example:
        >>> warm_up = WarmUp(Constant(0.5), num_steps=4)
        >>> [float(warm_up(step)) for step in (0, 1, 3, 10)]
        [0.125, 0.25, 0.5, 0.5]
    """

    def __init__(self, schedule: schedules.LearningRateSchedule, num_steps: int):
        self.schedule = schedule
        self.num_steps = num_steps

    def __call__(self, step):
        share = (ops.cast(step, "float32") + 1.0) / float(self.num_steps)
        return self.schedule(step) * ops.minimum(share, 1.0)

    def get_config(self):
        return {"schedule": self.schedule, "num_steps": self.num_steps}
