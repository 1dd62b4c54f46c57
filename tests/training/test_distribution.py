"""Several devices and processes: the losses and files of one device, and what a lost process does.

Devices are virtual ones of this machine's CPU, and processes are real. How many there are is said
when JAX or TensorFlow starts, so each test's runs are in processes of their own.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.training.recipes import load_tiny, newest_checkpoint
from tfface.cli import train as tool
from tfface.errors import InputError
from tfface.heads.head_file import load_head
from tfface.reporting.metrics_log import epoch_records, read_metrics
from tfface.training import multiprocess
from tfface.training.checkpoint_file import read_arrays
from tfface.training.checkpoint_state import read_progress
from tfface.training.distribution import SingleDevice, distribute, put

ROOT = Path(__file__).resolve().parents[2]
# 36 images to train of 9 identities, which no number of devices here divides: 20 steps. Seven
# images to validate make no whole batch.
STAGE = (
    "{name: all, epochs: 5, optimizer: {name: sgd, learning_rate: 0.002}, ema_momentum: 0.9, "
    "early_stopping: {monitor: val_loss, patience: 5}}"
)
NINE = (
    "data.train={source: synthetic, num_identities: 9, images_per_identity: 5, size: 32}",
    "data.validation.fraction=0.15",
    "data.augment=[random_flip, {color_jitter: {brightness: 0.2}}]",
    "model.embedding_size=6",
    f"training.stages=[{STAGE}]",
    "evaluation.classification={source: synthetic, num_identities: 9, images_per_identity: 1, "
    "size: 32}",
)
PAIRS = (
    "data.validation={fraction: 0.5, by: identity}",
    "training.stages=[{name: all, epochs: 1, optimizer: sgd}]",
)
# A batch has 8 images, and as many of the 9 identities are then compared.
SAMPLED = (
    *NINE[:-2],
    "model.head.sample_rate=0.5",
    "training.stages=[{name: all, epochs: 2, optimizer: {name: sgd, learning_rate: 0.002}}]",
)
# Too small a rate to change any weight.
STILL = (
    "training.stages=[{name: all, epochs: 1, optimizer: {name: sgd, learning_rate: 1e-12, "
    "momentum: 0}}]"
)
DATA = "training.distribution.mode=data_parallel"
MODEL = "training.distribution.mode=model_parallel"
MODEL_2 = "training.distribution={mode: model_parallel, model_devices: 2}"
# Other ends of sums in other orders: a step's loss is equal to this, and so are later ones if
# training doesn't make more of the difference.
TOLERANCE = 1e-5


def start(plan: dict, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.training.distributed_runs", json.dumps(plan)],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def end(*started: subprocess.Popen) -> str:
    said = [process.communicate(timeout=400)[0] for process in started]
    assert [process.returncode for process in started] == [0] * len(started), "\n".join(said)
    return said[0]


def jax_devices(number: int, *flags: str) -> dict[str, str]:
    # Compiling is what takes most of these tests' time: done quickly rather than well.
    quick = "--xla_backend_optimization_level=0"
    flags = (f"--xla_force_host_platform_device_count={number}", quick, *flags)
    return {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": " ".join(flags)}


@pytest.fixture(scope="module")
def four_devices(tmp_path_factory) -> Path:
    """Runs on one device, and on 4 devices of one process; and the program of a step."""
    folder = tmp_path_factory.mktemp("four_devices")
    runs = {
        "one": NINE,
        "one_pairs": PAIRS,
        "data": (*NINE, DATA),
        "model": (*NINE, MODEL_2),
        "one_sampled": SAMPLED,
        "data_sampled": (*SAMPLED, DATA),
    }
    dump = (
        f"--xla_dump_to={folder / 'program'}",
        "--xla_dump_hlo_as_text",
        "--xla_dump_hlo_module_re=.*train_step.*",
    )
    end(start({"folder": str(folder), "runs": runs}, **jax_devices(4, *dump)))
    return folder


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory) -> Path:
    """Runs on 4 devices of two processes."""
    folder = tmp_path_factory.mktemp("two_processes")
    plan = {
        "folder": str(folder),
        "runs": {
            "pairs": (*PAIRS, DATA),
            "data": (*NINE, DATA),
            "model": (*NINE, MODEL),
            # Not after the run before it, whose files process 0 may still be writing.
            "started": (*NINE, MODEL, "model.init_from=data", STILL),
        },
        "coordinator": f"127.0.0.1:{free_port()}",
        "num_processes": 2,
    }
    said = end(*(start({**plan, "process_id": i}, **jax_devices(2)) for i in range(2)))
    assert "model_parallel on 4 devices of 2 processes, class centers in 4 parts" in said
    assert (
        "init_from data: 10 weights of the backbone, 5 of the neck; class centers of 9 of" in said
    )
    return folder


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def losses(run: Path) -> list[float]:
    return [record["loss"] for record in read_metrics(run / "metrics.jsonl")]


def figures(run: Path, *names: str) -> list[list[float]]:
    return [[r[name] for name in names] for r in epoch_records(read_metrics(run / "metrics.jsonl"))]


def arrays(path: Path) -> dict[str, np.ndarray]:
    if path.suffix == ".safetensors":
        return read_arrays(path)[0]
    with np.load(path) as file:
        return {key: file[key] for key in file.files if file[key].dtype.kind != "U"}


DISTRIBUTED = [
    ("four_devices", "data"),
    ("four_devices", "model"),
    ("two_processes", "data"),
    ("two_processes", "model"),
]


@pytest.mark.distributed
@pytest.mark.parametrize(("where", "name"), DISTRIBUTED)
class TestAsOnOneDevice:
    def test_losses_of_20_steps(self, where, name, four_devices, request):
        run = request.getfixturevalue(where) / name
        expected = losses(four_devices / "one")
        # 20 steps and 5 epochs.
        assert len(expected) == 25
        np.testing.assert_allclose(losses(run), expected, rtol=TOLERANCE)

    def test_validation(self, where, name, four_devices, request):
        run = request.getfixturevalue(where) / name
        names = ("val_loss", "val_accuracy", "accuracy")
        np.testing.assert_allclose(
            figures(run, *names), figures(four_devices / "one", *names), rtol=TOLERANCE
        )

    @pytest.mark.parametrize(
        "pattern", ["checkpoints/checkpoint-*", "checkpoints/kept-*", "head.npz"]
    )
    def test_files(self, where, name, pattern, four_devices, request):
        run = request.getfixturevalue(where) / name
        file = max(run.glob(pattern)).relative_to(run)
        found, expected = arrays(run / file), arrays(four_devices / "one" / file)
        assert [*found] == [*expected]
        for key, array in expected.items():
            assert found[key].shape == array.shape
            np.testing.assert_allclose(found[key], array, rtol=1e-4, atol=1e-5)

    def test_run_folder(self, where, name, four_devices, request):
        run = request.getfixturevalue(where) / name

        def names(folder: Path) -> set[str]:
            files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
            return {str(file) for file in files if file.parts[0] != "tensorboard"}

        assert names(run) == names(four_devices / "one")
        model = keras.saving.load_model(run / "model.keras", compile=False)
        expected = keras.saving.load_model(four_devices / "one" / "model.keras", compile=False)
        for one, other in zip(model.get_weights(), expected.get_weights(), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
        environment = json.loads((run / "environment.json").read_text(encoding="utf-8"))
        assert len(environment["devices"]) == 4
        assert environment["processes"] == (2 if where == "two_processes" else 1)


@pytest.mark.distributed
def test_pairs_are_judged_alike(four_devices, two_processes):
    names = ("loss", "val_verification_accuracy", "val_verification_auc")
    np.testing.assert_allclose(
        figures(two_processes / "pairs", *names),
        figures(four_devices / "one_pairs", *names),
        rtol=TOLERANCE,
    )


@pytest.mark.distributed
def test_processes_start_from_another_run(two_processes):
    """Nine class centers, of which each device has three places."""
    old, new = (
        [
            *keras.saving.load_model(two_processes / run / "model.keras").trainable_weights,
            load_head(two_processes / run / "head.npz").head.class_centers,
        ]
        for run in ("data", "started")
    )
    for one, other in zip(old, new, strict=True):
        np.testing.assert_allclose(np.asarray(other), np.asarray(one), atol=1e-6)


@pytest.mark.distributed
def test_the_same_centers_are_sampled(four_devices):
    expected = losses(four_devices / "one_sampled")
    assert len(expected) == 10
    np.testing.assert_allclose(losses(four_devices / "data_sampled"), expected, rtol=TOLERANCE)
    assert expected[0] != losses(four_devices / "one")[0]


@pytest.mark.distributed
def test_no_device_has_all_class_centers(four_devices):
    """In the program of a device there is no array of their size, in whatever order of axes."""
    files = [
        path.read_text(encoding="utf-8")
        for path in sorted((four_devices / "program").glob("*train_step*after_optimizations.txt"))
    ]
    # 9 identities, 10 rows in 2 parts; 8 images, 4 for each part; 6 numbers of an embedding.
    whole = [shape for rows in (9, 10) for shape in (f"f32[{rows},6]", f"f32[6,{rows}]")]
    logits = [shape for n in (4, 8) for shape in (f"f32[{n},10]", f"f32[10,{n}]")]
    in_parts = [text for text in files if "f32[5,6]" in text]
    assert in_parts
    for text in in_parts:
        assert not [shape for shape in (*whole, *logits) if shape in text]
    # On one device, and where devices only share a batch, it is seen.
    assert any(whole[0] in text for text in files if text not in in_parts)


@pytest.mark.distributed
class TestTensorFlow:
    @pytest.fixture(scope="class")
    def two_devices(self, tmp_path_factory) -> tuple[Path, str]:
        folder = tmp_path_factory.mktemp("tensorflow")
        # Each device's batch norms see its own rows, and its dropout draws numbers of its own.
        frozen = (
            *NINE,
            "model.neck={dropout: 0, batch_norm: false}",
            "training.stages.0.freeze=backbone_bn",
        )
        runs = {"one": frozen, "two": (*frozen, DATA), "norms": (*PAIRS, DATA)}
        plan = {"folder": str(folder), "runs": runs, "tensorflow_devices": 2}
        return folder, end(start(plan, KERAS_BACKEND="tensorflow"))

    def test_losses_of_20_steps(self, two_devices):
        folder, said = two_devices
        expected = losses(folder / "one")
        assert len(expected) == 25
        np.testing.assert_allclose(losses(folder / "two"), expected, rtol=TOLERANCE)
        names = ("val_loss", "val_accuracy", "accuracy")
        np.testing.assert_allclose(
            figures(folder / "two", *names), figures(folder / "one", *names), rtol=TOLERANCE
        )
        assert "data_parallel on 2 devices" in said
        assert "auto_shard" not in said

    def test_with_batch_norms(self, two_devices):
        folder, _ = two_devices
        assert np.isfinite(losses(folder / "norms")).all()
        assert (folder / "norms" / "report.html").is_file()


@pytest.mark.distributed
class TestLostProcess:
    def command(self, folder: Path, run: Path, *more: str) -> list[str]:
        recipe = folder / "tiny.yaml"
        load_tiny(folder)
        overrides = [word for override in NINE for word in ("--set", override)]
        tool = str(ROOT / "tools" / "train.py")
        return [sys.executable, tool, str(recipe), "--run-dir", str(run), *overrides, *more]

    def in_training(self, folder: Path, run: Path, **streams: int) -> subprocess.Popen:
        """Starts two processes, which have made two epochs of many when this returns."""
        many = ("--set", "training.stages.0.epochs=500", "--set", DATA, "--local-processes", "2")
        parent = subprocess.Popen(
            self.command(folder, run, *many),
            env=os.environ | jax_devices(1),
            stdout=subprocess.PIPE,
            text=True,
            **streams,
        )
        for line in parent.stdout:
            if "all 2/500" in line:
                break
        return parent

    def test_asked_to_end_they_write_a_checkpoint(self, tmp_path):
        run = tmp_path / "run"
        parent = self.in_training(tmp_path, run, stderr=subprocess.PIPE)
        parent.terminate()
        said, error = parent.communicate(timeout=120)
        assert parent.returncode == 143, error
        *_, why, how = said.splitlines()
        assert why == "SIGTERM: the run has ended before its time; to go on with it:"
        assert how.endswith("--local-processes 2 --resume")
        assert read_progress(newest_checkpoint(run)).total_steps > 4

    def test_children_of_a_killed_parent_end_with_a_checkpoint(self, tmp_path):
        run = tmp_path / "run"
        parent = self.in_training(tmp_path, run)
        parent.kill()
        # Process 0 has the pipe open as long as it runs.
        said = parent.stdout.read()
        parent.wait()
        assert "SIGTERM: the run has ended before its time; to go on with it:" in said
        assert read_progress(newest_checkpoint(run)).total_steps > 4

    def test_others_end_and_the_run_goes_on(self, tmp_path, four_devices):
        run = tmp_path / "run"
        environment = os.environ | jax_devices(1)
        together = self.command(tmp_path, run, "--set", MODEL, "--local-processes", "2")
        parent = subprocess.Popen(
            together, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for line in parent.stdout:
            if "all 1/5" in line:
                break
        # It is written beside the training.
        while not [*(run / "checkpoints").glob("checkpoint-*-step-[1-9]*.safetensors")]:
            assert parent.poll() is None
            time.sleep(0.05)
        os.kill(child_of(parent.pid, "--process-id\x001"), signal.SIGKILL)
        _, error = parent.communicate(timeout=30)
        assert parent.returncode == 2, error
        assert error.splitlines()[-1] == (
            "error: process 1 of 2 was lost: it was killed by signal 9; the others were ended. The "
            "same command with --resume goes on from the newest checkpoint"
        )
        assert "Traceback" not in error
        shutil.copytree(run, tmp_path / "alone")

        again = subprocess.run(
            [*together, "--resume"], env=environment, capture_output=True, text=True, check=False
        )
        assert again.returncode == 0, again.stderr
        assert "resuming after epoch" in again.stdout
        assert again.stdout.splitlines()[-1] == str(run)
        # Without devices that share anything, it is the same run.
        alone = subprocess.run(
            self.command(tmp_path, tmp_path / "alone", "--resume"),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert alone.returncode == 0, alone.stderr
        assert "resuming after epoch" in alone.stdout
        names = ("loss", "val_loss", "val_accuracy")
        for resumed in (run, tmp_path / "alone"):
            np.testing.assert_allclose(
                figures(resumed, *names), figures(four_devices / "one", *names), rtol=TOLERANCE
            )

    def test_bad_input_is_said_once(self, tmp_path):
        done = subprocess.run(
            self.command(tmp_path, tmp_path / "run", "--local-processes", "2"),
            env=os.environ | jax_devices(1),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert done.stderr.splitlines() == [
            "error: 2 processes train together only by a training.distribution; add --set "
            "training.distribution.mode=data_parallel"
        ]


def child_of(parent: int, argument: str) -> int:
    """Returns which child of a process was started with an argument."""
    for folder in Path("/proc").iterdir():
        try:
            status = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(status[1]) == parent and argument in (folder / "cmdline").read_text():
                return int(folder.name)
        except (OSError, IndexError):
            # Not of a process, or it has ended.
            continue
    raise AssertionError(f"no child of {parent} with {argument!r}")


class TestRefused:
    def test_batch_that_devices_can_not_share(self):
        devices = SingleDevice()
        devices.num_devices = 3
        devices.check_batch(9)
        with pytest.raises(InputError, match=r"a batch has 8 images, which 3 devices can't share"):
            devices.check_batch(8)

    @pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="about TensorFlow")
    def test_model_parallel_on_tensorflow(self, tmp_path):
        recipe = load_tiny(tmp_path, MODEL)
        with pytest.raises(InputError, match="model_parallel doesn't work on the backend tensorf"):
            distribute(recipe.training, recipe.model.head)

    @pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="about TensorFlow")
    def test_skipped_steps_on_several_devices(self, tmp_path):
        recipe = load_tiny(tmp_path, DATA, "training.on_nonfinite=skip")
        with pytest.raises(InputError, match="each device would decide for itself: use restore"):
            distribute(recipe.training, recipe.model.head)

    @pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="about TensorFlow")
    def test_several_processes_on_tensorflow(self):
        with pytest.raises(InputError, match="set KERAS_BACKEND=jax"):
            multiprocess.initialize("127.0.0.1:1", 2, 0)

    @pytest.mark.parametrize("address", ["here", "here:", ":9123", "here:99999", "here:x"])
    def test_addresses(self, address):
        with pytest.raises(InputError, match="must be HOST:PORT"):
            multiprocess.parse_address(address)
        assert multiprocess.parse_address("[::1]:9123") == ("::1", 9123)

    def test_a_coordinator_that_is_not_there(self):
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            port = listening.getsockname()[1]
            with pytest.raises(InputError, match="process 0 can't be reached there within 0 sec"):
                multiprocess.wait_for_listener("127.0.0.1", port, 0)
            listening.listen()
            multiprocess.wait_for_listener("127.0.0.1", port, 0)

    @pytest.mark.parametrize(
        "options", [["--num-processes", "2"], ["--coordinator-address", "a:1", "--process-id", "0"]]
    )
    def test_half_of_the_options(self, options):
        with pytest.raises(InputError, match="--num-processes and --process-id go together"):
            tool.main(["recipe.yaml", *options])

    @pytest.mark.parametrize(
        ("overrides", "message"),
        [
            (
                ["training.distribution={mode: data_parallel, model_devices: 2}"],
                "model_devices goes with mode: model_parallel",
            ),
            ([DATA, "data.cache=features", "data.augment=[]"], "features are computed on one dev"),
            (["training.distribution.mode=both"], "training.distribution.mode"),
        ],
    )
    def test_recipes(self, tmp_path, overrides, message):
        with pytest.raises(InputError, match=message):
            load_tiny(tmp_path, *overrides)


def test_put_fills_with_zeros():
    variable = keras.Variable(np.ones((4, 2), "float32"))
    put(variable, np.full((3, 2), 5.0))
    np.testing.assert_array_equal(variable, [[5, 5], [5, 5], [5, 5], [0, 0]])
