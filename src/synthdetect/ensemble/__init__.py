"""From member logits to a decision: combiner, calibrator, threshold. Knows no image."""
