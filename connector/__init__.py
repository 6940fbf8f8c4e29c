"""Send at most one text for each reason that a CRM reports, and write the outcome back to the ticket."""

__version__ = "0.1.0"
