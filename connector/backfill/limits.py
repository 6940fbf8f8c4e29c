"""The limits of what a plan can be run with, for command line and console. A plan keeps what it was run with."""

# Texts of a canary, and seconds between the canary and the rest.
MAX_CANARY, MAX_COOLING_SECONDS = 100_000, 86_400
