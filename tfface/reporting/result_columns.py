"""The columns of results/*.csv, shared by all files.

Names are in snake case and end in the unit: _s, _ms, _us, _mb (1e6 bytes), _mib (2**20 bytes),
_per_s. Shares are fractions. Cells contain decimal numbers, `true` or `false`, or text; an empty
cell is a missing value. `format` defines how tables show a cell.
"""

from collections.abc import Iterable
from dataclasses import dataclass

# Values of `Column.format` that are not format specifications of Python.
TEXT = "text"
BOOLEAN = "boolean"
# Two decimals below 1, one below 100, none from there on.
SHORT = "short"
# Likewise, but two decimals below 10.
RATIO = "ratio"

# Rates at which TAR and TPIR are shown, and how columns name them; JSON files may hold more.
SHOWN_FARS = {1e-2: "1e-2", 1e-3: "1e-3", 1e-4: "1e-4"}
SHOWN_FPIRS = {1e-1: "1e-1", 1e-2: "1e-2", 1e-3: "1e-3"}

_COUNT, _SECONDS, _MS, _MIB = ",d", ",.2f", ",.0f", ",.0f"
_PERCENT, _WHOLE_PERCENT = ".2%", ",.0%"


@dataclass(frozen=True)
class Column:
    """The meaning of a column, and its format in tables.

    Attributes:
        description: of a value.
        heading: of the column in a table, with the unit if there is one.
        format: of a cell in a table: TEXT, BOOLEAN (yes or no), SHORT, RATIO, or a format
            specification of Python for a number.
        unit: of a number; "" for counts, shares and ratios.
    """

    description: str
    heading: str
    format: str = TEXT
    unit: str = ""


def _at_rates(
    rate: str, at: str, limits: Iterable[str], description: str, too_few: str
) -> dict[str, Column]:
    """Returns the columns of a rate at limits of another rate, and whether these are resolved."""
    found = {}
    for limit in limits:
        name = f"{rate}_at_{at}_{limit}"
        heading = f"{rate.upper()}@{at.upper()}={limit}"
        found[name] = Column(f"{description} {limit}", heading, _PERCENT)
        found[f"{name}_sufficient"] = Column(
            f"false if there are too few {too_few} to measure this {at.upper()}; tables mark the "
            "rate by *",
            f"{heading} is resolved",
            BOOLEAN,
        )
    return found


