"""The table of all pins: which function computes each, and how closely it must match."""

from typing import NamedTuple

from tests.golden.comparison import Tolerance

# README.md says how far values move between instruction sets, libraries and numbers of threads, and
# how far mistakes move them.
_TRAINING = Tolerance(relative=3e-4, absolute=3e-4)
_EVALUATION = Tolerance(relative=1e-5, absolute=1e-5)
_FORWARD = Tolerance(relative=2e-4, absolute=0)
_LOSS = Tolerance(relative=2e-5, absolute=1e-4)
_EXACT = Tolerance(relative=0, absolute=0)


class Pin(NamedTuple):
    """One pin.

    Attributes:
        module, function: in this package. The function returns a dict with `values`, a JSON value,
            and, for trained recipes, `sha256`: hashes that are compared in known environments.
        tolerance: how far numbers may be from the pinned ones.
        argument: argument of the function, if it takes one.
        file: name of the file in `values/`; None means the pin's own name.
        is_slow: whether its test is in the slow tier.
        needs_test_data: whether the function takes the folder in $TFFACE_TEST_DATA.
    """

    module: str
    function: str
    tolerance: Tolerance
    argument: str | None = None
    file: str | None = None
    is_slow: bool = False
    needs_test_data: bool = False


RECIPES = (
    "recipe_arcface",
    "recipe_features",
    "recipe_sampled_centers",
    "recipe_softmax",
    "recipe_triplet",
    "recipe_two_stages",
)
RESUMED = "recipe_arcface_resumed"

PINS = {
    **{
        name: Pin("recipes", "trained", _TRAINING, name.removeprefix("recipe_")) for name in RECIPES
    },
    # It must end with the same weights as the run that was not interrupted: it shares the file.
    RESUMED: Pin("recipes", "resumed", _TRAINING, "arcface", file="recipe_arcface", is_slow=True),
    "verification": Pin("evaluation", "verification", _EVALUATION),
    "verification_synthetic": Pin(
        "evaluation", "verification_synthetic", _EVALUATION, is_slow=True
    ),
    "verification_fixtures": Pin(
        "evaluation", "verification_fixtures", _EVALUATION, needs_test_data=True
    ),
    "identification": Pin("evaluation", "identification", _EVALUATION),
    "classification": Pin("evaluation", "classification", _EVALUATION),
    "inspection": Pin("evaluation", "inspection", _EVALUATION),
    "pairs": Pin("evaluation", "pairs", _EXACT),
    "datasets": Pin("datasets", "folders", _EXACT),
    "datasets_fixtures": Pin("datasets", "fixtures", _EXACT, needs_test_data=True),
    "backbones": Pin("backbones", "small", _FORWARD),
    "backbones_large": Pin("backbones", "large", _FORWARD, is_slow=True),
    "heads": Pin("heads", "every", _LOSS),
}


def file_of(name: str) -> str:
    """The file of a pin in `values/`, without suffix."""
    return PINS[name].file or name
