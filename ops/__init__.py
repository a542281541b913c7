"""Running it: settings, wiring, the Python API, CLI, doctor."""
