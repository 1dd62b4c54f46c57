"""How many examples property tests try: profiles of Hypothesis.

`ci`, the default, tries up to 20 examples of each property, the same ones every time, so that a
commit is judged by itself. `nightly` tries other examples each night, as many as each test states.
$HYPOTHESIS_PROFILE chooses the profile.
"""

import os

from hypothesis import settings

_MOST_IN_CI = 20

settings.register_profile("ci", max_examples=_MOST_IN_CI, deadline=None, derandomize=True)
settings.register_profile("nightly", deadline=None)
_PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "ci")
settings.load_profile(_PROFILE)


def examples(number: int, **options) -> settings:
    """Settings of a property test.

    Args:
        number: examples to try in the profile `nightly`; 20 at most are tried in `ci`.
        options: of `hypothesis.settings`.
    """
    most = number if _PROFILE == "nightly" else _MOST_IN_CI
    return settings(max_examples=min(number, most), **options)
