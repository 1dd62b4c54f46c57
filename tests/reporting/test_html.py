"""HTML reports: their content, escaping of untrusted text, and the layout on desktop and phone."""

from pathlib import Path

import jinja2
import numpy as np
import pytest

from tests.reporting import sample_metrics
from tests.reporting.browser import DESKTOP, PHONE, check_readable, open_page
from tests.reporting.page_parser import read_page
from tfface.errors import InputError
from tfface.output_paths import check_replaceable
from tfface.reporting.html import Plot, report_mark, write_report
from tfface.reporting.plots import plot_training_curves

HOSTILE = "</title></style><script>document.title='run'</script><img src=x onerror=alert(1)>\"'&"
# As many columns as a run has that validates on pairs and on images.
MEASURED = {
    **dict.fromkeys(("accuracy", "val_verification_accuracy", "val_verification_auc"), 0.91234),
    **{"val_verification_eer": 0.1, "val_verification_threshold": 0.3456, "learning_rate": 1e-3},
    **{"epoch_seconds": 41.123, "images_per_second": 1234.5, "data_wait_fraction": 0.0123},
}
EPOCHS = [
    {"epoch": 1, "step": 10, "stage": "head", "loss": 3.14159, "val_loss": None, **MEASURED},
    {"epoch": 2, "step": 20, "stage": "head", "loss": 2.0, "val_accuracy": 0.5, **MEASURED},
]


@pytest.fixture(scope="module")
def plots(tmp_path_factory):
    """A chart and a contact sheet."""
    path = tmp_path_factory.mktemp("plots") / "curves.png"
    plot_training_curves(path, EPOCHS)
    thumbnails = ([np.full((20, 30, 3), 90, np.uint8)] * 3, ["true: <a>\nb (99.0%)"] * 3)
    return [Plot(path, "Curves <c>."), Plot(path, "Errors <e>.", thumbnails)]


def positions(page: Path, *parts: str) -> list[int]:
    text = page.read_text(encoding="utf-8")
    return [text.index(part) for part in parts]


def test_verification(tmp_path, plots):
    page = tmp_path / "report.html"
    sets = {"lfw": sample_metrics.verification(), "b<x>": sample_metrics.verification()}
    of_set = [plot._replace(section="b<x>", caption="Of the set.") for plot in plots[:1]]
    write_report(
        page,
        "verification",
        title="a <model>: verification",
        sets=sets,
        plots=[*plots[:1], *of_set],
        environment={"python": "3.11", "packages": {"keras": "3.15"}},
        warnings=["the faces are not aligned"],
    )
    text = read_page(page)
    for words in (
        "a <model>: verification",
        "the faces are not aligned",
        "99.30 \u00b1 0.41%",
        "50.00%*",
        "too few impostor pairs",
        "b<x>: same identity if cosine >= 0.400",
        '{"keras": "3.15"}',
    ):
        assert words in text
    # Charts come before tables.
    chart, table, heading, of_set = positions(
        page, "<img", "<table", "b&lt;x&gt;</h2>", "Of the set"
    )
    assert chart < table < heading < of_set
    opened = check_readable(page, tmp_path / "browser")
    assert len(opened.tables) == 4
    assert len(opened.pictures) == 2
    assert opened.tables[1][0] == [
        "FAR",
        "TAR",
        "95% CI",
        "measured FAR",
        "cosine >=",
        "enough pairs",
    ]


def test_verification_of_one_set_starts_with_its_key_metrics(tmp_path):
    page = tmp_path / "report.html"
    sets = {"lfw": sample_metrics.verification()}
    write_report(page, "verification", title="m", sets=sets, warnings=[])
    text = read_page(page)
    assert text.index("accept if cosine >=") < text.index("Metrics")


