"""Labelled images: manifests, splits, and what they are made of."""
