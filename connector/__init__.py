"""Send at most one text for each reason that a CRM reports, and write the outcome back to the ticket."""

__version__ = "0.1.0"
# What a command says and returns after Ctrl-C. Here, because it is needed before anything else is loaded.
INTERRUPTED, INTERRUPTED_STATUS = "interrupted", 130
