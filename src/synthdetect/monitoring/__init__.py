"""What a detector meets in use: recorded, compared with a reference, and told when it changes."""
