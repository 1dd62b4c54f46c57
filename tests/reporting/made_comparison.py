"""Figures as `compare --json` writes them."""

import numpy as np

from tfface.metrics.seed_statistics import paired_difference, seed_statistics


def figures(names=("sgd", "adam", "adamw"), num_seeds=3, num_epochs=6, *, failed=(), metric=None):
    """Figures of made runs, each variant a little better than the one before."""
    rng = np.random.default_rng(1)
    variants, reference = [], None
    for place, name in enumerate(names):
        runs, found = [], {}
        for seed in range(num_seeds):
            is_failed = name in failed
            last = 0.7 + 0.04 * place + rng.normal(0, 0.015)
            # Early stopping ends runs of one variant at several epochs.
            epochs = np.arange(1, num_epochs + 1 - (seed if num_epochs > num_seeds else 0))
            curve = last - 0.5 * np.exp(-epochs / 2) + rng.normal(0, 0.01, len(epochs))
            if not is_failed:
                found[seed] = float(last)
            runs.append(
                {
                    "seed": seed,
                    "folder": f"comparisons/made/runs/{place}--seed-{seed}",
                    "log": f"comparisons/made/logs/{place}--seed-{seed}.txt",
                    "failure": "the loss became nan <here>" if is_failed else "",
                    "figure": None if is_failed else float(last),
                    "figures": None if is_failed else {"test_accuracy": float(last)},
                    "num_epochs": None if is_failed else len(epochs),
                    "seconds": None if is_failed else 12.5 + seed,
                    "curve": None
                    if is_failed
                    else [
                        [int(epoch), float(value)]
                        for epoch, value in zip(epochs, curve, strict=True)
                    ],
                }
            )
        difference = reference and paired_difference(found, reference)
        variants.append(
            {
                "name": name,
                "values": {"training.stages.0.optimizer.name": name},
                "figure": seed_statistics(list(found.values())).to_dict() if found else None,
                "difference": difference.to_dict() if difference else None,
                "runs": runs,
            }
        )
        reference = reference or found
    return {
        "title": "made",
        "metric": metric or "test_accuracy",
        "curve": "val_accuracy",
        "places": ["training.stages.0.optimizer.name"],
        "seeds": list(range(num_seeds)),
        "variants": variants,
    }
