"""One detector as files: write, verify, find."""
