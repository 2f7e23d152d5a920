"""Calls addsvc over HTTP/2, by prior knowledge, with a client that nobody here wrote: `h2_client.py URL`."""

import asyncio
import sys

import httpx


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


asyncio.run(main(sys.argv[1]))
print("all answers are right")
