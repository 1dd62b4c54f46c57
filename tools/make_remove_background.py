"""`tfface remove-background`, in a checkout that is not installed."""

import checkout
from tfface.cli.remove_background import main

if __name__ == "__main__":
    checkout.run(main)
