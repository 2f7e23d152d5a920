"""A server of kit.probe.v1.Probe on gRPC's C++ core, with health and reflection. Prints its port, then what happens.

After the port, a line for each of: `call PATH PEER`, `cancelled PATH` (the client left, or its deadline has passed),
`mark N` (for SIGHUP number N), `stopped`. SIGTERM sends GOAWAY, gives open calls --grace-ms, and ends.

Metadata of an Echo: `x-probe-health: NOT_SERVING` sets the health of the whole and of Probe; `x-probe-fail-first: N`
lets `fail` apply only while the call's `grpc-previous-rpc-attempts` is below N; `x-probe-no-pushback` leaves that out.
"""

import argparse
import concurrent.futures
import pathlib
import queue
import signal
import threading

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, duration_pb2, text_format
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

import probe

CODES = {code.value[0]: code for code in grpc.StatusCode}
lock = threading.Lock()
healths = health.HealthServicer()


def say(*words):
    with lock:
        print(*words, flush=True)


class Call:
    """What each method does first, and at the end."""

    def __init__(self, context, method):
        self.context, self.path = context, f"/{probe.SERVICE}/{method}"
        self.metadata = probe.texts(context.invocation_metadata())
        left = context.time_remaining()
        # Without a deadline some versions say None, some the end of time.
        self.timeout_ms = -1 if left is None or left > 1e8 else int(left * 1000)
        self.gone = threading.Event()
        self.finished = False
        context.add_callback(self._over)
        context.set_trailing_metadata(probe.TAIL)
        say("call", self.path, context.peer())

    def _over(self):
        self.gone.set()
        if not self.finished:
            say("cancelled", self.path)

    def head(self):
        # The peer shows clients how many connections they use.
        self.context.send_initial_metadata((*probe.HEAD, ("x-probe-peer", self.context.peer())))

    def wait(self, milliseconds):
        """False when the client has left meanwhile."""
        return not self.gone.wait(milliseconds / 1000)

    def end(self, fail=None, head_sent=False):
        """Ends the call with `fail`, if that is an error."""
        self.finished = True
        attempts = int(self.metadata.get("grpc-previous-rpc-attempts", 0))
        if not fail or not fail.code or attempts >= int(self.metadata.get("x-probe-fail-first", attempts + 1)):
            return
        if fail.in_trailers and not head_sent:
            self.head()
        tail, details = list(probe.TAIL), []
        if fail.reason:
            details.append(error_details_pb2.ErrorInfo(reason=fail.reason, domain="probe.kit"))
        if fail.retry_after_ms == probe.DO_NOT_RETRY:
            tail.append(("grpc-retry-pushback-ms", "-1"))
        elif fail.retry_after_ms:
            if "x-probe-no-pushback" not in self.metadata:
                tail.append(("grpc-retry-pushback-ms", str(fail.retry_after_ms)))
            delay = duration_pb2.Duration()
            delay.FromMilliseconds(fail.retry_after_ms)
            details.append(error_details_pb2.RetryInfo(retry_delay=delay))
        if fail.field_violations:
            bad = error_details_pb2.BadRequest()
            for field, description in sorted(fail.field_violations.items()):
                bad.field_violations.add(field=field, description=description)
            details.append(bad)
        if details:
            status = status_pb2.Status(code=fail.code, message=fail.message)
            for detail in details:
                status.details.add().Pack(detail)
            tail.append(("grpc-status-details-bin", status.SerializeToString()))
        self.context.set_trailing_metadata(tail)
        self.context.abort(CODES.get(fail.code, grpc.StatusCode.UNKNOWN), fail.message)


def reply(call, request):
    payload = bytes(request.answer_bytes) if request.answer_bytes else request.payload
    return probe.EchoReply(text=request.text, payload=payload, metadata=call.metadata, timeout_ms=call.timeout_ms)


def echo(request, context):
    call = Call(context, "Echo")
    if "x-probe-health" in call.metadata:
        for service in ("", probe.SERVICE):
            healths.set(service, health_pb2.HealthCheckResponse.ServingStatus.Value(call.metadata["x-probe-health"]))
    if request.delay_ms and not call.wait(request.delay_ms):
        return None
    call.end(request.fail)
    call.head()
    return reply(call, request)


def count(request, context):
    call = Call(context, "Count")
    if request.n:
        call.head()
    for i in range(1, request.n + 1):
        if request.pause_ms and not call.wait(request.pause_ms):
            return
        yield probe.CountReply(i=i)
    call.end(request.fail, head_sent=request.n > 0)


def sum_up(requests, context):
    call = Call(context, "Sum")
    values = [request.value for request in requests]
    call.end()
    call.head()
    return probe.SumReply(total=sum(values), count=len(values))


