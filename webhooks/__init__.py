"""The channels: what comes in over HTTP is verified, parsed, and committed before it is answered."""
