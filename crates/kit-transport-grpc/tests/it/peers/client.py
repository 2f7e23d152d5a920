"""A client of kit.probe.v1.Probe on gRPC's C++ core. Prints one JSON object for each call, also for one that fails.

`client.py ADDRESS [OPTIONS] COMMAND ... [--then ADDRESS [OPTIONS] COMMAND ...] ...`. An object has: `code` (its name),
`message`, `details` (decoded, each with its `@type`), `initial` and `trailing` (metadata; binary values in hex, repeated
ones joined by ", "), `head` and `tail` (whether the metadata that a server of Probe sends arrived as it should), `ms`
(how long it took), and `reply` or `replies`. Requests are given as protobuf's JSON. Payloads are shown in hex, long ones
as their length only.
"""

import argparse
import json
import pathlib
import sys
import threading
import time

import grpc
from google.protobuf import descriptor_pb2, json_format
from google.rpc import error_details_pb2  # noqa: F401, its messages may stand in a status
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from grpc_status import rpc_status

import probe

SHOWN = 256


def as_dict(message):
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def show(message):
    """A reply as JSON: all of its fields, numbers as numbers."""
    if isinstance(message, bytes):
        return message.hex()
    if isinstance(message, probe.EchoReply):
        payload = message.payload.hex() if len(message.payload) <= SHOWN else None
        text = message.text if len(message.text) <= SHOWN else None
        return {
            "text": text,
            "payload": payload,
            "payload_len": len(message.payload),
            "metadata": dict(message.metadata),
            "timeout_ms": message.timeout_ms,
        }
    if isinstance(message, probe.CountReply):
        return message.i
    if isinstance(message, probe.SumReply):
        return {"total": message.total, "count": message.count}
    return as_dict(message)


def decoded(call):
    try:
        status = rpc_status.from_call(call)
    except ValueError as error:  # its code or message differs from that of the call
        return [{"bad": str(error)}]
    return [as_dict(detail) for detail in status.details] if status else []


def emit(call, since, **more):
    initial, trailing = probe.texts(call.initial_metadata()), probe.texts(call.trailing_metadata())
    has = lambda found, wanted: probe.texts(wanted).items() <= found.items()
    print(json.dumps({
        "code": call.code().name,
        "message": call.details() or "",
        "details": decoded(call),
        "initial": initial,
        "trailing": trailing,
        "head": has(initial, probe.HEAD),
        "tail": has(trailing, probe.TAIL),
        "ms": round((time.monotonic() - since) * 1000),
        **more,
    }), flush=True)


