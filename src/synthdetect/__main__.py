"""`python -m synthdetect` is the command `synthdetect`."""

from synthdetect.cli import main

if __name__ == "__main__":
    main()
