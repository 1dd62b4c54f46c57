"""`tfface evaluate identification`, in a checkout that is not installed."""

import checkout
from tfface.cli.evaluate_identification import main

if __name__ == "__main__":
    checkout.run(main)
