"""Recipes, the training loop and the export to OpenVINO IR."""
