"""`tfface gallery`, in a checkout that is not installed."""

import checkout
from tfface.cli.gallery import main

if __name__ == "__main__":
    checkout.run(main)
