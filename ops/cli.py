"""The `headwater` command: global options, the verbs, and how a run ends.

Nothing heavy is imported here or in the modules of the verbs: `--help` takes a few ten
milliseconds, and a command loads only what it uses.
"""

import sys
import traceback
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from itertools import islice
from types import ModuleType
from typing import Annotated

import typer

from headwater.ops import (
    cli_doctor,
    cli_expire,
    cli_import,
    cli_kafka,
    cli_nodes,
    cli_settings,
    cli_sql,
    cli_stream,
    cli_table,
)
from headwater.ops.cli_context import Run, colour_wanted, examples, person_there, run_of
from headwater.ops.exits import Exit, exit_for, sentence
from headwater.ops.output import Format, Output

# Global options may stand anywhere on the line, also after the command they are for.
_VALUED = frozenset({"--dir", "--format"})
_FLAGS = frozenset({"--no-color", "--no-input", "--quiet", "-q", "--debug"})

app = typer.Typer(
    name="headwater",
    help="Tables that remember: versions, streams, consumers, rewind.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,  # Rich's help takes 150 ms more, and is not plain in a pipe
    pretty_exceptions_enable=False,
    epilog=examples("demo", "--dir shop table ls", "--dir shop stream lag --fail-above 5m")
    + "\n\nThe options above may stand anywhere on the line. Exit codes: 0 done, 1 unexpected, "
    "2 usage, 3 cannot open, 4 not found, 5 refused, 6 failed, 7 timed out, 130 interrupted.",
)
app.add_typer(cli_table.app, name="table")
app.add_typer(cli_stream.app, name="stream")
app.add_typer(cli_settings.views, name="view")
app.add_typer(cli_settings.parameters, name="parameter")
app.add_typer(cli_kafka.app, name="kafka")
cli_import.add_to(app)
cli_doctor.add_to(app)
cli_expire.add_to(app)
cli_nodes.add_to(app)
cli_sql.add_to(app)


@app.callback()
def settings(
    context: typer.Context,
    *,
    named: Annotated[
        str | None,
        typer.Option(
            "--dir",
            metavar="STORE",
            help="The store: a directory, or kafka://host:9092/prefix; else HEADWATER_DIR, "
            "headwater-data.",
        ),
    ] = None,
    format: Annotated[
        Format, typer.Option("--format", help="How results are written.")
    ] = Format.TABLE,
    no_color: Annotated[bool, typer.Option("--no-color", help="No colours.")] = False,
    no_input: Annotated[bool, typer.Option("--no-input", help="Never ask.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Results and errors only.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error arose.")] = False,
) -> None:
    """Tables that remember: versions, streams, consumers, rewind."""
    output = Output(format, colour=colour_wanted(no_color=no_color), quiet=quiet)
    asks = person_there(no_input=no_input)
    context.obj = Run(output=output, named=named, debug=debug, asks=asks)


@app.command(epilog=examples("demo", "demo --quiet"))
def demo(context: typer.Context) -> None:
    """Tell a shop's story in a temporary directory: orders, a customer, an inventory."""
    from headwater.ops.demo import tell

    tell(run_of(context).output)


@app.command(epilog=examples("version", "version --format json"))
def version(context: typer.Context) -> None:
    """Show which release this is."""
    import platform

    from headwater.schemas.product import VERSION

    run_of(context).output.record(
        {"headwater": VERSION, "python": platform.python_version(), "system": platform.system()}
    )


def hoisted(arguments: Sequence[str]) -> list[str]:
    """The command line with the global options moved to its front; `--` ends the search."""
    front, rest = list[str](), list[str]()
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word in _VALUED:
            front += [word, *islice(words, 1)]
        elif word in _FLAGS or word.partition("=")[0] in _VALUED:
            front.append(word)
        else:
            rest.append(word)
    return front + rest


def run(arguments: Sequence[str]) -> int:
    """Run one command line; returns its exit code. Errors are a sentence on stderr."""
    words = hoisted(arguments)
    try:
        app(args=words, prog_name="headwater")
    except SystemExit as end:  # how Typer ends, also after a usage error
        return end.code if isinstance(end.code, int) else Exit.OK
    except Exception as error:  # noqa: BLE001 - the last line: every error ends as a sentence
        if "--debug" in words:
            traceback.print_exc()
        sys.stderr.write(sentence(error) + "\n")
        return exit_for(error)
    return Exit.OK


class _NoPandas:
    """Says of pandas that it is not there: pyarrow loads it at its first array, for half a second.

    No command makes or takes a DataFrame.
    """

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """None for all other names: whoever comes next looks for them."""
        if name == "pandas":
            raise ModuleNotFoundError("the headwater command does without pandas", name=name)
        return None


def main() -> None:
    """The entry point of the `headwater` command."""
    sys.meta_path.insert(0, _NoPandas)
    sys.exit(run(sys.argv[1:]))