def test_identification(tmp_path, plots):
    page = tmp_path / "report.html"
    metrics = sample_metrics.identification(num_same_images=3)
    write_report(
        page,
        "identification",
        title="Identification: faces & <names> on staff",
        metrics=metrics,
        warnings=[],
        plots=plots,
        environment={"python": "3.11"},
    )
    text = read_page(page)
    for words in (
        "Identification: faces & <names> on staff",
        "TPIR at an FPIR of 1 in 100",
        "93.10%",
        "90.00%*",
        "6.90%",
        "0.4056",
        "cosine >= 0.406",
        "too few non-mated queries",
        "byte-identical",
        "correct identity up to this rank",
        "Curves <c>.",
        "3.11",
    ):
        assert words in text
    chart, table, sheet = positions(page, "<img", "<table", "Errors &lt;e&gt;.")
    assert chart < table < sheet
    assert [len(table) for table in check_readable(page, tmp_path / "b").tables] == [2, 4, 6, 1]


def test_identification_without_non_mated_queries(tmp_path):
    page = tmp_path / "report.html"
    metrics = sample_metrics.identification(tpir_at_fpir=[], threshold=None, num_non_mated=0)
    write_report(page, "identification", title="m", metrics=metrics, warnings=[])
    text = read_page(page)
    assert "FPIR" not in text
    assert "There are no non-mated queries" in text
    assert "Errors" not in text


def test_classification(tmp_path, plots):
    page = tmp_path / "report.html"
    metrics = sample_metrics.classification(num_groups=2, with_people=True)
    write_report(
        page,
        "classification",
        metrics=metrics,
        title="net <1> on faces",
        plots=plots,
        remarks=["12 identities were seen in training."],
        environment={"python": "3.11"},
    )
    text = read_page(page)
    for words in (
        "net <1> on faces",
        "true: <a>",
        "12 identities were seen in training.",
        "class <2>",
        "95% CI: Wilson interval",
        f"{metrics['ece']:.3f}",
        f"{100 * metrics['unseen']['accuracy']:.2f}%",
        "3.11",
    ):
        assert words in text
    opened = check_readable(page, tmp_path / "browser")
    rows = {row[0]: row for row in opened.tables[0][1:]}
    for name, subset in (("all", metrics), ("light=L1", metrics["groups"]["L1"])):
        assert rows[name][1] == f"{100 * subset['accuracy']:.2f}%"
        assert rows[name][5] == str(subset["num_images"])
    classes = {row[0]: row for row in opened.tables[1][1:]}
    for name, of_class in metrics["per_class"].items():
        assert classes[name][4] == f"{100 * of_class['recall']:.2f}%"
    assert opened.tables[2][0] == ["class", "predicted as", "images", "of"]


def test_classification_without_errors(tmp_path):
    metrics = sample_metrics.classification()
    metrics["confusion"] = {name: {name: 1} for name in metrics["confusion"]}
    write_report(tmp_path / "r.html", "classification", title="t", metrics=metrics, remarks=[])
    text = read_page(tmp_path / "r.html")
    assert "confusions" not in text
    assert "Errors" not in text
    assert "Environment" not in text


def test_comparison(tmp_path, plots):
    page = tmp_path / "report.html"
    write_report(
        page,
        "comparison",
        title="made: comparison",
        metrics=sample_metrics.comparison(failed=["adam"]),
        plots=plots[:1],
        recipe="model: <m>",
        environment={"keras": "3.15"},
    )
    text = read_page(page)
    for words in (
        "made: comparison",
        "Variants by test accuracy",
        "Varied: training.stages.0.optimizer.name.",
        "Some runs failed",
        "the loss became nan <here>",
        "\u00b1",
        "Curves <c>.",
        "comparisons/made/runs/2--seed-1",
        "model: <m>",
    ):
        assert words in text
    chart, table = positions(page, "<img", "<table")
    assert chart < table
    check_readable(page, tmp_path / "browser")


