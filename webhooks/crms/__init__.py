"""A module for each CRM, named like its mapping file: verifies and reads the CRM's messages."""
