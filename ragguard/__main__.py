"""Run the command line as `python -m ragguard`."""

from ragguard.cli import main

if __name__ == "__main__":
    main()
