"""The benchmark: `make bench`. How fast the pipe is, and what it costs, beside rivals in one run."""
