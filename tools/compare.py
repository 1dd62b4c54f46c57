"""`tfface sweep`, in a checkout that is not installed."""

import checkout
from tfface.cli.sweep import main

if __name__ == "__main__":
    checkout.run(main)