COLUMNS: dict[str, Column] = {
    # --- where a row comes from: provenance.py ---
    "commit": Column(
        "of the code, -dirty if files differed from it; for rows older than this column, the one "
        "that added them",
        "Commit",
    ),
    "date": Column("of the measurement, or of that commit", "Date"),
    "machine": Column("system, number of processors, their model and features", "Machine"),
    "tensorflow": Column("version", "TensorFlow"),
    "keras": Column("version", "Keras"),
    "command": Column("of the measurement, in the checkout", "Command"),
    "backend": Column("of Keras", "Backend"),
    "faiss": Column("version of FAISS", "FAISS"),
    # --- what was measured ---
    "model": Column("as --label names it", "Model"),
    "dataset": Column("of the evaluated images", "Data"),
    "subset": Column(
        "of these images: all, a group, identities seen or unseen in training, ...", "Images of"
    ),
    "pair_set": Column("verification set", "Set"),
    "gallery": Column("set of the gallery's images", "Gallery"),
    "comparison": Column("of several variants of a recipe", "Comparison"),
    "variant": Column("of the recipe: the varied values", "Variant"),
    "metric": Column("by which variants are compared", "Metric"),
    "implementation": Column(
        "of the training step: tfface, tfface by Keras' `fit`, the frozen backbone's forward pass "
        "alone, or plain keras or tf_keras",
        "Implementation",
    ),
    "stage": Column("of the recipe's training", "Stage"),
    "pipeline_stage": Column("last stage of the input pipeline, including all before it", "Up to"),
    "operation": Column("that is timed", "Operation"),
    "workload": Column("that was killed and resumed", "Workload"),
    "index": Column("kind of FAISS index", "Index"),
    "index_parameters": Column("of the index and its search", "Parameters"),
    "precision": Column("of training, or of an exported file", "Precision"),
    "format": Column("of the model's file", "Format"),
    "xla": Column("whether the step is compiled by XLA", "XLA", BOOLEAN),
    "onednn": Column("whether TensorFlow uses oneDNN", "oneDNN", BOOLEAN),
    "distribution": Column("mode of distributed training", "Mode"),
    "baseline": Column("that the row is compared with", "Baseline"),
    # --- sizes ---
    "num_images": Column("images: of the data, of an epoch, of a measurement", "Images", _COUNT),
    "num_identities": Column("identities of these images, or of the head", "Identities", _COUNT),
    "num_pairs": Column("pairs of images or templates", "Pairs", _COUNT),
    "gallery_size": Column("embeddings in the gallery", "Gallery size", _COUNT),
    "embedding_size": Column("dimension of an embedding", "Embedding size", _COUNT),
    "num_mated_queries": Column(
        "queries whose identity is in the gallery", "Mated queries", _COUNT
    ),
    "num_nonmated_queries": Column(
        "queries whose identity is not in the gallery", "Non-mated queries", _COUNT
    ),
    "batch_size": Column("images of a batch", "Batch", _COUNT),
    "num_epochs": Column("epochs of a run, the mean over runs", "Epochs", ",g"),
    "num_runs": Column("successful runs, one per seed", "Runs", _COUNT),
    "num_failed_runs": Column("runs that failed", "Failed", _COUNT),
    "num_threads": Column("threads of a parallel search", "Threads", _COUNT),
    "num_machines": Column("machines in training", "Machines", _COUNT),
    "devices_per_machine": Column("devices of each machine", "Devices each", _COUNT),
    "model_mb": Column("size of the model's file", "Size (MB)", ",.1f", "MB"),
    "data_mb": Column("size of the images' files", "Size (MB)", ",.0f", "MB"),
    # --- an exported file beside the original: tfface/exporting/parity.py ---
    "cosine_min": Column(
        "cosine of an image's embeddings by the file and by the original, the least",
        "Cosine, min",
        ".6f",
    ),
    "cosine_mean": Column("the same, the mean", "Cosine, mean", ".6f"),
    "relative_error": Column(
        "norm of their difference divided by the norm of the original's, the largest",
        "Relative difference",
        ".1e",
    ),
    # --- verification and identification ---
    "accuracy_mean": Column("verification accuracy, mean over ten folds", "Accuracy", _PERCENT),
    "accuracy_std": Column("its standard deviation over the folds", "Accuracy, std", _PERCENT),
    "accuracy_ci_low": Column("lower end of the accuracy's 95 % CI", "95% CI, low", _PERCENT),
    "accuracy_ci_high": Column("upper end of the accuracy's 95 % CI", "95% CI, high", _PERCENT),
    **_at_rates(
        "tar",
        "far",
        SHOWN_FARS.values(),
        "true accept rate at a false accept rate of",
        "impostor pairs",
    ),
    "eer": Column("equal error rate", "EER", _PERCENT),
    "auc": Column("area under the ROC curve", "AUC", ".4f"),
    "rank1": Column("rank-1 identification rate", "Rank-1", _PERCENT),
    "rank5": Column("rank-5 identification rate", "Rank-5", _PERCENT),
    "rank10": Column("rank-10 identification rate", "Rank-10", _PERCENT),
    **_at_rates(
        "tpir",
        "fpir",
        SHOWN_FPIRS.values(),
        "true positive identification rate at a false positive identification rate of",
        "non-mated queries",
    ),
    "threshold_cosine": Column(
        "recommended minimum cosine of a match, rounded up",
        "Threshold (cosine)",
        ".3f",
    ),
    # --- classification and comparisons ---
    "accuracy": Column("classification accuracy", "Accuracy", _PERCENT),
    "top5_accuracy": Column("top-5 accuracy", "Top-5", _PERCENT),
    "macro_recall": Column("recall, mean over classes", "Macro recall", _PERCENT),
    "ece": Column("expected calibration error", "ECE", ".3f"),
    "log_loss": Column("cross-entropy", "Log loss", ".3f"),
    "metric_mean": Column("mean of the metric over seeds", "Mean", ".4f"),
    "metric_std": Column("its standard deviation over seeds", "Std", ".4f"),
    "metric_min": Column("its lowest value", "Min", ".4f"),
    "metric_max": Column("its highest value", "Max", ".4f"),
    "difference_mean": Column(
        "mean over seeds of the difference to the first variant", "Difference", "+.4f"
    ),
    "difference_std_error": Column("its standard error", "Difference, std error", ".4f"),
    "run_s": Column("one run, the mean", "Run (s)", ",.0f", "s"),
    # --- time ---
    "step_ms": Column("one training step, the median", "Step (ms)", _MS, "ms"),
    "first_epoch_s": Column(
        "first epoch, which decodes, fills caches and compiles", "First epoch (s)", _SECONDS, "s"
    ),
    "steady_epoch_s": Column("later epoch, the median", "Steady epoch (s)", _SECONDS, "s"),
    "startup_s": Column("the same command when nothing is left to do", "Start-up (s)", ",.1f", "s"),
    "conversion_s": Column("conversion, start-up apart", "Conversion (s)", ",.1f", "s"),
    "time_ms": Column("the operation, the best of several runs", "Time (ms)", SHORT, "ms"),
    "image_ms_1_thread": Column(
        "one image at a time with one thread, the median", "Image (ms), 1 thread", ",.1f", "ms"
    ),
    "image_ms_2_threads": Column(
        "one image at a time with two threads, the median", "Image (ms), 2 threads", ",.1f", "ms"
    ),
    "build_s": Column("building the index", "Build (s)", ",.1f", "s"),
    "query_ms": Column("one query at a time", "Query (ms)", ",.2f", "ms"),
    "queries_per_s_1_thread": Column(
        "queries per second with one thread", "Queries/s, 1 thread", SHORT, "queries/s"
    ),
    "queries_per_s": Column(
        "queries per second with all threads", "Queries/s, all threads", SHORT, "queries/s"
    ),
    "images_per_s": Column("images per second, the median", "Images/s", SHORT, "images/s"),
    "images_per_s_min": Column("of the slowest round", "Images/s, min", SHORT, "images/s"),
    "images_per_s_max": Column("of the fastest round", "Images/s, max", SHORT, "images/s"),
    "mb_per_s": Column("megabytes per second", "MB/s", ",.0f", "MB/s"),
    "stage_cost_us": Column(
        "time per image that the stage adds", "Cost per image (us)", "+,.1f", "us"
    ),
    "baseline_s": Column("time of the baseline", "Baseline (s)", ",.1f", "s"),
    "baseline_ms": Column("time of the baseline", "Baseline (ms)", SHORT, "ms"),
    "relative_time": Column(
        "time divided by the baseline's; if interleaved, the median over the rounds",
        "Relative time",
        RATIO,
    ),
    "speedup": Column(
        "the baseline's time divided by this one; if interleaved, the median over the rounds",
        "Speed-up",
        SHORT,
    ),
    "relative_to_decode": Column(
        "images per second as a share of parsing and decoding alone",
        "Of parse + decode alone",
        _WHOLE_PERCENT,
    ),
    "flops_utilization": Column(
        "operations per second as a share of those of a matrix product on the same machine",
        "FLOPS utilization",
        _WHOLE_PERCENT,
    ),
    "data_wait_fraction": Column(
        "share of steady epochs in which training waited for data", "Data wait", _WHOLE_PERCENT
    ),
    "cpu_utilization": Column(
        "share of all processors that steady epochs kept busy", "CPU utilization", _WHOLE_PERCENT
    ),
    # --- recall of approximate search ---
    "recall_at_1": Column("share of the nearest embeddings found", "Recall@1", _PERCENT),
    "recall_at_10": Column("share of the 10 nearest embeddings found", "Recall@10", _PERCENT),
    # --- memory ---
    "peak_memory_mib": Column("largest resident memory", "Peak memory (MiB)", _MIB, "MiB"),
    "baseline_peak_memory_mib": Column(
        "that of the baseline", "Baseline's peak (MiB)", _MIB, "MiB"
    ),
    "index_mib": Column("size of the index", "Index (MiB)", _MIB, "MiB"),
    "warmup_epochs": Column("epochs after which memory should not grow", "Warm-up epochs", _COUNT),
    "memory_after_warmup_mib": Column(
        "resident memory after them", "Memory after warm-up (MiB)", _MIB, "MiB"
    ),
    "memory_at_end_mib": Column(
        "resident memory at the end", "Memory at the end (MiB)", _MIB, "MiB"
    ),
    "memory_growth_per_epoch_mib": Column(
        "slope of a line fitted between them", "Growth per epoch (MiB)", "+.3f", "MiB"
    ),
    "open_files_after_warmup": Column("open files", "Open files after warm-up", _COUNT),
    "open_files_at_end": Column("open files", "Open files at the end", _COUNT),
    "threads_after_warmup": Column("threads of the process", "Threads after warm-up", _COUNT),
    "threads_at_end": Column("threads of the process", "Threads at the end", _COUNT),
    # --- checkpoints and kills ---
    "checkpoint_mib": Column("size of a checkpoint", "Checkpoint (MiB)", _MIB, "MiB"),
    "checkpoint_wait_s": Column(
        "time that a step waits for the copy, the median", "Wait (s)", _SECONDS, "s"
    ),
    "checkpoint_cost_s": Column(
        "additional time of the steps with a checkpoint, the median", "Cost (s)", _SECONDS, "s"
    ),
    "checkpoint_cost_fraction": Column(
        "the same as a share, for one checkpoint per minute", "Cost at one a minute", ".1%"
    ),
    "kills_any_time": Column("kills at any time", "Any time", _COUNT),
    "kills_in_training": Column("kills during training", "Training", _COUNT),
    "kills_in_write": Column("kills while a file is written", "Write", _COUNT),
    "kills_between_stages": Column("kills between two stages", "Between stages", _COUNT),
    "kills_in_evaluation": Column("kills during evaluation", "Evaluation", _COUNT),
    "num_kills": Column("kills", "Kills", _COUNT),
    "num_compared": Column("outputs compared with an uninterrupted run", "Compared", _COUNT),
    "num_different": Column("differences found", "Different", _COUNT),
    # --- computed scaling over devices ---
    "center_memory_mb": Column(
        "class centers, gradient and momentum on a device", "Centers (MB)", ",.0f", "MB"
    ),
    "logits_memory_mb": Column("logits on a device", "Logits (MB)", ",.0f", "MB"),
    "communication_mb": Column("sent by a device in a step", "Sent (MB)", ",.0f", "MB"),
    "compute_ms": Column("computing in a step", "Compute (ms)", ",.1f", "ms"),
    "communication_ms": Column("sending in a step", "Sending (ms)", ",.1f", "ms"),
    "scaling_efficiency": Column(
        "images per second of a device as a share of those of a single one",
        "Efficiency",
        _WHOLE_PERCENT,
    ),
}
