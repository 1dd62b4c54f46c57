"""`python -m tfface` is the command `tfface`."""

from tfface.cli.main import main

if __name__ == "__main__":
    main()
