"""How a Kafka cluster is reached, and what its driver's errors are called here.

The modules that know confluent-kafka: this one, kafka_producer, kafka_reader, kafka_held,
kafka_groups, kafka_admin, kafka_source, kafka_membership, kafka_voice and kafka_probe.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn

from confluent_kafka import KafkaError, KafkaException

from headwater.log_store.errors import LogError
from headwater.log_store.kafka_outcome import BrokerFault

# What a server's configuration may set beside the brokers; never what loads code or runs commands.
ALLOWED: Final = frozenset(
    {
        "security.protocol",
        "sasl.mechanism",
        "sasl.username",
        "sasl.password",
        "sasl.oauthbearer.method",
        "sasl.oauthbearer.client.id",
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.scope",
        "sasl.oauthbearer.token.endpoint.url",
        "sasl.kerberos.service.name",
        "sasl.kerberos.principal",
        "sasl.kerberos.keytab",
        "ssl.ca.location",
        "ssl.ca.pem",
        "ssl.certificate.location",
        "ssl.certificate.pem",
        "ssl.key.location",
        "ssl.key.pem",
        "ssl.key.password",
        "ssl.endpoint.identification.algorithm",
        "client.id",
        "client.rack",
        "broker.address.family",
        "socket.keepalive.enable",
    }
)
SECRET: Final = frozenset(
    {
        "sasl.password",
        "sasl.oauthbearer.client.secret",
        "ssl.key.pem",
        "ssl.key.password",
    }
)


class BrokerError(LogError):
    """A call to the cluster failed; `fault` says how. What state is left, its caller decides."""

    code = "E_BROKER"
    retryable = True

    def __init__(self, what: str, fault: BrokerFault, text: str) -> None:
        super().__init__(f"{what}: {text}")
        self.what, self.fault, self.text = what, fault, text


def fault_of(error: KafkaError) -> BrokerFault:
    """The driver's error as plain numbers and flags."""
    return BrokerFault(error.code(), error.retriable(), error.txn_requires_abort(), error.fatal())


def raise_fault(what: str, error: KafkaException) -> NoReturn:
    """The driver's exception as a BrokerError."""
    found: object = error.args[0] if error.args else None
    if isinstance(found, KafkaError):
        raise BrokerError(what, fault_of(found), found.str()) from error
    raise BrokerError(what, BrokerFault(KafkaError._FAIL), str(error)) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """How to reach a cluster. `options` are librdkafka's, of those ALLOWED.

    Raises:
        ValueError: an option that is not allowed, by name.
    """

    brokers: str
    options: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    def __post_init__(self) -> None:
        for name in self.options:
            if name not in ALLOWED:
                raise ValueError(
                    f"Kafka option {name} is not among those that may be set: "
                    f"{', '.join(sorted(ALLOWED))}"
                )

    def config(self) -> dict[str, str | int | float | bool]:
        """What every client is made with."""
        return {
            "client.id": "headwater",
            **self.options,
            "bootstrap.servers": self.brokers,
            "allow.auto.create.topics": False,
            "log_level": 0,
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 1000,
            "socket.timeout.ms": 10_000,
        }
