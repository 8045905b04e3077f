"""One report of a detector on a user's own data, to attach to the review of a launch."""
