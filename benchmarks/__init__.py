"""The figures of docs/PERFORMANCE.md: `python -m benchmarks`, each in a process of its own."""
