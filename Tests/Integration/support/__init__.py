"""What the integration tests, the conformance runner, the fuzzer and the benchmark share: the broker as a child process,
a raw MQTT client, HTTP receivers and waiting for a condition."""
