"""Secrets backends: connections, variables and sensitive options from znodes."""
