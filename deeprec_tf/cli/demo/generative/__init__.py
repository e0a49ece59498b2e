"""The demo of generation: the user's next movie, spelled by its semantic id."""
