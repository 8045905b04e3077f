"""What a file itself says of its making, beside the networks and never mixed into their answer."""
