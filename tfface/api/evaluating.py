"""Evaluations for users: paths in, results out that print as a table and draw themselves."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfface import arguments
from tfface.api.datasets import Source, open_source
from tfface.api.embedding import Embedder, Model, as_embedder
from tfface.data.pairs import PairSet, find_format, load_pair_set, synthetic
from tfface.data.pairs.template_set import TemplateSet
from tfface.data.sources.image_source import ImageSource, SourceFilenames, SourceImages
from tfface.errors import InputError, warn
from tfface.evaluation import classification, verification
from tfface.evaluation.classification import Classification, SeenIdentities, seen_identities
from tfface.evaluation.classifier import Classifier, load_classifier
from tfface.evaluation.embedders.embedder import RawPixelEmbedder
from tfface.evaluation.labeled_faces import (
    LabeledFaces,
    hold_out_identities,
    labeled_faces,
    split_gallery_and_queries,
    true_labels,
)
from tfface.evaluation.model_check import model_warnings
from tfface.evaluation.sanity_checks import preprocessing_warning
from tfface.evaluation.verification import Verification
from tfface.metrics.identification import UNKNOWN
from tfface.paths import data_dir as resolve_data_dir
from tfface.paths import expanded
from tfface.training.run_folder import RunFolder
from tfface.training.training_identities import (
    read_training_identities,
    training_images_warnings,
)

if TYPE_CHECKING:
    from tfface.evaluation.identification import Identification


def evaluate_verification(
    model: Model,
    pairs: str | os.PathLike[str] | PairSet | TemplateSet,
    *,
    image_root: str | os.PathLike[str] | None = None,
    quality_weights: bool = True,
    check: bool = True,
) -> Verification:
    """Evaluates a model on pairs of aligned faces: accuracy, TAR@FAR, EER, AUC and a threshold.

    Args:
        model: what `load_embedder` returns, or its argument; or a Keras model.
        pairs: an InsightFace `.bin`, a list like LFW's `pairs.txt`, a CSV of pairs, a bcolz folder,
            or the word `synthetic`; "name=path" renames a set. Or a set in memory.
        image_root: folder of the images of a text list; by default the folder `images` beside it.
        quality_weights: for a `TemplateSet`: weigh images by their detection scores.
        check: look at a sample of the images, and warn if faces are not aligned or if another pixel
            format suits the model clearly better; warn if a run was trained on these images.

    Returns:
        The metrics. `result.threshold.cosine` is the threshold for `compare`.

    Raises:
        InputError: the set or the model can't be loaded, an image can't be decoded, or its
            embedding is all zeros or not finite.

    Example:
        >>> import numpy as np
        >>> import tfface
        >>> from tfface.data.pairs.pair_file import PairOptions, make_pair_set
        >>> source = tfface.open_source(
        ...     "{source: synthetic, num_identities: 4, images_per_identity: 3, size: 32}"
        ... )
        >>> pairs, _ = make_pair_set(source, PairOptions(num_folds=2))
        >>> result = tfface.evaluate_verification("pixels", pairs)
        >>> result.num_pairs, sorted(result.to_dict())[:3]
        (24, ['accuracy', 'auc', 'auc_interval'])
        >>> figure = result.plot()
    """
    embedder = as_embedder(model)
    if not isinstance(pairs, str | os.PathLike | PairSet | TemplateSet):
        raise arguments.wrong("pairs", "a path, the word synthetic, or a set in memory", pairs)
    if isinstance(pairs, TemplateSet):
        return verification.evaluate_templates(embedder.embedder, pairs, use_scores=quality_weights)
    is_synthetic = not isinstance(pairs, PairSet) and find_format(pairs)[0] is synthetic
    if not isinstance(pairs, PairSet):
        root = None if image_root is None else expanded(image_root)
        pairs = load_pair_set(pairs, images_dir=root)
    if check and not isinstance(embedder.embedder, RawPixelEmbedder):
        embedder.warn_of_model(pairs.images, pairs.image_names)
        if warning := preprocessing_warning(embedder.embedder, pairs):
            warn(warning)
        if not is_synthetic:
            embedder.warn_of_unaligned(pairs.images, pairs.image_names, pairs.name)
        embedder.warn_of_training_images(pairs.images, pairs.name)
    return verification.evaluate_verification(embedder.embedder, pairs)


def evaluate_identification(
    model: Model,
    gallery: Source | LabeledFaces,
    queries: Source | LabeledFaces | None = None,
    *,
    gallery_shots: int | None = None,
    open_set_fraction: float = 0.0,
    seed: int = 0,
    index: str = "flat",
    search_width: int | None = None,
    distance: str = "cosine",
    mean_template: bool = False,
    check: bool = True,
) -> "Identification":
    """Evaluates a model on identification: whose face is it, or is it a stranger's?

    People are matched by their names. Queries of people who are not in the gallery are non-mated.

    Args:
        model: what `load_embedder` returns, or its argument; or a Keras model.
        gallery: aligned faces of people, as `open_source` takes them.
        queries: the faces to identify, likewise; None with `gallery_shots`.
        gallery_shots: in place of queries: so many images of each person of `gallery` are the
            gallery, and the others are queries.
        open_set_fraction: keep this share of the people out of the gallery, in [0, 1), so that
            their queries are non-mated. Without non-mated queries no threshold is recommended.
        seed: of what is drawn.
        index: `flat` compares with all embeddings; `hnsw` and `ivf` search faster and miss some.
        search_width: effort of `hnsw` and `ivf`.
        distance: `cosine` or `l2`, inside the index.
        mean_template: compare with the mean embedding of each person, not with every image.
        check: look at a sample of the images, and warn if faces are not aligned; warn if a run was
            trained on these images.

    Returns:
        The metrics. `result.threshold` of its `result` is the threshold for `Gallery.build`; None
        with too few non-mated queries.

    Raises:
        InputError: a source or the model can't be loaded, the sets have no person in common, or an
            image can't be decoded.

    Example:
        >>> import tfface
        >>> faces = "{source: synthetic, num_identities: 3, images_per_identity: 3, size: 32}"
        >>> result = tfface.evaluate_identification("pixels", faces, gallery_shots=2)
        >>> result.to_dict()["num_queries"]
        3
        >>> figure = result.plot()
    """
    # Only here, because the index comes with an extra that other evaluations don't need.
    from tfface.evaluation import identification
    from tfface.evaluation.face_index import KINDS, METRICS

    arguments.number(
        "open_set_fraction", open_set_fraction, lambda value: 0 <= value < 1, "from 0 to below 1"
    )
    arguments.whole_number("seed", seed, 0, 2**32 - 1)
    arguments.one_of("index", index, KINDS)
    arguments.one_of("distance", distance, METRICS)
    if gallery_shots is not None:
        arguments.whole_number("gallery_shots", gallery_shots, 1)
    if search_width is not None:
        arguments.whole_number("search_width", search_width, 1, 1_000_000)
    known = _labeled(gallery)
    if queries is None and gallery_shots is not None:
        known, unknown = split_gallery_and_queries(known, gallery_shots, seed, open_set_fraction)
    elif queries is not None and gallery_shots is None:
        unknown = _labeled(queries)
        if open_set_fraction:
            with_queries = np.setdiff1d(true_labels(known, unknown, UNKNOWN), [UNKNOWN])
            stay = hold_out_identities(known, open_set_fraction, seed, with_queries)
            known = known.take(np.flatnonzero(stay))
    else:
        raise InputError(
            "give either queries, the faces to identify, or gallery_shots, the number of images of "
            "each person that stay in the gallery"
        )
    identification.check_sets(known, unknown)
    embedder = as_embedder(model)
    if check:
        embedder.warn_of_model(known.images, known.image_names)
        for faces in (known, unknown):
            embedder.warn_of_unaligned(faces.images, faces.image_names, faces.name)
            embedder.warn_of_training_images(faces.images, faces.name)
    return identification.evaluate_identification(
        embedder.embedder,
        known,
        unknown,
        kind=index,
        effort=search_width,
        metric=distance,
        one_template=mean_template,
    )


def evaluate_classification(
    model: str | os.PathLike[str] | Classifier | Embedder,
    data: Source,
    *,
    group_by: str | None = None,
    person: str | None = None,
    seen: Source | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    check: bool = True,
) -> Classification:
    """Evaluates a classifier on labeled images: accuracy, precision, recall and calibration.

    Args:
        model: a run folder, or what `load_classifier` returns.
        data: labeled images, as `open_source` takes them. Its identities are the model's classes,
            by name.
        group_by: an attribute of the images; metrics are also computed for each of its values.
        person: the attribute that says who is shown, to tell people who were in training from
            those who were not; `subfolder` for CLASS/PERSON/IMAGE.jpg.
        seen: the training images, with the same attribute; by default those of the run's recipe.
        data_dir: where the recipe's relative paths start; by default $TFFACE_DATA or `data`.
        check: try the model on a sample of the images, and warn if its output is damaged, or if a
            run was trained on these images.

    Returns:
        The metrics.

    Raises:
        InputError: the model or the data can't be loaded, the run has no classifier, an identity is
            not a class, or an attribute does not exist.

    Example:
        >>> import numpy as np
        >>> import tfface
        >>> def first_class(embeddings):
        ...     return np.tile(np.float32([0.9, 0.1]), (len(embeddings), 1))
        >>> pixels = tfface.load_embedder("pixels").embedder
        >>> classifier = tfface.Classifier(pixels, first_class, ["000000", "000001"])
        >>> faces = "{source: synthetic, num_identities: 2, images_per_identity: 2, size: 32}"
        >>> result = tfface.evaluate_classification(classifier, faces)
        >>> result.to_dict()["accuracy"]
        0.5
        >>> figure = result.plot()
    """
    run_dir = None
    for name, attribute in (("group_by", group_by), ("person", person)):
        if attribute is not None:
            arguments.text(name, attribute)
    if isinstance(model, Embedder):
        if model.path is None:
            raise InputError("a model in memory has no classes: give its run folder")
        model = model.path
    if not isinstance(model, Classifier):
        run_dir = expanded(model)
        model = load_classifier(run_dir)
    source = open_source(data)
    people = _seen_people(run_dir, person, seen, data_dir)
    if check:
        for warning in classification_warnings(model, source, run_dir, resolve_data_dir(data_dir)):
            warn(warning)
    return classification.evaluate_classification(model, source, group_by=group_by, people=people)


def classification_warnings(
    classifier: Classifier, source: ImageSource, run_dir: Path | None, data_dir: Path
) -> list[str]:
    """Returns warnings of a damaged model, and of images that it was trained on.

    Says where it isn't known what the model was trained on, too.

    Args:
        classifier: the model.
        source: the images to classify.
        run_dir: the model's path, which may be a run folder; None for a model in memory.
        data_dir: where the recipe's relative paths start.
    """
    everything = range(source.num_images)
    images, names = SourceImages(source, everything), SourceFilenames(source, everything)
    found = []
    if not isinstance(classifier.embedder, RawPixelEmbedder):
        found += model_warnings(classifier.embedder, images, names)
    if run_dir is not None:
        sets = [(images, source.name)]
        found += training_images_warnings(run_dir, data_dir, sets, say_if_gone=True)
    return found


def _seen_people(
    run_dir: Path | None,
    person: str | None,
    seen: Source | None,
    data_dir: str | os.PathLike[str] | None,
) -> SeenIdentities | None:
    """Returns the people in the training images; None if neither argument asks for them."""
    if person is None:
        if seen is not None:
            raise InputError("seen: needs person, the name of the attribute that says who is shown")
        return None
    if seen is not None:
        source = open_source(seen)
        return seen_identities(source, person, where=source.name)
    if run_dir is None or not RunFolder(run_dir).recipe.is_file():
        raise InputError(
            "person: this model is not a run folder, so its training images are "
            "unknown: give them as seen=SOURCE"
        )
    return read_training_identities(run_dir, resolve_data_dir(data_dir), person)


def _labeled(given: Source | LabeledFaces) -> LabeledFaces:
    return given if isinstance(given, LabeledFaces) else labeled_faces(open_source(given))
