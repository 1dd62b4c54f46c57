"""Figures as `eval_identification --json` writes them."""


def figures(**others):
    points = [
        {
            "fpir": fpir,
            "tpir": tpir,
            "measured_fpir": fpir,
            "fnir": 1 - tpir,
            "wrong_name": 0.004,
            "threshold": threshold,
            "sufficient": fpir > 1e-3,
        }
        for fpir, tpir, threshold in (
            (1e-1, 0.96, 0.31),
            (1e-2, 0.931, 0.40561),
            (1e-3, 0.9, 0.5),
        )
    ]
    made = {
        "model": "faces",
        "gallery": "staff",
        "query": "door",
        "rank1": 0.97,
        "rank5": 0.99,
        "rank10": 1.0,
        "cmc": [0.97, 0.98, 0.98, 0.98, 0.99, 0.99, 0.99, 0.99, 0.99, 1.0, 1.0, 1.0],
        "tpir_at_fpir": points,
        "threshold": {"cosine": 0.40561, "squared_l2": 1.18878, "fpir": 1e-2, "tpir": 0.931},
        "num_identities": 12,
        "num_mated": 1000,
        "num_non_mated": 500,
        "num_gallery": 1234,
        "num_queries": 1500,
        "num_same_images": 0,
        "one_template": False,
        "metric": "cosine",
        "index": {
            "kind": "flat",
            "parameters": "",
            "num_embeddings": 1234,
            "recall_at_1": 1.0,
            "recall_at_10": 1.0,
        },
    }
    return made | others
