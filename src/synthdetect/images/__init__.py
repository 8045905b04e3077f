"""From anything that holds an image to uint8 RGB and the views that members look at."""
