"""One module per CRM, of the stem of its mapping file: how its messages are verified and read."""