def chat(requests, context):
    call = Call(context, "Chat")
    call.head()
    for request in requests:
        if request.delay_ms and not call.wait(request.delay_ms):
            return
        if request.fail.code:
            call.end(request.fail, head_sent=True)
        yield reply(call, request)
    call.end()


def add_services(server):
    def method(handler, behaviour, takes, gives):
        return handler(behaviour, request_deserializer=takes.FromString, response_serializer=gives.SerializeToString)

    methods = {
        "Echo": method(grpc.unary_unary_rpc_method_handler, echo, probe.EchoRequest, probe.EchoReply),
        "Count": method(grpc.unary_stream_rpc_method_handler, count, probe.CountRequest, probe.CountReply),
        "Sum": method(grpc.stream_unary_rpc_method_handler, sum_up, probe.SumRequest, probe.SumReply),
        "Chat": method(grpc.stream_stream_rpc_method_handler, chat, probe.EchoRequest, probe.EchoReply),
    }
    health_pb2_grpc.add_HealthServicer_to_server(healths, server)
    healths.set(probe.SERVICE, health_pb2.HealthCheckResponse.SERVING)
    # The package has v1alpha only; v1 is the same under another name.
    alpha = descriptor_pb2.FileDescriptorProto.FromString(reflection_pb2.DESCRIPTOR.serialized_pb)
    v1 = text_format.Parse(text_format.MessageToString(alpha).replace("v1alpha", "v1"), type(alpha)())
    descriptor_pool.Default().AddSerializedFile(v1.SerializeToString())
    reflections = [f"{v1.package}.ServerReflection", reflection.SERVICE_NAME]
    info = method(
        grpc.stream_stream_rpc_method_handler,
        reflection.ReflectionServicer([probe.SERVICE, health.SERVICE_NAME, *reflections]).ServerReflectionInfo,
        reflection_pb2.ServerReflectionRequest,
        reflection_pb2.ServerReflectionResponse,
    )
    handlers = {probe.SERVICE: methods, **{name: {"ServerReflectionInfo": info} for name in reflections}}
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(name, methods) for name, methods in handlers.items()]
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"), help="PEM files")
    parser.add_argument("--client-ca", metavar="CA", help="ask for the client's certificate, and insist on it")
    parser.add_argument("--gzip", action="store_true", help="compress answers, where the client takes it")
    parser.add_argument("--max-receive", type=int, metavar="BYTES", help="of a message; 4 MiB if not given")
    parser.add_argument("--max-send", type=int, metavar="BYTES")
    parser.add_argument("--max-connection-age-ms", type=int, help="then GOAWAY; give or take a tenth")
    parser.add_argument("--forbid-pings", action="store_true", help="GOAWAY for more than 2 pings in 5 minutes")
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="any other of the core")
    parser.add_argument("--grace-ms", type=int, default=5000, help="for open calls after SIGTERM")
    args = parser.parse_args()

    # Without this, a server that is to come back on its port would share it with others in silence.
    options = [("grpc.so_reuseport", 0)]
    for name, value in (
        ("grpc.max_receive_message_length", args.max_receive),
        ("grpc.max_send_message_length", args.max_send),
        ("grpc.max_connection_age_ms", args.max_connection_age_ms),
    ):
        if value is not None:
            options.append((name, value))
    if args.forbid_pings:
        options += [
            ("grpc.http2.min_ping_interval_without_data_ms", 300_000),
            ("grpc.http2.max_ping_strikes", 2),
            ("grpc.keepalive_permit_without_calls", 0),
        ]
    for option in args.option:
        name, value = option.split("=", 1)
        options.append((name, int(value) if value.lstrip("-").isdigit() else value))

    # One thread for each open call.
    pool = concurrent.futures.ThreadPoolExecutor(max_workers=300)
    server = grpc.server(pool, options=options, compression=grpc.Compression.Gzip if args.gzip else None)
    add_services(server)
    address = f"127.0.0.1:{args.port}"
    if args.tls:
        certificate, key = (pathlib.Path(file).read_bytes() for file in args.tls)
        authority = pathlib.Path(args.client_ca).read_bytes() if args.client_ca else None
        credentials = grpc.ssl_server_credentials([(key, certificate)], authority, authority is not None)
        port = server.add_secure_port(address, credentials)
    else:
        port = server.add_insecure_port(address)
    # A handler of signals may do no more than this.
    signals = queue.SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: signals.put(number))
    server.start()
    say(port)
    marks = 0
    while signals.get() != signal.SIGTERM:
        marks += 1
        say("mark", marks)
    # Python itself would put the default back, and a second SIGTERM would end it on its last steps.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    server.stop(args.grace_ms / 1000).wait()
    say("stopped")


if __name__ == "__main__":
    main()
