"""Metrics for Prometheus: what this process counts, and what it reads from the database when it is scraped.

docs/metrics.md lists them all.
"""
