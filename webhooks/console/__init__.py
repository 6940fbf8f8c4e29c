"""The console, /console/…: pages for the people who operate the connector."""
