"""Run a graph over a batch of crops."""
