"""All configuration, read once; no room looks at the environment."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """`HEADWATER_DIR=shop` sets `dir`.

    dir: the store when none is named: a directory, or `kafka://host:9092/prefix`.
    durability: `fsync` waits for the disk at each commit; `os` survives a killed process but not
        a power cut. On Kafka `fsync` warns of a cluster that one broker's disk can rob of commits.
    cache_mib: memory for snapshots of tables, in MiB.
    actor: who is written beside each commit; the login name if empty.
    statement_seconds: how long an SQL statement may take; 0 is without end.
    statement_mib: memory that the query engine may use for SQL statements, in MiB.
    replica_dir: where replicas of stores on Kafka are kept, one directory a prefix.
    kafka_options: security settings for the cluster as JSON, by librdkafka's names, as in
        `{"security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512", ..}`; never shown.
    kafka_timeout_s: how long a commit waits for the cluster, and then the search for its outcome.
    kafka_compression: how records are compressed.
    registry_url: the schema registry that new stores on Kafka register their schemas with.
    registry_user, registry_password: basic authentication there, or
    registry_token: a bearer token; all of them never shown.
    registry_ca: a file of certificates to trust for it, instead of the system's.
    registry_timeout_s: how long a question to it may take.
    """

    model_config = SettingsConfigDict(env_prefix="HEADWATER_", frozen=True, extra="ignore")

    dir: str = "headwater-data"
    durability: Literal["fsync", "os"] = "fsync"
    cache_mib: int = Field(default=256, ge=0, le=65_536)
    actor: str = ""
    statement_seconds: float = Field(default=0.0, ge=0)
    statement_mib: int = Field(default=2048, ge=64, le=1 << 20)
    replica_dir: Path = Path("headwater-replicas")
    kafka_options: dict[str, SecretStr] = Field(default_factory=dict[str, SecretStr])
    kafka_timeout_s: float = Field(default=30.0, ge=1, le=600)
    kafka_compression: Literal["lz4", "zstd", "gzip", "snappy", "none"] = "lz4"
    registry_url: str = ""
    registry_user: str = ""
    registry_password: SecretStr = SecretStr("")
    registry_token: SecretStr = SecretStr("")
    registry_ca: str = ""
    registry_timeout_s: float = Field(default=10.0, ge=0.1, le=120)
