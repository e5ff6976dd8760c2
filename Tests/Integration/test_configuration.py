"""The configuration file, environment variables, and how the program starts and stops."""

import json
import os
import signal
import socket
import subprocess

import pytest

from support.broker import RUNNING, Sluice, binary, clean_environment, free_port, run_sluice
from support.waiting import wait_for


def failed_start(sluice, config=None, **kwargs) -> str:
    """Starts a broker that must refuse; returns what it printed."""
    broker: Sluice = sluice(config, run=False, **kwargs)
    broker.launch()
    assert broker.exit_code() == 1, broker.output
    broker.check_no_crash()
    assert not broker.is_running()
    return broker.output


@pytest.mark.parametrize("config, suggestion", [
    ({"node": {"naem": "x@h"}}, "name"),
    ({"listners": {}}, "listeners"),
    ({"mqtt": {"max_packetsize": "1MB"}}, "max_packet_size"),
    ({"log": {"levle": "info"}}, "level"),
])
def test_an_unknown_key_is_an_error_with_a_suggestion_and_its_place(sluice, config, suggestion):
    output = failed_start(sluice, config)
    assert "did you mean" in output and suggestion in output
    assert "sluice.yaml:" in output


@pytest.mark.parametrize("config", [
    {"mqtt": {"max_packet_size": "lots"}}, {"mqtt": {"idle_timeout": "15 parsecs"}}, {"node": {"shards": 0}},
    {"listeners": {"tcp": {"default": {"bind": "127.0.0.1:99999"}}}}, {"log": {"level": "loud"}}, {"node": []},
    {"mqtt": {"max_qos_allowed": 3}},
], ids=json.dumps)
def test_a_wrong_value_is_an_error_with_its_place(sluice, config):
    assert "sluice.yaml:" in failed_start(sluice, config)


def test_all_problems_are_told_at_once(sluice):
    output = failed_start(sluice, {"node": {"naem": "x"}, "mqtt": {"max_packet_size": "lots"}, "log": {"level": "loud"}})
    assert "naem" in output and "max_packet_size" in output and "loud" in output


def test_a_variable_overrides_a_key(sluice):
    port = free_port()
    broker = sluice(env={"SLUICE_LISTENERS__TCP__DEFAULT__BIND": f"127.0.0.1:{port}", "SLUICE_NODE__NAME": "other@127.0.0.1"})
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", broker.port), timeout=5)
    assert "other@127.0.0.1" in broker.ctl("status").stdout


@pytest.mark.parametrize("name, value, wanted", [
    ("SLUICE_NODE__NAEM", "x", "SLUICE_NODE__NAME"),
    ("SLUICE_MQTT__MAX_PACKET_SIZE", "lots", "SLUICE_MQTT__MAX_PACKET_SIZE"),
])
def test_a_wrong_variable_is_an_error_that_names_it(sluice, name, value, wanted):
    assert wanted in failed_start(sluice, env={name: value})


def test_a_port_in_use_is_said_and_nothing_runs(sluice):
    first = sluice()
    output = failed_start(sluice, {"listeners": {"tcp": {"default": {"bind": f"127.0.0.1:{first.port}"}}}})
    assert str(first.port) in output


def test_a_missing_or_unreadable_configuration_is_said(tmp_path):
    for path in (tmp_path / "nowhere.yaml", tmp_path):
        result = run_sluice("start", "--config", str(path), check=False)
        assert result.returncode == 1 and str(path) in result.stdout + result.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_ends_the_program_with_0(sluice, client, number):
    broker = sluice()
    opened = client(broker, version=5)
    broker.process.send_signal(number)
    assert broker.exit_code() == 0
    broker.check_no_crash()
    body = opened.wait_closed()
    assert body is None or body[0] == 0x8B


def test_the_running_line_comes_when_all_listeners_are_bound_and_on_standard_output():
    broker = Sluice(websocket=True)
    process = subprocess.Popen([binary(), "start", "--config", str(broker.config)], cwd=broker.folder, env=clean_environment(),
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True)
    try:
        lines = iter(process.stdout.readline, "")
        assert any(RUNNING.search(line) for line in lines)
        for port in (broker.port, broker.ws_port):
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.wait(timeout=5)
        process.stdout.close()
        broker.close()


def test_ctl_speaks_to_the_node_of_its_file_and_says_when_it_is_not_running(sluice):
    broker, other = sluice(), sluice({"node": {"name": "second@127.0.0.1"}})
    assert "sluice@127.0.0.1" in broker.ctl("status").stdout
    assert "second@127.0.0.1" in other.ctl("status").stdout
    other.terminate()
    result = other.ctl("status", check=False)
    assert result.returncode != 0 and "second@127.0.0.1" not in result.stdout


def test_the_admin_socket_is_for_its_owner_only(sluice):
    broker = sluice()
    sockets = [p for p in broker.folder.rglob("*") if p.is_socket()]
    assert sockets, "no admin socket below the data folder"
    for path in sockets:
        assert os.stat(path).st_mode & 0o077 == 0, f"{path} {oct(os.stat(path).st_mode)}"


def test_a_long_data_folder_still_has_an_admin_socket(sluice):
    broker: Sluice = sluice(run=False)
    long = broker.folder / ("d" * 90) / ("e" * 90)
    broker.config.write_text(broker.config.read_text().replace(str(broker.data), str(long)))
    broker.start()
    assert "sluice@127.0.0.1" in broker.ctl("status").stdout


def test_a_second_start_in_the_same_data_folder_does_not_disturb_the_first(sluice, client):
    first = sluice()
    second: Sluice = sluice({"node": {"data_dir": str(first.data)}}, run=False)
    second.launch()
    wait_for(lambda: second.is_running() or second.process.poll() is not None, 15, "the second start")
    client(first).ping()
    assert "sluice@127.0.0.1" in first.ctl("status").stdout
    if not second.alive():
        assert second.process.returncode == 1
        second.check_no_crash()


def test_a_restart_after_kill_9_needs_no_help(sluice, client):
    broker = sluice()
    broker.kill()
    broker.start()
    client(broker).ping()
    assert "sluice@127.0.0.1" in broker.ctl("status").stdout
