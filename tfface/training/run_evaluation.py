"""The evaluation at the end of a run: classification, verification, plots and report."""

import keras

from tfface.data.pairs import PairSet
from tfface.data.sources.image_source import ImageSource
from tfface.errors import note
from tfface.evaluation.classification import Classification, evaluate_classification
from tfface.evaluation.classification_plots import plot_classification
from tfface.evaluation.classifier import Classifier
from tfface.evaluation.embedders.keras_model import KerasEmbedder
from tfface.evaluation.verification import evaluate_verification
from tfface.evaluation.verification_plots import plot_verification
from tfface.files import write_json
from tfface.heads.head_file import load_head
from tfface.metrics.verification import VerificationResult
from tfface.recipe import Recipe, dump
from tfface.reporting import classification_tables, verification_tables
from tfface.reporting.html import Plot, write_report
from tfface.reporting.metrics_log import epoch_records, read_metrics
from tfface.reporting.plots import plot_training_curves
from tfface.training.datasets import RunData
from tfface.training.run_folder import RunFolder, environment


def evaluate_run(embedder: keras.Model, recipe: Recipe, data: RunData, run: RunFolder) -> None:
    """Evaluates a trained embedder as its recipe says, and writes JSON, plots and report.

    The report is written last: it marks the run as finished.

    Args:
        embedder: images -> embeddings.
        recipe: for the report.
        data: with the test images and verification sets.
        run: where the trained head is and everything is written.
    """
    classification = None
    if data.test_images is not None:
        classification = _classify(embedder, data.test_images, data.identities, run)
    verification = _verify(embedder, data.test_sets, run)

    epochs = epoch_records(read_metrics(run.metrics))
    plot_training_curves(run.curves, epochs, title=run.path.name)
    plots = [Plot(run.curves, "Training and validation metrics by epoch.")]
    if classification:
        plots += plot_classification(classification, data.test_images, run.plots)
    if verification:
        plots += plot_verification(verification, data.test_sets, run.plots)
    write_report(
        run.report,
        "run",
        title=run.path.name,
        classification=classification and classification.to_dict(),
        sets={name: result.to_dict() for name, result in verification.items()},
        plots=plots,
        epochs=epochs,
        recipe=dump(recipe),
        environment=environment() | {"precision": run.precision()},
    )
    if classification or verification:
        note(f"plots: {run.plots}")
    note(f"report: {run.report}")


def _classify(
    embedder: keras.Model, test_images: ImageSource, identities: list[str], run: RunFolder
) -> Classification:
    """Classifies test images with the trained head, and prints the tables."""
    # From its file: in training its weights may have been divided among devices.
    head = load_head(run.head).head
    classifier = Classifier(
        KerasEmbedder(embedder, run.path.name, flip=False),
        lambda embeddings: keras.ops.convert_to_numpy(head.probabilities(embeddings)),
        identities,
    )
    classification = evaluate_classification(classifier, test_images)
    write_json(run.classification, classification.to_dict())
    note(classification_tables.to_text(classification.to_dict()))
    return classification


def _verify(
    trained: keras.Model, test_sets: list[PairSet], run: RunFolder
) -> dict[str, VerificationResult]:
    """Measures the trained embedder on verification sets, and prints the table."""
    if not test_sets:
        return {}
    embedder = KerasEmbedder(trained, run.path.name)
    results = {pairs.name: evaluate_verification(embedder, pairs) for pairs in test_sets}
    metrics = {name: result.to_dict() for name, result in results.items()}
    write_json(run.verification, {"sets": metrics})
    note(verification_tables.to_text(metrics))
    return results
