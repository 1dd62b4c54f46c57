"""tfface demo: what it takes, what it says, and how it ends."""

import re
import signal
import subprocess
import sys
import urllib.request

import pytest
from PIL import Image

import tfface
from tests.cli.running import call_tool
from tests.demo.serving import get, serving
from tfface.cli import demo
from tfface.demo.photo_answers import PhotoAnswers
from tfface.demo.server import DemoServer
from tfface.errors import InputError

PIXELS = ["--model", "pixels", "--port", "0", "--aligned"]


@pytest.fixture
def served(monkeypatch):
    """What the command serves until Ctrl-C, which here comes at once."""
    found = []

    def serve(server, answers):
        found.append((server, answers))
        raise KeyboardInterrupt

    monkeypatch.setattr(DemoServer, "serve", serve)
    return found


def test_what_is_served(served):
    done = call_tool(demo.main, *PIXELS, "--threshold", "0.5")
    [(server, answers)] = served
    assert done.returncode == 130
    assert done.stderr == "interrupted\n"
    assert done.stdout.splitlines() == [
        "model: pixels",
        "same person if cosine >= 0.500 (given by the caller)",
        f"open {server.url} in a browser; Ctrl-C ends it",
    ]
    assert (answers.gallery, answers.threshold, answers.aligned) == (None, 0.5, True)


def test_a_gallery_knows_its_model(served, tmp_path):
    face = Image.effect_noise((32, 32), 50)
    tfface.Gallery.build("pixels", {"Anna": face}, path=tmp_path / "g", aligned=True)
    done = call_tool(demo.main, "--gallery", tmp_path / "g", "--port", "0", "--aligned")
    assert done.returncode == 130
    assert f"gallery: {tmp_path / 'g'}, 1 images of 1 people" in done.stdout
    assert served[0][1].model.name == "pixels"


@pytest.mark.parametrize(("opens", "said"), [(True, ""), (False, "warning: no browser was found")])
def test_open(served, monkeypatch, opens, said):
    asked = []
    monkeypatch.setattr("webbrowser.open", lambda url: asked.append(url) or opens)
    done = call_tool(demo.main, *PIXELS, "--open")
    assert asked == [served[0][0].url]
    assert done.stderr.startswith(said + ("" if opens else " to open the page in\n"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing to try: give --model, or --gallery, which knows its model"),
        (["--model", "gone.onnx", "--port", "0"], "gone.onnx"),
        (["--gallery", "gone", "--port", "0"], "gone"),
    ],
)
def test_nothing_to_serve(arguments, said):
    with pytest.raises(InputError, match=said):
        demo.main(arguments)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (["--port", "65536"], "must be a whole number from 0 to 65535"),
        (["--port", "-1"], "must be a whole number from 0"),
        (["--threshold", "7"], "must be a cosine"),
        (["--cache", "x"], "unrecognized arguments: --cache x"),
    ],
)
def test_options_that_are_wrong(option, said, capsys):
    with pytest.raises(SystemExit, match="2"):
        demo.main(["--model", "pixels", *option])
    assert said in capsys.readouterr().err


def test_a_port_in_use():
    with serving(PhotoAnswers(tfface.load_embedder("pixels"), aligned=True)) as server:
        port = server.server_address[1]
        done = call_tool(demo.main, "--model", "pixels", "--port", port)
        assert done.returncode == 2
        assert done.stderr == (
            f"error: port {port} is in use: choose another with --port; 0 takes one that is free\n"
        )
        assert get(server).status == 200


@pytest.mark.slow
def test_as_a_process():
    """Ctrl-C ends it without a traceback."""
    command = [sys.executable, "-m", "tfface", "demo", *PIXELS]
    it = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background job ignores it, and what it starts does, too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        lines = iter(it.stdout.readline, "")
        url = next(found[0] for line in lines if (found := re.search(r"http://\S+", line)))
        with urllib.request.urlopen(url, timeout=30) as reply:
            assert b"The same person?" in reply.read()
        it.send_signal(signal.SIGINT)
        _, errors = it.communicate(timeout=60)
    finally:
        it.kill()
        it.wait()
    assert (it.returncode, errors) == (130, "interrupted\n")
