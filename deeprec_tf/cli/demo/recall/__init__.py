"""The demo of recall: the user's next movie, found among all movies."""
