"""Readers of a table's topic that know nothing of Headwater: docs/EVENTS.md shows them."""
