"""Figures as `eval_verification --json` writes them for one set."""


def figures(tar_at_finest=0.5):
    return {
        "num_pairs": 6000,
        "num_genuine": 3000,
        "accuracy": {"mean": 0.9930, "std": 0.0041, "folds": [0.993] * 10},
        "threshold": {"cosine": 0.4, "squared_l2": 1.2},
        "tar_at_far": [
            {
                "far": far,
                "tar": tar,
                "measured_far": min(far, 1e-3),
                "threshold_cosine": 0.45501,
                "sufficient": far > 1e-4,
            }
            for far, tar in ((1e-2, 0.99), (1e-3, 0.98), (1e-4, tar_at_finest))
        ],
        "eer": 0.007,
        "auc": 0.9989,
        "embedding_norm": 137.9,
    }
