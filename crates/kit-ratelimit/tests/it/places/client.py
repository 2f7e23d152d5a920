"""Calls the health service at ADDRESS on gRPC's C++ core, unary and streaming, and prints how each call fails."""

import sys

import grpc
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status


def show(name, error):
    found = {}
    for detail in rpc_status.from_call(error).details:
        for message in (error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()):
            if detail.Unpack(message):
                found[type(message).__name__] = message
    delay = found["RetryInfo"].retry_delay.ToTimedelta().total_seconds()
    trailing = dict(error.trailing_metadata())
    names = ("grpc-retry-pushback-ms", "ratelimit-policy", "ratelimit")
    metadata = " ".join(f"{name}={trailing[name]}" for name in names)
    print(
        f"{name} {error.code().name} {error.details()!r} reason={found['ErrorInfo'].reason} "
        f"retry_delay={delay} {metadata}"
    )


request = health_pb2.HealthCheckRequest(service="ok")
with grpc.insecure_channel(sys.argv[1]) as channel:
    stub = health_pb2_grpc.HealthStub(channel)
    try:
        stub.Check(request, timeout=20)
    except grpc.RpcError as error:
        show("check", error)
    try:
        list(stub.Watch(request, timeout=20))
    except grpc.RpcError as error:
        show("watch", error)
