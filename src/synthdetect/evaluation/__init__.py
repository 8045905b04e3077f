"""Figures, each with its interval."""
