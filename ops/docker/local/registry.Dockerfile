# Apicurio Registry from Maven Central on this machine's own Java (21 or newer).
ARG BASE
FROM ${BASE}
COPY app /opt/registry
USER 1000:1000
EXPOSE 8080
WORKDIR /opt/registry
ENV QUARKUS_HTTP_HOST=0.0.0.0
CMD ["java", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-jar", "quarkus-run.jar"]
