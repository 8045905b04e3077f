"""Networks and classifiers that give one logit an image."""
