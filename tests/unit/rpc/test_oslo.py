"""What reaches oslo.messaging untouched."""

from __future__ import annotations

from pathlib import Path

import pytest

from mistral import config
from mistral.exceptions import ConfigurationError
from mistral.rpc.oslo import OsloTransport
from mistral.rpc.plugins import create_transport


def test_options_for_tls_and_queues_reach_the_driver(tmp_path: Path) -> None:
    path = tmp_path / "mistral.conf"
    path.write_text(
        "[DEFAULT]\ntransport_url = rabbit://u:p@broker:5671/\n"
        "[oslo_messaging_rabbit]\nssl = true\nssl_ca_file = /ca\nssl_cert_file = /cert\n"
        "ssl_key_file = /key\nrabbit_quorum_queue = true\namqp_auto_delete = true\n"
    )
    transport = create_transport(config.load(["--config-file", str(path)], environ={}))
    assert isinstance(transport, OsloTransport)
    options = transport._transport._driver.conf.oslo_messaging_rabbit
    assert options.ssl is True
    assert (options.ssl_ca_file, options.ssl_cert_file) == ("/ca", "/cert")
    assert options.ssl_key_file == "/key"
    assert (options.rabbit_quorum_queue, options.amqp_auto_delete) == (True, True)
    transport.close()


@pytest.mark.parametrize("url", ["redis://h/", "amqps://h/"])
def test_an_unsupported_backend_ends_the_start(url: str) -> None:
    conf = config.load([], environ={})
    conf.set_override("transport_url", url)
    with pytest.raises(ConfigurationError, match="^transport_url: unsupported backend"):
        create_transport(conf)