def test_run(tmp_path, plots):
    page = tmp_path / "report.html"
    sample_metrics.write_run(
        page,
        title="faces & <names>",
        sets={"lfw": sample_metrics.verification()},
        classification=sample_metrics.classification(),
        plots=plots,
        epochs=EPOCHS,
        recipe="model: {backbone: <b>}\n",
        environment={"python": "3.11"},
    )
    text = read_page(page)
    for words in (
        "faces & <names>",
        "Curves <c>.",
        "99.30 \u00b1 0.41%",
        "same identity if cosine >= 0.400",
        "macro F1",
        "pairs accuracy",
        "Of two values, the upper is of training and the lower of validation.",
        "3.142",
        "model: {backbone: <b>}",
        "3.11",
    ):
        assert words in text
    chart, table, sheet, recipe = positions(page, "<img", "<table", "Errors &lt;e&gt;.", "<pre>")
    assert chart < table < sheet < recipe
    check_readable(page, tmp_path / "browser")
    # The table of epochs is wider than a phone, and scrolls in its box.
    assert any(table > box for table, box in open_page(page, tmp_path / "browser", PHONE).boxes)


def test_the_table_of_epochs_fits_a_desktop(tmp_path):
    """With all that a run may measure, of two stages, so that nothing is left out."""
    common = {"loss": 12.3456, "accuracy": 0.91234, "distillation_loss": 0.0012345}
    record = {
        "epoch": 100,
        "stage": "fine_tuning",
        "step": 1234567,
        **common,
        **{f"val_{name}": value for name, value in common.items()},
        **{f"val_verification_{name}": 0.91234 for name in ("accuracy", "auc", "eer", "threshold")},
        **{"accuracy_gap": 0.01234, "learning_rate": 1.234e-05},
        **{"epoch_seconds": 12345.678, "images_per_second": 12345.6},
    }
    page = tmp_path / "report.html"
    epochs = [{**record, "stage": "head", "learning_rate": 0.01}, record]
    sample_metrics.write_run(page, title="wide", epochs=epochs)
    for width in (1200, DESKTOP):
        opened = open_page(page, tmp_path / "browser", width)
        [(table, box)] = opened.boxes
        assert table <= box
    [epoch_table] = opened.tables
    assert epoch_table[0][:3] == ["epoch", "stage", "loss"]
    assert "pairs accuracy" in epoch_table[0]
    assert epoch_table[1][2].split() == ["12.35", "12.35"]
    assert not {"step", "val loss", "accuracy gap"} & set(epoch_table[0])


def test_what_is_the_same_in_all_epochs_is_said_once(tmp_path):
    page = tmp_path / "report.html"
    epochs = [{"epoch": n, "stage": "all", "loss": 1.5, "learning_rate": 0.01} for n in (1, 2)]
    sample_metrics.write_run(page, title="short", epochs=epochs)
    text = read_page(page)
    assert "stage in all epochs: all" in text
    assert "learning rate in all epochs: 0.01" in text
    assert "<th>stage</th>" not in page.read_text()
    sample_metrics.write_run(page, title="short", epochs=epochs[:1])
    assert "<th>stage</th>" in page.read_text()


def test_parts_that_are_not_given_are_omitted(tmp_path):
    sample_metrics.write_run(tmp_path / "report.html", title="bare")
    assert "<h2>" not in (tmp_path / "report.html").read_text()


def write_hostile(path: Path, plots: list[Plot]) -> None:
    """Writes a report with hostile text wherever a file can put it."""
    curves, sheet = plots
    metrics = sample_metrics.classification()
    for key in ("per_class", "confusion"):
        metrics[key] = {f"{HOSTILE}{name}": row for name, row in metrics[key].items()}
    metrics["confusion"] = {
        label: {f"{HOSTILE}{name}": count for name, count in row.items()}
        for label, row in metrics["confusion"].items()
    }
    images, captions = sheet.thumbnails
    sample_metrics.write_run(
        path,
        title=HOSTILE,
        sets={HOSTILE: sample_metrics.verification()},
        classification=metrics,
        plots=[
            curves._replace(caption=HOSTILE),
            sheet._replace(caption=HOSTILE, thumbnails=(images, [HOSTILE for _ in captions])),
        ],
        epochs=[{"epoch": 1, HOSTILE: HOSTILE}],
        recipe=HOSTILE,
        environment={HOSTILE: {HOSTILE: HOSTILE}},
    )


