"""The demo of ranking: which movie does the user rate next, among candidates given with it?"""
