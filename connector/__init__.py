"""The pipe: a reason to text a customer comes in, becomes at most one text, and its outcome reaches the ticket."""

__version__ = "0.1.0"
