"""`python -m deeprec_tf demo`: what its tasks share, and a folder for each of them."""
