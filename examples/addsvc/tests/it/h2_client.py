"""Calls addsvc over HTTP/2, by prior knowledge, with a client that nobody here wrote: `h2_client.py URL`."""

import asyncio
import socket
import sys
from urllib.parse import urlsplit

import h2.connection
import h2.events
import httpx


def too_long(url):
    """A body that is announced as too long: the whole answer, then a reset without an error (RFC 9113, section 8.1).

    On frames, since httpx and old versions of curl lose the answer when they get the reset while they send.
    """
    place = urlsplit(url)
    connection = h2.connection.H2Connection()
    connection.initiate_connection()
    head = {":method": "POST", ":path": "/concat", ":scheme": "http", ":authority": place.netloc}
    head |= {"content-type": "application/json", "content-length": "3000000"}
    connection.send_headers(1, list(head.items()))
    connection.send_data(1, b" " * 16000)
    seen = []
    with socket.create_connection((place.hostname, place.port), timeout=20) as stream:
        stream.sendall(connection.data_to_send())
        while not any(isinstance(event, h2.events.StreamReset) for event in seen):
            data = stream.recv(65536)
            assert data, seen
            seen += connection.receive_data(data)
    events = {type(event): event for event in seen}
    headers = dict(events[h2.events.ResponseReceived].headers)
    assert (headers[b":status"], headers[b"content-type"]) == (b"413", b"application/problem+json"), headers
    assert h2.events.StreamEnded in events, seen
    assert events[h2.events.StreamReset].error_code == 0, seen


async def main(url):
    async with httpx.AsyncClient(base_url=url, http1=False, http2=True, timeout=20) as client:
        answer = await client.post("/sum", json={"a": 1, "b": 2})
        assert (answer.http_version, answer.status_code, answer.json()) == ("HTTP/2", 200, {"v": 3}), answer.text
        assert answer.headers["content-type"] == "application/json", answer.headers
        assert answer.headers["content-length"] == str(len(answer.content)), answer.headers
        assert "date" in answer.headers, answer.headers
        for forbidden in ("connection", "transfer-encoding", "keep-alive"):
            assert forbidden not in answer.headers, answer.headers

        for body, status, media_type in [
            ({"a": 0, "b": 0}, 400, "application/json"),
            ({"a": "x"}, 400, "application/problem+json"),
        ]:
            answer = await client.post("/sum", json=body)
            assert (answer.status_code, answer.headers["content-type"]) == (status, media_type), (body, answer.text)
        answer = await client.get("/sum")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST"), answer.headers
        answer = await client.get("/nope")
        assert (answer.status_code, answer.json()["reason"]) == (404, "NO_ROUTE"), answer.text
        answer = await client.post("/sum", content=b"a=1", headers={"content-type": "text/plain"})
        assert answer.status_code == 415, answer.text
        answer = await client.post("/sum", json={"a": 1}, headers={"grpc-timeout": "soon"})
        assert answer.status_code == 400, answer.text

        async def chunks():
            yield b'{"a":'
            await asyncio.sleep(0)
            yield b"40}"

        answer = await client.post("/sum", content=chunks(), headers={"content-type": "application/json"})
        assert answer.json() == {"v": 40}, answer.text

        answers = await asyncio.gather(*(client.post("/sum", json={"a": n, "b": 1}) for n in range(100)))
        assert [answer.json() for answer in answers] == [{"v": n + 1} for n in range(100)]


too_long(sys.argv[1])
asyncio.run(main(sys.argv[1]))
print("all answers are right")
