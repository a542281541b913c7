"""A real Apache Kafka on this machine, from Maven Central's jars: for demos, benchmarks, tests."""
