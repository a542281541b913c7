"""Any history at all on a real cluster: the model after every step, the topics alone at the end."""

import os

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from support_kafka import Broker
from support_machine import KafkaMachine

EXAMPLES = int(os.environ.get("HEADWATER_KAFKA_MACHINES", "30"))
STEPS = int(os.environ.get("HEADWATER_STEPS", "40"))


def test_a_store_on_kafka_is_the_model_after_any_history(kafka: Broker) -> None:
    class OnThisBroker(KafkaMachine):
        brokers = kafka.bootstrap

    run_state_machine_as_test(
        OnThisBroker, settings=settings(max_examples=EXAMPLES, stateful_step_count=STEPS)
    )
