"""Rows and events: types, table schemas, the Avro envelope and its codecs, evolution, registry."""