class Client:
    def __init__(self, args):
        self.args = args
        self.channel = channel(args)
        metadata = [pair.split("=", 1) for pair in args.metadata]
        self.options = {
            "timeout": args.deadline_ms / 1000 if args.deadline_ms is not None else None,
            "metadata": [(key, bytes.fromhex(value) if key.endswith("-bin") else value) for key, value in metadata],
            "wait_for_ready": args.wait_for_ready or None,
            "compression": grpc.Compression.Gzip if args.gzip else None,
        }

    def method(self, shape, path, takes=None, gives=None):
        path = path if path.startswith("/") else f"/{probe.SERVICE}/{path}"
        serialize = takes.SerializeToString if takes else None
        parse = gives.FromString if gives else None
        return getattr(self.channel, shape)(path, request_serializer=serialize, response_deserializer=parse)

    def unary(self, path, takes, gives, request):
        since = time.monotonic()
        call = self.method("unary_unary", path, takes, gives).future(request, **self.options)
        return self.one(call, since)

    def one(self, call, since, **more):
        """The end of a call with one reply."""
        try:
            more["reply"] = show(call.result())
        except (grpc.RpcError, grpc.FutureCancelledError):
            pass
        emit(call, since, **more)

    def many(self, call, since, take=None, each=lambda: None):
        """The end of a call with any number of replies, or the cancelling of it after `take` of them."""
        replies = []
        try:
            for reply in call:
                replies.append(show(reply))
                each()
                if len(replies) == take:
                    call.cancel()
        except grpc.RpcError:
            pass
        emit(call, since, replies=replies)

    # The commands.

    def echo(self):
        request = self.request(probe.EchoRequest)
        if self.args.payload_bytes is not None:
            request.payload = bytes(self.args.payload_bytes)
        self.unary("Echo", probe.EchoRequest, probe.EchoReply, request)

    def count(self):
        since = time.monotonic()
        method = self.method("unary_stream", "Count", probe.CountRequest, probe.CountReply)
        self.many(method(self.request(probe.CountRequest), **self.options), since, self.args.take)

    def sum(self):
        def requests():
            for value in self.args.values:
                time.sleep(self.args.pause_ms / 1000)
                yield probe.SumRequest(value=value)

        since = time.monotonic()
        method = self.method("stream_unary", "Sum", probe.SumRequest, probe.SumReply)
        self.one(method.future(requests(), **self.options), since)

    def chat(self):
        """Sends a request only when the one before is answered, so that both directions must be open at once."""
        answered = threading.Semaphore(len(self.args.requests) if self.args.at_once else 1)

        def requests():
            for request in self.args.requests:
                # A call that has ended without an answer wakes nobody.
                if not answered.acquire(timeout=20):
                    return
                yield json_format.Parse(request, probe.EchoRequest())

        since = time.monotonic()
        call = self.method("stream_stream", "Chat", probe.EchoRequest, probe.EchoReply)(requests(), **self.options)
        release = lambda: answered.release(len(self.args.requests) + 1)
        # A call that is over already takes no callback.
        if not call.add_callback(release):
            release()
        self.many(call, since, self.args.take, answered.release)

    def raw(self):
        """Messages of any bytes, also none or two of them where one is due; replies in hex."""
        since = time.monotonic()
        messages = iter([bytes.fromhex(message) for message in self.args.messages])
        self.many(self.method("stream_stream", self.args.path)(messages, **self.options), since)

    def hundred(self):
        """Many calls at once on one channel, each with an answer of its own that comes in another order."""
        method = self.method("unary_unary", "Echo", probe.EchoRequest, probe.EchoReply)
        asked = [
            probe.EchoRequest(text=f"call {i}", payload=bytes([i % 256]) * (i * 37 % 5000), delay_ms=(i * 61) % 100)
            for i in range(self.args.calls)
        ]
        since = time.monotonic()
        calls = [method.future(request, **self.options) for request in asked]
        codes, right, peers = {}, 0, set()
        for request, call in zip(asked, calls):
            name = "OK" if call.exception() is None else call.code().name
            codes[name] = codes.get(name, 0) + 1
            if name == "OK":
                reply = call.result()
                right += reply.text == request.text and reply.payload == request.payload
                # Only the server can see this; one that does not say it leaves `connections` null.
                peers.add(probe.texts(call.initial_metadata()).get("x-probe-peer"))
        connections = None if None in peers else len(peers)
        took = round((time.monotonic() - since) * 1000)
        print(json.dumps({"codes": codes, "right": right, "connections": connections, "ms": took}))

    def health_check(self):
        request = health_pb2.HealthCheckRequest(service=self.args.service)
        path = "/grpc.health.v1.Health/Check"
        self.unary(path, health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse, request)

    def health_list(self):
        request = health_pb2.HealthListRequest()
        path = "/grpc.health.v1.Health/List"
        self.unary(path, health_pb2.HealthListRequest, health_pb2.HealthListResponse, request)

    def health_watch(self):
        """Prints each state at once, as a line `{"watched": STATE}`, and the end as any other call."""
        since = time.monotonic()
        path = "/grpc.health.v1.Health/Watch"
        method = self.method("unary_stream", path, health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse)
        call = method(health_pb2.HealthCheckRequest(service=self.args.service), **self.options)
        states = []
        try:
            for answer in call:
                states.append(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))
                print(json.dumps({"watched": states[-1]}), flush=True)
                if len(states) == self.args.take:
                    call.cancel()
        except grpc.RpcError:
            pass
        emit(call, since, replies=states)

    def reflect(self):
        """Asks everything on one stream; files come decoded, each as `{"file": {...}}`."""
        asked = [self.reflection_request(question) for question in self.args.questions]
        since = time.monotonic()
        path = f"/grpc.reflection.{self.args.version}.ServerReflection/ServerReflectionInfo"
        requests, responses = reflection_pb2.ServerReflectionRequest, reflection_pb2.ServerReflectionResponse
        call = self.method("stream_stream", path, requests, responses)(iter(asked), **self.options)
        replies = []
        try:
            for response in call:
                kind = response.WhichOneof("message_response")
                if kind == "list_services_response":
                    replies.append({"services": [service.name for service in response.list_services_response.service]})
                elif kind == "file_descriptor_response":
                    files = response.file_descriptor_response.file_descriptor_proto
                    files = [as_dict(descriptor_pb2.FileDescriptorProto.FromString(file)) for file in files]
                    replies.append({"files": files})
                else:
                    replies.append(as_dict(response))
        except grpc.RpcError:
            pass
        emit(call, since, replies=replies)

    @staticmethod
    def reflection_request(question):
        kind, _, name = question.partition("=")
        if kind == "list":
            return reflection_pb2.ServerReflectionRequest(list_services="*")
        if kind == "symbol":
            return reflection_pb2.ServerReflectionRequest(file_containing_symbol=name)
        if kind == "file":
            return reflection_pb2.ServerReflectionRequest(file_by_filename=name)
        raise SystemExit(f"`{question}` is none of list, symbol=NAME, file=NAME")

    def cancel(self):
        """Leaves an Echo that would be answered in a minute, after --after-ms."""
        method = self.method("unary_unary", "Echo", probe.EchoRequest, probe.EchoReply)
        since = time.monotonic()
        call = method.future(probe.EchoRequest(text="left alone", delay_ms=60_000), **self.options)
        time.sleep(self.args.after_ms / 1000)
        cancelled = call.cancel()
        self.one(call, since, cancelled=cancelled)
        # The core sends RST_STREAM from another thread; closing the connection at once would hide it.
        time.sleep(0.2)

    def request(self, kind):
        return json_format.Parse(self.args.request, kind())

    def run(self):
        for _ in range(self.args.times):
            getattr(self, self.args.command.replace("-", "_"))()


