"""tfface classify: the classes of photos, by a trained run."""

import json
import tarfile

import keras
import numpy as np
import pytest
from PIL import Image

from tests.training.recipes import load_tiny
from tfface.cli import classify
from tfface.cli import evaluate_classification as classification
from tfface.errors import InputError
from tfface.synthetic import render_faces
from tfface.training.run import train


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of a softmax classifier, and a folder of photos of its classes."""
    folder = tmp_path_factory.mktemp("classify")
    recipe = load_tiny(folder, "model.head=softmax")
    run = train(recipe, folder / "run", folder).path
    names = [line.split(",")[1] for line in (run / "identities.csv").read_text().splitlines()[1:]]
    for label, picture in enumerate(render_faces(range(2), [7, 7], 32)):
        person = folder / "photos" / names[label]
        person.mkdir(parents=True)
        Image.fromarray(picture).save(person / "0.png")
    return run, folder / "photos"


def test_as_the_evaluation_classifies(trained, capsys, tmp_path):
    run, photos = trained
    classify.main(
        [str(photos), "--model", str(run), "--top", "2", "--json", str(tmp_path / "a.json")]
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["image", "class", "probability"]
    assert lines[-1] == f"results: {tmp_path / 'a.json'}"
    answers = json.loads((tmp_path / "a.json").read_text())["photos"]
    assert [len(answer["classes"]) for answer in answers] == [2, 2]
    classification.main([str(run), "--data", str(photos), "--json", str(tmp_path / "e.json")])
    is_right = [
        answer["classes"][0]["class"] == answer["image"].split("/")[-2] for answer in answers
    ]
    assert json.loads((tmp_path / "e.json").read_text())["accuracy"] == sum(is_right) / 2


def test_whole_photos_for_a_network_of_faces(test_data, tmp_path, capsys):
    run = train(load_tiny(tmp_path), tmp_path / "run", tmp_path).path
    photo = tmp_path / "photo.png"
    with tarfile.open(test_data / "data" / "deepface_pairs.tar") as archive:
        name = next(member for member in archive.getnames() if member.endswith("img1.jpg"))
        photo.write_bytes(archive.extractfile(name).read())
    classify.main([str(photo), "--model", str(run)])
    said = capsys.readouterr()
    assert f"warning: {photo} looks unaligned" in said.err
    assert "say --find-faces, unless the model was trained on such images" in said.err
    classify.main([str(photo), "--model", str(run), "--find-faces"])
    assert "looks unaligned" not in capsys.readouterr().err


def test_a_photo_without_a_face(trained, tmp_path):
    Image.new("RGB", (300, 200), "grey").save(tmp_path / "empty.png")
    with pytest.raises(
        InputError, match="no usable face was found in any photo; without --find-faces"
    ):
        classify.main([str(tmp_path / "empty.png"), "--model", str(trained[0]), "--find-faces"])


def test_photos_that_can_not_be_read_are_skipped(trained, tmp_path, capsys):
    run, photos = trained
    (tmp_path / "empty.jpg").touch()
    classify.main([str(photos), str(tmp_path / "empty.jpg"), "--model", str(run)])
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 3
    reason = f"{tmp_path / 'empty.jpg'}: can't be read: the file is empty (0 bytes)"
    assert said.err.splitlines()[-1] == f"warning: skipped 1 of 3 photos: {reason}"
    with pytest.raises(InputError) as caught:
        classify.main([str(tmp_path / "empty.jpg"), "--model", str(run)])
    assert str(caught.value) == reason


def test_scores_that_are_no_numbers_are_no_answer(trained, tmp_path):
    network = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    kernel, bias = network.get_weights()
    network.set_weights([kernel, bias + np.float32([np.nan, 0])])
    network.save(tmp_path / "net.keras")
    (tmp_path / "classes.txt").write_text("ann\nbob\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"net.keras: its scores of .*0.png are NaN or infinite"):
        classify.main(
            [
                *(str(trained[1]), "--model", str(tmp_path / "net.keras")),
                *("--classes", str(tmp_path / "classes.txt")),
            ]
        )
