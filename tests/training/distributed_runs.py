"""Trains in processes of its own: devices and processes are chosen when JAX or TensorFlow starts.

python -m tests.training.distributed_runs PLAN: a JSON object with `runs`, each a run folder's name
-> overrides of the recipe, `folder`, and what is said of devices and processes.
"""

import json
import sys
from pathlib import Path

from tests.training.recipes import load_tiny


def main(plan: dict) -> None:
    import tensorflow as tf

    if plan.get("tensorflow_devices"):
        [cpu] = tf.config.list_physical_devices("CPU")
        parts = [tf.config.LogicalDeviceConfiguration()] * plan["tensorflow_devices"]
        tf.config.set_logical_device_configuration(cpu, parts)
    from tfface.training import multiprocess, run_progress
    from tfface.training.run import train

    # Every loss, not every tenth.
    run_progress.READ_EVERY_STEPS = 1
    if plan.get("coordinator"):
        multiprocess.initialize(plan["coordinator"], plan["num_processes"], plan["process_id"])
    leave, folder = multiprocess.shutdown, Path(plan["folder"])
    for number, (name, overrides) in enumerate(plan["runs"].items(), start=1):
        multiprocess.shutdown = leave if number == len(plan["runs"]) else lambda: None
        train(load_tiny(folder, *overrides), folder / name, folder)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
