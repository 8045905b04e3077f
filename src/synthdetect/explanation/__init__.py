"""Why one image got its verdict: who said what, where, and in which frequencies."""
