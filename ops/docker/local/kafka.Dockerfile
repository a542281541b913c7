# Kafka from Maven Central's jars on this machine's own Java: keeps apache/kafka's contract.
ARG BASE
FROM ${BASE}
COPY jars /opt/kafka/libs
COPY run log4j2.properties /etc/kafka/docker/
RUN mkdir -p /opt/kafka/config /var/lib/kafka/data && chown -R 1000:1000 /opt/kafka /var/lib/kafka
USER 1000:1000
VOLUME /var/lib/kafka/data
EXPOSE 9092
WORKDIR /opt/kafka
CMD ["/etc/kafka/docker/run"]
