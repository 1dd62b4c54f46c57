"""Learning-rate schedules: what a stage's `schedule` may name.

A schedule is given the stage's peak learning rate and its length in steps, and returns a
keras LearningRateSchedule. To add one: a function here and a line in SCHEDULES.
"""

from typing import Annotated

from keras import ops
from keras.optimizers import schedules
from pydantic import Field


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
    """The same at every step."""

    def __init__(self, learning_rate: float):
        self.learning_rate = learning_rate

    def __call__(self, step):
        return ops.convert_to_tensor(self.learning_rate, "float32")

    def get_config(self):
        return {"learning_rate": self.learning_rate}


class WarmUp(schedules.LearningRateSchedule):
    """Rises linearly over `num_steps` steps to what `schedule` gives, then follows it."""

    def __init__(self, schedule: schedules.LearningRateSchedule, num_steps: int):
        self.schedule = schedule
        self.num_steps = num_steps

    def __call__(self, step):
        share = (ops.cast(step, "float32") + 1.0) / float(self.num_steps)
        return self.schedule(step) * ops.minimum(share, 1.0)

    def get_config(self):
        return {"schedule": self.schedule, "num_steps": self.num_steps}
