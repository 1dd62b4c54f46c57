"""The list of all pins: what each is computed by, and how closely it has to hold."""

from typing import NamedTuple

from tests.golden.comparison import Tolerance

# README.md says how far values were seen to move between processors' instructions, libraries and
# numbers of threads, and what mistakes change them by.
_TRAINING = Tolerance(relative=3e-4, absolute=3e-4)
_EVALUATION = Tolerance(relative=1e-5, absolute=1e-5)
_FORWARD = Tolerance(relative=2e-4, absolute=0)
_LOSS = Tolerance(relative=2e-5, absolute=1e-4)
_EXACT = Tolerance(relative=0, absolute=0)


class Pin(NamedTuple):
    """What is pinned in one file.

    Attributes:
        module, function: in this package; it returns {"values": ...}, as JSON has it, and, where
            hashes by environment are pinned as well, "sha256".
        tolerance: how far numbers may be from those in the file.
        argument: of the function, if any.
        file: in `values/`; None for the pin's own name.
        is_slow: for the tier of slow tests.
        needs_test_data: the function takes the folder that $TFFACE_TEST_DATA names.
    """

    module: str
    function: str
    tolerance: Tolerance
    argument: str | None = None
    file: str | None = None
    is_slow: bool = False
    needs_test_data: bool = False


# Trained recipes, of which hashes are pinned as well.
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
    # Has to come to the very same, so it has the same file.
    RESUMED: Pin("recipes", "resumed", _TRAINING, "arcface", file="recipe_arcface"),
    "verification": Pin("evaluation", "of_verification", _EVALUATION),
    "verification_fixtures": Pin(
        "evaluation", "of_verification_of_fixtures", _EVALUATION, needs_test_data=True
    ),
    "identification": Pin("evaluation", "of_identification", _EVALUATION),
    "classification": Pin("evaluation", "of_classification", _EVALUATION),
    "inspection": Pin("evaluation", "of_inspection", _EVALUATION),
    "pairs": Pin("evaluation", "of_pairs", _EXACT),
    "datasets": Pin("datasets", "of_folders", _EXACT),
    "datasets_fixtures": Pin("datasets", "of_fixtures", _EXACT, needs_test_data=True),
    "backbones": Pin("backbones", "of_small", _FORWARD),
    "backbones_large": Pin("backbones", "of_large", _FORWARD, is_slow=True),
    "heads": Pin("heads", "of_all", _LOSS),
}


def file_of(name: str) -> str:
    return PINS[name].file or name
