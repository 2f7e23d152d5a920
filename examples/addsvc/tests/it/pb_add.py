"""Go kit's pb.Add on gRPC's C++ core: `pb_add.py client ADDRESS` calls it, `pb_add.py server` serves it.

The client prints one JSON array for each call: method, code, reply. The server prints its port, and does what Go kit's
addsvc does; a sum of 429 meets its limiter.
"""

import concurrent.futures
import json
import sys

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SERVICE = "pb.Add"
Field = descriptor_pb2.FieldDescriptorProto


def messages():
    """The messages of Go kit's add.proto."""
    file = descriptor_pb2.FileDescriptorProto(name="addsvc.proto", package="pb", syntax="proto3")
    for name, fields in {
        "SumRequest": [("a", Field.TYPE_INT64), ("b", Field.TYPE_INT64)],
        "SumReply": [("v", Field.TYPE_INT64), ("err", Field.TYPE_STRING)],
        "ConcatRequest": [("a", Field.TYPE_STRING), ("b", Field.TYPE_STRING)],
        "ConcatReply": [("v", Field.TYPE_STRING), ("err", Field.TYPE_STRING)],
    }.items():
        message = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields, 1):
            message.field.add(name=field, number=number, type=kind, label=Field.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    find = lambda name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"pb.{name}"))
    return {method: (find(f"{method}Request"), find(f"{method}Reply")) for method in ("Sum", "Concat")}


METHODS = messages()


def client(address):
    channel = grpc.insecure_channel(address, [("grpc.enable_http_proxy", 0)])

    def start(method, a, b):
        takes, gives = METHODS.get(method, METHODS["Sum"])
        path = f"/{SERVICE}/{method}"
        stub = channel.unary_unary(path, request_serializer=takes.SerializeToString, response_deserializer=gives.FromString)
        return stub.future(takes(a=a, b=b), timeout=20)

    def call(method, a, b):
        future = start(method, a, b)
        reply = {"v": future.result().v, "err": future.result().err} if future.exception() is None else None
        print(json.dumps([method, future.code().name, reply]), flush=True)

    for a, b in [(1, 2), (1, -3), (-1, 1), (0, 0), (2**31 - 1, 1)]:
        call("Sum", a, b)
    for a, b in [("a", "b"), ("äö", "ü"), ("", ""), ("12345", "678901")]:
        call("Concat", a, b)
    call("Product", 1, 2)
    sums = [start("Sum", n, 1) for n in range(100)]
    right = sum(future.result().v == n + 1 for n, future in enumerate(sums))
    print(json.dumps(["hundred at once", "OK", right]), flush=True)


def add(request, context):
    _, reply = METHODS["Sum"]
    if request.a + request.b == 429:
        context.abort(grpc.StatusCode.UNKNOWN, "rate limit exceeded")
    if request.a == request.b == 0:
        return reply(err="can't sum two zeroes")
    if not -(2**31) <= request.a + request.b < 2**31:
        return reply(err="integer overflow")
    return reply(v=request.a + request.b)


def concat(request, context):
    _, reply = METHODS["Concat"]
    if len((request.a + request.b).encode()) > 10:
        return reply(err="result exceeds maximum size")
    return reply(v=request.a + request.b)


def server():
    handlers = {
        method: grpc.unary_unary_rpc_method_handler(
            behaviour,
            request_deserializer=METHODS[method][0].FromString,
            response_serializer=METHODS[method][1].SerializeToString,
        )
        for method, behaviour in (("Sum", add), ("Concat", concat))
    }
    serving = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
    serving.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, handlers)])
    print(serving.add_insecure_port("127.0.0.1:0"), flush=True)
    serving.start()
    serving.wait_for_termination()


if __name__ == "__main__":
    client(sys.argv[2]) if sys.argv[1] == "client" else server()