def channel(args):
    options = [("grpc.enable_http_proxy", 0)]
    if args.max_receive is not None:
        options.append(("grpc.max_receive_message_length", args.max_receive))
    if args.max_send is not None:
        options.append(("grpc.max_send_message_length", args.max_send))
    if args.server_name:
        options.append(("grpc.ssl_target_name_override", args.server_name))
    for option in args.option:
        name, value = option.split("=", 1)
        options.append((name, int(value) if value.lstrip("-").isdigit() else value))
    if args.retry:
        policy = {
            "maxAttempts": args.retry,
            "initialBackoff": "0.02s",
            "maxBackoff": "0.1s",
            "backoffMultiplier": 2,
            "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
        }
        args.service_config = json.dumps({"methodConfig": [{"name": [{}], "retryPolicy": policy}]})
    if args.service_config:
        options.append(("grpc.service_config", args.service_config))
    if not args.ca:
        return grpc.insecure_channel(args.address, options)
    read = lambda file: pathlib.Path(file).read_bytes() if file else None
    credentials = grpc.ssl_channel_credentials(read(args.ca), read(args.key), read(args.cert))
    return grpc.secure_channel(args.address, credentials, options)


def arguments(given):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--metadata", action="append", default=[], metavar="KEY=VALUE", help="of `-bin` in hex")
    parser.add_argument("--deadline-ms", type=int)
    parser.add_argument("--gzip", action="store_true", help="compress requests")
    parser.add_argument("--wait-for-ready", action="store_true")
    parser.add_argument("--times", type=int, default=1, help="run the command so often, on one channel")
    parser.add_argument("--max-receive", type=int, metavar="BYTES", help="of a message; 4 MiB if not given")
    parser.add_argument("--max-send", type=int, metavar="BYTES")
    parser.add_argument("--ca", metavar="PEM", help="speak TLS, and trust this")
    parser.add_argument("--cert", metavar="PEM", help="the client's certificate")
    parser.add_argument("--key", metavar="PEM", help="its key")
    parser.add_argument("--server-name", help="expected in the server's certificate, in place of the address")
    parser.add_argument("--retry", type=int, metavar="ATTEMPTS", help="retry UNAVAILABLE and RESOURCE_EXHAUSTED")
    parser.add_argument("--service-config", metavar="JSON")
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="any other of the core")
    parser.add_argument("address", help="HOST:PORT, or any target of gRPC")
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name, **more):
        return commands.add_parser(name, **more)

    take = {"type": int, "metavar": "N", "help": "cancel after so many replies"}
    echo = command("echo")
    echo.add_argument("request", nargs="?", default="{}")
    echo.add_argument("--payload-bytes", type=int, metavar="N", help="a payload of N zeros: an argument holds less")
    count = command("count")
    count.add_argument("request", nargs="?", default="{}")
    count.add_argument("--take", **take)
    total = command("sum")
    total.add_argument("values", nargs="*", type=int)
    total.add_argument("--pause-ms", type=int, default=0)
    chat = command("chat")
    chat.add_argument("requests", nargs="*")
    chat.add_argument("--at-once", action="store_true", help="send all without waiting for answers")
    chat.add_argument("--take", **take)
    raw = command("raw")
    raw.add_argument("path", help="/package.Service/Method, or a method of Probe")
    raw.add_argument("messages", nargs="*", metavar="HEX")
    hundred = command("hundred")
    hundred.add_argument("--calls", type=int, default=100)
    command("health-check").add_argument("service", nargs="?", default="")
    command("health-list")
    watch = command("health-watch")
    watch.add_argument("service", nargs="?", default="")
    watch.add_argument("--take", **take)
    reflect = command("reflect")
    reflect.add_argument("questions", nargs="+", metavar="list | symbol=NAME | file=NAME")
    reflect.add_argument("--version", choices=["v1", "v1alpha"], default="v1")
    cancel = command("cancel")
    cancel.add_argument("--after-ms", type=int, default=200)
    return parser.parse_args(given)


if __name__ == "__main__":
    # Most of the time of a short run is Python's start.
    runs = [[]]
    for argument in sys.argv[1:]:
        runs.append([]) if argument == "--then" else runs[-1].append(argument)
    for run in runs:
        Client(arguments(run)).run()
