"""The demo of several tasks at once: does the user like the movie, and which rating comes?"""
