"""The public functions and classes of tfface, which `import tfface` offers by their names.

    training.py     train, build_embedder
    embedding.py    load_embedder and what it returns
    faces.py        align
    comparing.py    compare
    evaluating.py   evaluate_verification, evaluate_identification, evaluate_classification
    galleries.py    Gallery
    datasets.py     open_source, image_dataset

They take paths, names and arrays where the rooms below take opened objects, and check what a user
may get wrong.
"""
