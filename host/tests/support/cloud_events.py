"""Reads a topic to its end as another application would, and prints each record as a line of JSON.

Every record is held to what CloudEvents 1.0 asks of Kafka's binary mode; what breaks it ends the program.
"""

import json
import re
import sys
from datetime import datetime

from confluent_kafka import Consumer, KafkaError, TopicPartition

brokers, topic = sys.argv[1:]
consumer = Consumer(
    {
        "bootstrap.servers": brokers,
        "group.id": "cloud-events",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
    }
)
partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])

open_partitions = set(partitions)
while open_partitions:
    message = consumer.poll(10)
    assert message is not None, "nothing came within ten seconds"
    if message.error():
        assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
        open_partitions.discard(message.partition())
        continue
    names = [name for name, _ in message.headers()]
    assert len(names) == len(set(names)), f"a header is there twice: {names}"
    headers = {name: value.decode("utf-8") for name, value in message.headers()}
    assert headers["ce_specversion"] == "1.0"
    for name in ("ce_id", "ce_source", "ce_type", "ce_subject"):
        assert headers[name], f"{name} is empty"
    for name, value in headers.items():
        if name.startswith("ce_"):
            assert re.fullmatch("ce_[a-z0-9]{1,20}", name), f"{name} is no attribute's name"
            assert value, f"{name} is empty"
    datetime.fromisoformat(headers["ce_time"].replace("Z", "+00:00"))
    is_stub = headers.get("ce_stub") == "true"
    if not is_stub:
        assert headers["content-type"] == "application/json"
    print(
        json.dumps(
            {
                "partition": message.partition(),
                "key": message.key().decode("utf-8"),
                "headers": headers,
                "stub": is_stub,
                "bytes": len(message.value()),
                "data": None if is_stub else json.loads(message.value()),
            }
        )
    )
consumer.close()
