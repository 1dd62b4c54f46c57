"""`tfface check-score`, in a checkout that is not installed."""

import checkout
from tfface.cli.check_score import main

if __name__ == "__main__":
    checkout.run(main)
