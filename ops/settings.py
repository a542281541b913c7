"""All configuration, read once; no room looks at the environment."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """`HEADWATER_DIR=shop` sets `dir`.

    dir: the store that commands use when none is named.
    durability: `fsync` waits for the disk at each commit; `os` survives a killed process but not
        a power cut.
    cache_mib: memory for snapshots of tables, in MiB.
    actor: who is written beside each commit; the login name if empty.
    statement_seconds: how long an SQL statement may take; 0 is without end.
    statement_mib: memory that the query engine may use for SQL statements, in MiB.
    """

    model_config = SettingsConfigDict(env_prefix="HEADWATER_", frozen=True, extra="ignore")

    dir: Path = Path("headwater-data")
    durability: Literal["fsync", "os"] = "fsync"
    cache_mib: int = Field(default=256, ge=0, le=65_536)
    actor: str = ""
    statement_seconds: float = Field(default=0.0, ge=0)
    statement_mib: int = Field(default=2048, ge=64, le=1 << 20)
