"""What a reader wants of events: the rest is passed over, its lengths checked and nothing else."""

from dataclasses import dataclass
from typing import Final

from headwater.schemas.tables import Column, TableSchema


@dataclass(frozen=True, slots=True)
class Asked:
    """Ids of the columns wanted, None for all, which of the two images, and which numbers.

    Images that are not wanted are not there for the reader: every `before_at` or `after_at` is -1.
    `numbers` are names of tails.NUMBERS, None for all; one that is not wanted is 0, save in a batch
    that holds key changes: there all are told.
    """

    columns: frozenset[int] | None = None
    before: bool = True
    after: bool = True
    numbers: frozenset[str] | None = None

    def of(self, schema: TableSchema) -> tuple[Column, ...]:
        """The columns wanted that a generation has, in its order.

        The first one where it has none of them: rows are counted by their columns.
        """
        wanted = self.columns
        if wanted is None:
            return schema.columns
        found = tuple(column for column in schema.columns if column.id in wanted)
        return found or schema.columns[:1]

    def flags(self, schema: TableSchema) -> tuple[bool, ...]:
        """For each column of a generation whether it is one of these."""
        if self.columns is None:
            return (True,) * len(schema.columns)
        ids = {column.id for column in self.of(schema)}
        return tuple(column.id in ids for column in schema.columns)


EVERYTHING: Final = Asked()
