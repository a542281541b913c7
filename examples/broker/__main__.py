"""A Kafka on this machine until Ctrl-C: `python -m examples.broker [nodes] [first port]`."""

import signal
import sys

from examples.broker.jars import NoJava
from examples.broker.nodes import BrokerFailed, LocalKafka


def main(arguments: list[str]) -> int:
    """Run the nodes asked for; 1 with the reason if they cannot run here."""
    nodes = int(arguments[0]) if arguments else 1
    first = int(arguments[1]) if len(arguments) > 1 else 9092
    try:
        with LocalKafka(nodes, ports=tuple(range(first, first + nodes))) as kafka:
            print(f"Kafka is ready at {kafka.bootstrap}; Ctrl-C ends it and drops its data.")
            signal.sigwait({signal.SIGINT, signal.SIGTERM})
    except (NoJava, BrokerFailed) as error:
        print(f"broker: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
