"""Alerts are told once, and their webhooks arrive whatever fails meanwhile."""

import json
import logging
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from monitored import started, two_members
from synthdetect.monitoring import alerts
from synthdetect.monitoring.monitor import Monitor
from synthdetect.monitoring.rules import Fired, Rule, Rules

NOW = 1_000_000.0
FOUND = [Fired("rule", "score", "score drifted")]


@pytest.fixture
def receiver():
    """A server that answers with `status` and keeps what it got."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.got.append((self.headers["Idempotency-Key"], json.loads(body)))
            self.send_response(self.server.status)
            if self.server.status == 302:
                self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.got, server.status = [], 200
    server.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def store(tmp_path):
    return started(tmp_path / "m.db")._store


def raised(store, at_s=NOW, urls=()):
    return alerts.raised(store, FOUND, at_s=at_s, repeat_after_s=3600, webhooks=urls)


def test_what_was_told_is_not_told_again_for_a_while(store):
    assert len(raised(store)) == 1
    assert raised(store, NOW + 3599) == ()
    assert len(raised(store, NOW + 3601)) == 1
    assert [one.at_s for one in alerts.history(store)] == [NOW + 3601, NOW]


def test_an_alert_is_logged(store, caplog):
    with caplog.at_level(logging.WARNING, logger="synthdetect.monitoring"):
        raised(store)
    assert "rule: score drifted" in caplog.text


def test_a_webhook_gets_the_alert(store, receiver):
    raised(store, urls=[receiver.url])
    assert alerts.deliver(store, now_s=NOW) == 1
    ((key, body),) = receiver.got
    assert key == "synthdetect-1"
    assert body["text"] == "synthdetect: rule: score drifted"
    assert body["alert"]["subject"] == "score"
    assert alerts.deliver(store, now_s=NOW + 1e6) == 0
    assert alerts.waiting(store) == 0


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_failure_is_tried_again_later_and_later(store, receiver, status):
    receiver.status = status
    raised(store, urls=[receiver.url])
    now, tries = NOW, []
    while len(tries) < 4:
        before = len(receiver.got)
        alerts.deliver(store, now_s=now)
        if len(receiver.got) > before:
            tries.append(now - NOW)
        now += 30
    assert tries == [0, 60, 180, 420]
    receiver.status = 204
    assert alerts.deliver(store, now_s=now + 1e6) == 1
    assert len({key for key, _ in receiver.got}) == 1


def test_a_message_outlives_a_process_that_died_while_sending(store, receiver):
    raised(store, urls=[receiver.url])
    assert len(alerts._claimed(store, NOW)) == 1  # and then nothing: it died
    again = Monitor.open(store.database.name)._store
    assert alerts.deliver(again, now_s=NOW + 10) == 0
    assert alerts.deliver(again, now_s=NOW + 121) == 1


def test_of_two_senders_one_takes_a_message(store):
    raised(store, urls=["http://127.0.0.1:1/"])
    assert len(alerts._claimed(store, NOW)) == 1
    assert alerts._claimed(store, NOW) == []


def test_nobody_there_is_a_failure_and_the_log_has_no_address(store, caplog):
    raised(store, urls=["http://127.0.0.1:1/secret-token"])
    assert alerts.deliver(store, now_s=NOW) == 0
    assert alerts.waiting(store) == 1
    assert "failed" in caplog.text
    assert "secret-token" not in caplog.text


@pytest.mark.parametrize("answer", [b"hello\r\n\r\n", b"", b"HTTP/1.1 200 " + b"x" * 70_000])
def test_a_receiver_that_speaks_no_http_holds_up_no_other(store, receiver, answer):
    def serve(listening):
        connection, _ = listening.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=[listening])
        thread.start()
        odd = f"http://127.0.0.1:{listening.getsockname()[1]}/hook"
        raised(store, urls=[odd, receiver.url])
        assert alerts.deliver(store, now_s=NOW) == 1
        thread.join()
    assert len(receiver.got) == 1
    assert alerts.waiting(store) == 1


def test_a_check_tells_log_callback_and_webhook(tmp_path, receiver):
    monitor = started(tmp_path / "m.db")
    rules = Rules((Rule("flagged", above=0.2),), webhooks=(receiver.url,))
    told = []
    monitor.record(two_members(500, 0.05, 2))
    assert monitor.check(rules, callback=told.append) == ()
    monitor.record(two_members(1000, 0.5, 3))
    found = monitor.check(rules, callback=told.append)
    assert [one.rule for one in found] == ["flagged above 0.2"]
    assert told == list(found)
    assert len(receiver.got) == 1
    assert monitor.check(rules, callback=told.append) == ()
    assert monitor.alerts() == found
    assert monitor.n_waiting == monitor.deliver() == 0
