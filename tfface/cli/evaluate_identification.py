"""Identify faces with a model: whose face is it, among the people of a gallery, or nobody's?

Example:
    tfface evaluate identification runs/my_run --gallery data/staff --query data/door_camera \\
        --json figures.json --plots plots/ --report report.html

People are matched by their names. Queries of people who are not in the gallery are strangers, who
should get no name. With one set of faces, N images of each person become the gallery and the
others are queries; --open-set-fraction keeps a share of the people out of the gallery, as
strangers:
    tfface evaluate identification runs/my_run --gallery data/my_faces --gallery-shots 5 \\
        --open-set-fraction 0.5

Models want aligned faces, as tfface align makes them.
"""

import argparse

from tfface.cli import command, model_options, outputs
from tfface.errors import InputError, say, warn

_SOURCE = "faces of people: a SOURCE as 'tfface convert' takes it (a folder with one folder for \
each person, a converted dataset, a .csv, ...); NAME=SOURCE renames it"


def main(arguments: list[str] | None = None) -> None:
    options = _parse(arguments)
    command.import_tensorflow_quietly()
    from tfface.data.sources.opening import source_paths
    from tfface.evaluation.identification import check_sets, evaluate_identification
    from tfface.evaluation.identification_plots import plot_identification
    from tfface.reporting import identification_tables
    from tfface.reporting.html import write_report

    given = (options.gallery, options.query)
    outputs.check(options, [path for one in given if one for path in source_paths(one)])
    gallery, queries = _open_sets(options)
    check_sets(gallery, queries)
    embedder = model_options.load(options)
    warnings = model_options.model_warnings(options, embedder, gallery.images, gallery.image_names)
    warnings += _warnings(options, [gallery] if options.query is None else [gallery, queries])
    for warning in warnings:
        warn(warning)

    found = evaluate_identification(
        embedder,
        gallery,
        queries,
        kind=options.index,
        effort=options.search_width,
        metric=options.distance,
        one_template=options.mean_template,
    )
    label = options.label or options.model
    figures = {"model": label, **found.to_dict()}
    say(identification_tables.to_text(figures))
    outputs.write(
        options,
        figures,
        draw=lambda folder: plot_identification(found, folder),
        report=lambda path, **parts: write_report(
            path,
            "identification",
            title=f"Identification: {label} on {figures['gallery']}",
            metrics=figures,
            warnings=warnings,
            **parts,
        ),
        rows=[identification_tables.result_row(label, figures)],
    )


def _warnings(options: argparse.Namespace, sets: list) -> list[str]:
    found = model_options.alignment_warnings(
        options, [(faces.images, faces.image_names, faces.name) for faces in sets]
    )
    if not options.check or options.model == "pixels":
        return found
    with_names = [(faces.images, faces.name) for faces in sets]
    return [*found, *model_options.training_images_warnings(options, with_names)]


def _open_sets(options: argparse.Namespace):
    """Returns gallery and queries."""
    import numpy as np

    from tfface.data.sources.opening import open_source
    from tfface.evaluation.labeled_faces import (
        hold_out_identities,
        labeled_faces,
        split_gallery_and_queries,
        true_labels,
    )
    from tfface.metrics.identification import UNKNOWN

    gallery = labeled_faces(open_source(options.gallery).source)
    if options.query is None:
        return split_gallery_and_queries(
            gallery, options.gallery_shots, options.seed, options.open_set_fraction
        )
    queries = labeled_faces(open_source(options.query).source)
    if options.open_set_fraction:
        with_queries = np.setdiff1d(true_labels(gallery, queries, UNKNOWN), [UNKNOWN])
        stay = hold_out_identities(gallery, options.open_set_fraction, options.seed, with_queries)
        gallery = gallery.take(np.flatnonzero(stay))
    return gallery, queries


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = command.Parser(description=__doc__)
    model_options.add(parser)
    model_options.add_check(parser)
    model_options.add_precision(parser)
    parser.add_argument("--gallery", required=True, metavar="SOURCE", help=_SOURCE)
    parser.add_argument("--query", metavar="SOURCE", help="the faces to be named, likewise")
    parser.add_argument(
        "--gallery-shots",
        type=command.positive,
        metavar="N",
        help="instead of --query, split --gallery: this many images of each person, drawn with "
        "--seed, are the gallery, and the others are queries",
    )
    parser.add_argument(
        "--open-set-fraction",
        type=_share,
        default=0.0,
        metavar="FRACTION",
        help="leave this share of the people out of the gallery, so that their queries are of "
        "strangers (default 0)",
    )
    parser.add_argument(
        "--seed",
        type=command.natural,
        default=0,
        metavar="N",
        help="random seed (default 0)",
    )
    parser.add_argument(
        "--mean-template",
        action="store_true",
        help="compare with the mean embedding of each person, not with every image",
    )
    parser.add_argument(
        "--distance",
        choices=["cosine", "l2"],
        default="cosine",
        help="inner product, or squared L2 distance (FAISS's IndexFlatL2); embeddings have norm "
        "1, so both rank alike, and results are in cosines (default cosine)",
    )
    parser.add_argument(
        "--index",
        choices=["flat", "hnsw", "ivf"],
        default="flat",
        help="flat compares with all embeddings; hnsw and ivf search faster, with FAISS, and the "
        "share of flat's results that they find is shown (default flat)",
    )
    parser.add_argument(
        "--search-width",
        type=command.search_width,
        metavar="N",
        help="size of hnsw's candidate list (default 512), or cells that ivf searches (default "
        "256): a larger number finds more and takes longer",
    )
    outputs.add(
        parser,
        pictures="CMC, open set, similarities and the worst mistakes",
        picture_names="cmc|top_similarities|open_set|misidentified|strangers",
        json_lines=("{", '  "model": ', '  "gallery": ', '  "query": ', '  "rank1": '),
        report_kind="identification",
    )
    options = model_options.parse(parser, arguments)
    if (options.query is None) == (options.gallery_shots is None):
        raise InputError(
            "give either --query SOURCE, the faces to be named, or --gallery-shots N, so many "
            "images of each person of --gallery to be the gallery"
        )
    if options.search_width is not None and options.index == "flat":
        raise InputError(
            "--search-width: flat compares with all embeddings; it is for hnsw and ivf"
        )
    return options


def _share(text: str) -> float:
    return command.number(text, lambda value: 0 <= value < 1, "a number from 0 to below 1")
