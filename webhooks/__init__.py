"""The web process: webhook routes, the API and the agent page. Input is committed before it is acknowledged."""
