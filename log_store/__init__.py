"""Commits, versions, watermarks, state: the port and its adapters."""
