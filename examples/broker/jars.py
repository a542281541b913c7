"""Programs for the Java VM as folders of jars, fetched once from Maven Central.

A set of jars stands in `<cache>/<set>`, complete or not there at all. The cache is outside the
repository: `HEADWATER_CACHE`, else `~/.cache/headwater`.
"""

import fcntl
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
KAFKA: Final = "4.3.1"
APICURIO: Final = "3.3.3"
BROKER: Final = f"kafka-{KAFKA}"
_PLUGIN: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
_FETCH_S: Final = 600


class NoJava(Exception):
    """What these programs need is not on this machine; the sentence says what is missing."""


def cache() -> Path:
    """The folder that outlives test runs; made if it is missing."""
    xdg = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(os.environ.get("HEADWATER_CACHE") or xdg / "headwater")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def java(least: int = 17) -> Path:
    """A `java` of at least that version, wherever this machine keeps it; the oldest that will do.

    Raises:
        NoJava: there is none.
    """
    found = [(major, path) for path in _javas() if (major := version(path)) >= least]
    if not found:
        raise NoJava(f"no Java {least} or newer found: install one, or set JAVA_HOME")
    return min(found)[1]


def _javas() -> list[Path]:
    homes = [Path(home)] if (home := os.environ.get("JAVA_HOME")) else []
    homes += sorted(Path("/usr/lib/jvm").glob("*/"))
    paths = [home / "bin/java" for home in homes]
    if on_path := shutil.which("java"):
        paths.append(Path(on_path))
    return list(dict.fromkeys(path.resolve() for path in paths if os.access(path, os.X_OK)))


def version(path: Path) -> int:
    """The major version, 0 if this is no working Java."""
    try:
        ran = subprocess.run(
            [path, "-version"], check=False, capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = re.search(r'version "(\d+)', ran.stderr)
    return int(match[1]) if match and ran.returncode == 0 else 0


def broker() -> Path:
    """The folder with Kafka's own jars, 44 MB, fetched if they are not there yet.

    Raises:
        NoJava: Maven is missing, or could not fetch them.
    """
    return fetched(BROKER, lambda folder: dependencies("broker", folder))


def reader() -> Path:
    """The folder with what a consumer written in Java needs, 28 MB, fetched if it is not there yet.

    Raises:
        NoJava: Maven is missing, or could not fetch them.
    """
    return fetched(f"reader-{KAFKA}", lambda folder: dependencies("reader", folder))


def registry() -> Path:
    """The folder of Apicurio Registry, which takes Java 21, fetched if it is not there yet.

    Raises:
        NoJava: Maven is missing, or could not fetch it.
    """
    coordinates = f"io.apicurio:apicurio-registry-app:{APICURIO}:tar.gz:all"

    def fill(folder: Path) -> None:
        artifact(coordinates, folder)
        for packed in list(folder.glob("*.tar.gz")):
            with tarfile.open(packed) as tar:
                tar.extractall(folder, filter="data")
            packed.unlink()

    return fetched(f"apicurio-{APICURIO}", fill)


def dependencies(profile: str, folder: Path) -> None:
    """Lay what a profile of pom.xml needs at run time into `folder`.

    Raises:
        NoJava: Maven is missing, or could not fetch them.
    """
    goal = f"{_PLUGIN}:copy-dependencies"
    maven(f"-P{profile}", goal, "-DincludeScope=runtime", f"-DoutputDirectory={folder}")


def artifact(coordinates: str, folder: Path) -> None:
    """Lay one artifact (group:name:version[:type[:classifier]]) into `folder`, alone.

    Raises:
        NoJava: Maven is missing, or could not fetch it.
    """
    maven(f"{_PLUGIN}:copy", f"-Dartifact={coordinates}", f"-DoutputDirectory={folder}")


def maven(*arguments: str) -> None:
    """Run Maven on our pom.

    Raises:
        NoJava: there is no Maven, or it failed; with the end of what it said.
    """
    program = shutil.which("mvn")
    if program is None:
        raise NoJava("no Maven found to fetch the jars with: install it (mvn)")
    command = [program, "-B", "-q", "-ntp", "-f", str(HERE / "pom.xml"), *arguments]
    try:
        ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=_FETCH_S)
    except subprocess.TimeoutExpired as error:
        raise NoJava(f"Maven did not fetch the jars within {_FETCH_S} s") from error
    if ran.returncode:
        raise NoJava(f"Maven could not fetch the jars: {(ran.stdout + ran.stderr)[-600:].strip()}")


def fetched(name: str, fill: Callable[[Path], None]) -> Path:
    """The folder `name` of the cache; `fill` makes it once, however many processes ask."""
    folder = cache() / name
    if folder.exists():
        return folder
    with locked(name):
        if not folder.exists():
            part = Path(tempfile.mkdtemp(dir=cache(), prefix=f".{name}-"))
            try:
                fill(part)
                part.rename(folder)
            except BaseException:
                shutil.rmtree(part, ignore_errors=True)
                raise
    return folder


@contextmanager
def locked(name: str) -> Generator[None]:
    """Alone with that part of the cache, over all processes of the machine."""
    with (cache() / f".{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
