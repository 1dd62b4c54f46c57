"""tools/eval_identification.py as its users call it."""

import csv
import json
import tarfile
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from tests.cli.running import run_tool
from tests.evaluation.people import write_people
from tests.reporting.browser import check_readable
from tests.reporting.page_parser import read_page
from tfface.cli import evaluate_identification as identification
from tfface.errors import InputError

TOOL = Path(__file__).resolve().parents[2] / "tools" / "eval_identification.py"
run = partial(run_tool, TOOL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Faces of 20 people; of the same and five others at the door."""
    folder = tmp_path_factory.mktemp("sets")
    write_people(folder / "staff", {n: range(5) for n in range(20)}, noise=60)
    write_people(folder / "door", {n: range(5, 8) for n in range(25)}, noise=60)
    return folder


def test_all_outputs(folder, tmp_path, capsys):
    outputs = {
        "--json": tmp_path / "out" / "figures.json",
        "--plots": tmp_path / "plots",
        "--report": tmp_path / "report.html",
        "--results": tmp_path / "results.csv",
    }
    arguments = [str(word) for item in outputs.items() for word in item]
    sets = ["--gallery", str(folder / "staff"), "--query", f"camera={folder / 'door'}"]
    identification.main(["pixels", *sets, *arguments, "--label", "my pixels"])

    figures = json.loads(outputs["--json"].read_text())
    assert (figures["model"], figures["gallery"], figures["query"]) == (
        *("my pixels", "staff", "camera"),
    )
    assert (figures["num_gallery"], figures["num_queries"]) == (100, 75)
    assert (figures["num_mated"], figures["num_non_mated"]) == (60, 15)
    assert 0.5 < figures["rank1"] <= figures["rank5"] <= figures["rank10"] <= 1
    assert len(figures["cmc"]) == 20
    assert [point["fpir"] for point in figures["tpir_at_fpir"]] == [1e-1, 1e-2, 1e-3]
    assert [point["sufficient"] for point in figures["tpir_at_fpir"]] == [True, False, False]
    assert figures["threshold"]["fpir"] == 0.1
    assert (outputs["--plots"] / "cmc.png").is_file()
    text = read_page(outputs["--report"])
    tables = check_readable(outputs["--report"], tmp_path / "browser").tables
    assert [row[:2] for row in tables[1][1:]] == [
        [f"{p['fpir']:g}", f"{100 * p['tpir']:.2f}%" + "*" * (not p["sufficient"])]
        for p in figures["tpir_at_fpir"]
    ]
    assert tables[2][1] == ["1", f"{100 * figures['rank1']:.2f}%"]
    rank1 = f"{100 * figures['rank1']:.2f}%"
    assert "Identification: my pixels on staff" in text
    assert rank1 in text
    with outputs["--results"].open(newline="") as file:
        [row] = csv.DictReader(file)
    assert (row["model"], row["num_nonmated_queries"]) == ("my pixels", "15")
    assert float(row["rank1"]) == pytest.approx(figures["rank1"], rel=1e-5)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:5] == ["staff", "100", "20", "60", "15"]
    assert lines[2].startswith("* too few non-mated queries")
    assert lines[3].startswith("Accept the most similar identity if cosine >= 0.")
    assert [line.split(": ")[0] for line in lines[4:]] == ["metrics", "plots", "report", "results"]
    # Its own it replaces.
    identification.main(["pixels", *sets, *arguments])


def figures_of(tmp_path, *arguments) -> dict:
    identification.main([*map(str, arguments), "--json", str(tmp_path / "f.json")])
    return json.loads((tmp_path / "f.json").read_text())


def test_one_set_is_split(folder, tmp_path, capsys):
    arguments = [
        "pixels",
        "--gallery",
        folder / "staff",
        "--gallery-shots",
        2,
        "--open-set-fraction",
        0.25,
    ]
    figures = figures_of(tmp_path, *arguments, "--mean-template")
    assert figures["num_identities"] == figures["index"]["num_embeddings"] == 15
    assert figures["num_gallery"] == 30
    assert (figures["num_mated"], figures["num_non_mated"]) == (45, 25)
    assert figures["one_template"] is True
    assert figures_of(tmp_path, *arguments, "--seed", 1)["rank1"] != figures["rank1"]


def test_people_are_kept_out_of_a_gallery(folder, tmp_path, capsys):
    sets = ["--gallery", folder / "staff", "--query", folder / "door"]
    figures = figures_of(tmp_path, "pixels", *sets, "--open-set-fraction", 0.5, "--distance", "l2")
    assert figures["num_identities"] == 10
    assert (figures["num_mated"], figures["num_non_mated"]) == (30, 45)
    assert figures["metric"] == "l2"


def test_faster_indexes_tell_what_they_miss(folder, tmp_path, capsys):
    arguments = ["pixels", "--gallery", folder / "staff", "--gallery-shots", 3, "--index", "hnsw"]
    assert figures_of(tmp_path, *arguments)["index"]["recall_at_10"] > 0.9
    text = capsys.readouterr().out
    assert "efSearch 512) finds 100.00% of the nearest embeddings and" in text
    assert "There are no non-mated queries" in text
    few = figures_of(tmp_path, *arguments, "--search-width", 12)["index"]
    assert few["parameters"].endswith("efSearch 12")


def test_images_in_both_sets_are_told(folder, capsys):
    staff = str(folder / "staff")
    identification.main(["pixels", "--gallery", staff, "--query", staff])
    assert "warning: 100 of the 100 queries are byte-identical to a" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["pixels", "--gallery", "S", "--gallery-shots", "1", "--search-width", "9"],
            "--search-width: flat compares",
        ),
        (["pixels", "--gallery", "STAFF"], "give either --query SOURCE, .* or --gallery-shots N"),
        (
            ["pixels", "--gallery", "STAFF", "--query", "STAFF", "--gallery-shots", "1"],
            "give either",
        ),
        (["pixels", "--gallery", "none", "--gallery-shots", "1"], "none: no such file or folder"),
        (
            ["pixels", "--gallery", "STAFF", "--gallery-shots", "5"],
            "no identity has more than 5 images",
        ),
        (["no_model", "--gallery", "STAFF", "--gallery-shots", "1"], "no_model: no such model"),
        (
            ["pixels", "--gallery", "STAFF", "--gallery-shots", "1", "--json", "STAFF"],
            "is a folder",
        ),
        (
            ["pixels", "--gallery", "STAFF/person00", "--gallery-shots", "1"],
            "contains images directly",
        ),
    ],
)
def test_bad_arguments(folder, arguments, message):
    arguments = [argument.replace("STAFF", str(folder / "staff")) for argument in arguments]
    with pytest.raises(InputError, match=message):
        identification.main(arguments)


@pytest.mark.parametrize("share", ["1", "-0.1", "half", "nan"])
def test_bad_shares(share, capsys):
    with pytest.raises(SystemExit, match="2"):
        identification.main(
            ["pixels", "--gallery", "x", "--gallery-shots", "1", f"--open-set-fraction={share}"]
        )
    assert "must be a number from 0 to below 1" in capsys.readouterr().err


@pytest.mark.slow
def test_ends_with_2_and_one_line(folder, tmp_path):
    write_people(tmp_path, {77: range(2)})
    result = run("pixels", "--gallery", folder / "staff", "--query", tmp_path)
    assert result.returncode == 2
    assert result.stdout == ""
    [line] = result.stderr.splitlines()
    assert line.startswith("error: no query of ")
    assert "people are matched by name" in line


@pytest.mark.slow
def test_a_real_model_on_real_faces(test_data, tmp_path, capsys):
    """LFW's first 25 people with 4 images: all are found, and no stranger comes near."""
    taken = Counter()
    with tarfile.open(test_data / "data" / "lfw_aligned_112.tar") as tar:
        members = [member for member in tar if member.name.endswith(".jpg")]
        num_images = Counter(Path(member.name).parent.name for member in members)
        for member in sorted(members, key=lambda member: member.name):
            person = Path(member.name).parent.name
            if num_images[person] < 4 or taken[person] == 4:
                continue
            if person not in taken and len(taken) == 25:
                break
            taken[person] += 1
            path = tmp_path / "lfw" / person / Path(member.name).name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(tar.extractfile(member).read())
    model = test_data / "data" / "mobilefacenet_192.tflite"
    arguments = ["--gallery", tmp_path / "lfw", "--gallery-shots", 2, "--open-set-fraction", 0.4]
    figures = figures_of(tmp_path, model, *arguments)
    assert (figures["num_mated"], figures["num_non_mated"]) == (30, 40)
    assert figures["rank1"] == 1
    assert figures["tpir_at_fpir"][0]["tpir"] == 1
    assert 0.2 < figures["threshold"]["cosine"] < 0.7


@pytest.mark.parametrize("value", ["0", "2000000000", "99999999999999999999"])
def test_the_search_width_is_bounded(value, capsys):
    arguments = ["pixels", "--gallery", "faces", "--gallery-shots", "1", "--index", "hnsw"]
    with pytest.raises(SystemExit, match="2"):
        identification.main([*arguments, f"--search-width={value}"])
    assert "must be a whole number from 1 to 1000000, got" in capsys.readouterr().err
