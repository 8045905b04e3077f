"""Between a detector and its members: images in, logits out, and what was seen is remembered."""
