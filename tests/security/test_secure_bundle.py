"""Secure connection bundles, as DataStax Astra gives them: a service that knows the nodes, and one address behind which they are."""

from __future__ import annotations

import http.server
import json
import socket
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from certificates import Authority

import acsylla_like
from acsylla_like import compat, errors
from acsylla_like.testing import ScriptedServer

authority = Authority()
LOCALHOST = socket.getnameinfo(("127.0.0.1", 0), 0)[0]
HOST_ID = "3cd1a00b-7bee-41ed-aff2-510dcc4598b0"


class Service:
    """The metadata service: says where the nodes are to whoever shows a certificate of the authority."""

    def __init__(self, folder: Path, proxy: str) -> None:
        asked = self.asked = []
        answer = {"contact_info": {"type": "sni_proxy", "local_dc": "datacenter1", "contact_points": [HOST_ID], "sni_proxy_address": proxy}}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                body = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = authority.issue(names=[LOCALHOST]).server_context(folder, asks=authority)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> Service:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def bundle(folder: Path, port: int, **without: None) -> Path:
    client = authority.issue()
    parts = {
        "config.json": json.dumps({"host": LOCALHOST, "port": port}),
        "ca.crt": authority.pem,
        "cert": client.pem,
        "key": client.key_pem(),
    }
    path = folder / f"bundle-{port}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in parts.items():
            if name not in without:
                archive.writestr(name, text)
    return path


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[tuple[ScriptedServer, list[str | None]]]:
    """The nodes' one address, and the names under which it was asked for them."""
    names: list[str | None] = []
    context = authority.issue(names=[LOCALHOST]).server_context(tmp_path, asks=authority)
    context.sni_callback = lambda connection, name, given: names.append(name)
    with ScriptedServer(ssl=context, address="127.0.0.1") as server:
        yield server, names


async def test_a_bundle_leads_to_the_nodes(proxy, tmp_path):
    server, names = proxy
    with Service(tmp_path, f"{LOCALHOST}:{server.port}") as service:
        path = bundle(tmp_path, service.port)
        async with acsylla_like.connect(None, secure_connection_bundle=path) as session:
            await session.execute("SELECT v FROM ks.t")
        acsyllas = await compat.create_cluster(cloud_secure_connection_bundle=str(path)).create_session()
        await acsyllas.query("SELECT w FROM ks.t")
        await acsyllas.close()
        assert service.asked[0].startswith("/metadata")
    assert HOST_ID in names
    assert server.queries() == ["SELECT v FROM ks.t", "SELECT w FROM ks.t"]


def test_what_is_no_bundle_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.zip"):
        acsylla_like.create_cluster(None, secure_connection_bundle=tmp_path / "nothing.zip")
    (tmp_path / "no.zip").write_text("no zip")
    with pytest.raises(errors.ClientError, match=r"no\.zip"):
        acsylla_like.create_cluster(None, secure_connection_bundle=tmp_path / "no.zip")
    for part in ("config.json", "ca.crt", "cert", "key"):
        with pytest.raises(errors.ClientError, match=r"bundle-1\.zip"):
            acsylla_like.create_cluster(None, secure_connection_bundle=str(bundle(tmp_path, 1, **{part: None})))
    whole = bundle(tmp_path, 1)
    assert repr(acsylla_like.create_cluster(None, secure_connection_bundle=whole)) == "<Cluster of a bundle port 9042>"
    for points, more in (("127.0.0.1", {}), (None, {"ssl": True})):
        with pytest.raises(ValueError, match="give None and no ssl beside it"):
            acsylla_like.create_cluster(points, secure_connection_bundle=whole, **more)
    with pytest.raises(TypeError, match="contact_points must be a str or a list"):
        acsylla_like.create_cluster(None)


async def test_a_service_that_is_not_there(tmp_path):
    with pytest.raises((errors.NoHostsAvailable, errors.UnableToConnect)):
        await acsylla_like.connect(None, secure_connection_bundle=bundle(tmp_path, 1), connect_timeout=1.0)
