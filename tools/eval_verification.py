"""`tfface evaluate verification`, in a checkout that is not installed."""

import checkout
from tfface.cli.evaluate_verification import main

if __name__ == "__main__":
    checkout.run(main)