def test_hostile_names_are_escaped(tmp_path, plots):
    page = tmp_path / "report.html"
    write_hostile(page, plots)
    text = page.read_text(encoding="utf-8")
    assert "<script" not in text
    assert "<img src=x" not in text
    # As text, it is complete.
    assert read_page(page).count("<script>document.title='run'</script>") > 20


def test_hostile_names_do_nothing_in_a_browser(tmp_path, plots):
    page = tmp_path / "report.html"
    write_hostile(page, plots)
    opened = check_readable(page, tmp_path / "browser")
    # The chart and three thumbnails: no image was injected.
    assert len(opened.pictures) == 4
    assert opened.title == HOSTILE


@pytest.mark.parametrize("report", ["identification", "comparison"])
def test_hostile_names_in_other_reports(tmp_path, report):
    page = tmp_path / "report.html"
    if report == "identification":
        metrics = sample_metrics.identification(gallery=HOSTILE)
        write_report(page, "identification", title=HOSTILE, metrics=metrics, warnings=[HOSTILE])
    else:
        metrics = sample_metrics.comparison((HOSTILE, "b"), failed=["b"])
        metrics["places"] = [HOSTILE]
        write_report(page, "comparison", title=HOSTILE, metrics=metrics, recipe="")
    assert "<script" not in page.read_text(encoding="utf-8")
    assert read_page(page).count("<script>document.title='run'</script>") >= 3


def test_missing_content_is_an_error(tmp_path):
    with pytest.raises(jinja2.UndefinedError, match="'warnings' is undefined"):
        write_report(tmp_path / "r.html", "verification", title="t", sets={})
    assert not (tmp_path / "r.html").exists()


def test_names_that_are_not_utf_8(tmp_path):
    sample_metrics.write_run(tmp_path / "r.html", title="b\udcff.jpg")
    assert "b?.jpg" in read_page(tmp_path / "r.html")


def test_bad_images(tmp_path):
    with pytest.raises(InputError, match=r"none\.png: can't be read"):
        sample_metrics.write_run(tmp_path / "r.html", plots=[Plot(tmp_path / "none.png", "")])
    (tmp_path / "text.txt").write_text("x")
    with pytest.raises(InputError, match="an image of a report must be one of"):
        sample_metrics.write_run(tmp_path / "r.html", plots=[Plot(tmp_path / "text.txt", "")])
    assert not (tmp_path / "r.html").exists()


def test_a_report_is_replaced_by_one_of_its_kind_alone(tmp_path):
    """A run's own report is no place for that of an evaluation."""
    run = tmp_path / "run.html"
    # Names are escaped, and so are no marks.
    sample_metrics.write_run(
        run, title='<meta name="generator" content="tfface verification report">'
    )
    check_replaceable(run, report_mark("run"), overwrite=False)
    old = Path(__file__).parents[1] / "compatibility/0.1.0/finished_run/report.html"
    (tmp_path / "other.html").write_text("<html></html>")
    for path in (run, old, tmp_path / "other.html"):
        before = path.read_bytes()
        for kind in ("verification", "identification", "classification", "comparison"):
            with pytest.raises(InputError, match="is there already, and is not what this tool"):
                check_replaceable(path, report_mark(kind), overwrite=False)
        assert path.read_bytes() == before
    page = tmp_path / "page.html"
    metrics = sample_metrics.classification()
    write_report(page, "classification", title="t", metrics=metrics, remarks=[])
    check_replaceable(page, report_mark("classification"), overwrite=False)
    with pytest.raises(InputError, match="is there already"):
        check_replaceable(page, report_mark("identification"), overwrite=False)
