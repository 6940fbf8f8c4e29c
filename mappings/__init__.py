"""One TOML file per CRM, of the CRM's stem."""
