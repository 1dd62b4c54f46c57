"""`tfface evaluate classification`, in a checkout that is not installed."""

import checkout
from tfface.cli.evaluate_classification import main

if __name__ == "__main__":
    checkout.run(main)
