// Print a table's current rows from its topic alone, with Kafka's client and Avro.
//
//     headwater table avro orders --format jsonl > orders.avro.jsonl
//     java -cp 'jars/*' ReadTable.java localhost:9092 shop.public.orders orders.avro.jsonl

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public class ReadTable {
    private final Map<Integer, Schema> known = new HashMap<>();

    public static void main(String[] args) throws IOException {
        new ReadTable(Path.of(args[2])).print(args[0], new TopicPartition(args[1], 0));
    }

    ReadTable(Path schemas) throws IOException {
        ObjectMapper json = new ObjectMapper();
        for (String line : Files.readAllLines(schemas)) {
            JsonNode one = json.readTree(line);
            Schema schema = new Schema.Parser().parse(one.get("schema").asText());
            known.put(one.get("id").asInt(), schema);
        }
    }

    /** A key or a value: one zero byte, the schema's id in four, then Avro. */
    private GenericRecord decode(byte[] message) throws IOException {
        ByteBuffer head = ByteBuffer.wrap(message);
        if (head.get() != 0) {
            throw new IOException("this framing is not known");
        }
        var reader = new GenericDatumReader<GenericRecord>(known.get(head.getInt()));
        return reader.read(null, DecoderFactory.get().binaryDecoder(message, 5, message.length - 5, null));
    }

    private void print(String brokers, TopicPartition partition) throws IOException {
        Map<ByteBuffer, Object> rows = new LinkedHashMap<>();
        try (var consumer = new KafkaConsumer<byte[], byte[]>(settings(brokers),
                new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            long end = consumer.endOffsets(List.of(partition)).get(partition);
            while (consumer.position(partition) < end) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
                    if (record.value() == null) {
                        continue; // the tombstone after a delete
                    }
                    GenericRecord event = decode(record.value());
                    ByteBuffer key = ByteBuffer.wrap(record.key());
                    if (event.get("op").toString().equals("d")) {
                        rows.remove(key);
                    } else {
                        rows.put(key, event.get("after"));
                    }
                }
            }
        }
        rows.values().forEach(System.out::println);
    }

    private static Properties settings(String brokers) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", brokers);
        settings.put("enable.auto.commit", "false");
        // Rows of a commit that is still open, or that was given up, are never seen.
        settings.put("isolation.level", "read_committed");
        return settings;
    }
}
