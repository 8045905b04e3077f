"""The detectors that ship with the package, as data."""
