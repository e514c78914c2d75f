"""``python -m tracrlab`` is the command line."""

from tracrlab.cli import main

if __name__ == "__main__":
    main()
