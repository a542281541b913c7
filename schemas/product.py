"""The product's own version, as every event names it in `source.version`."""

from typing import Final

VERSION: Final = "0.1.0"
