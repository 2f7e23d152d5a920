"""The service kit.probe.v1.Probe of probe.proto as Python classes, and the metadata that goes with it."""

import pathlib
import re

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "kit.probe.v1"
SERVICE = PACKAGE + ".Probe"
# What every server of it sends, the tail with errors too.
HEAD = (("x-probe-head", "1"), ("x-probe-head-bin", b"\x00\x01\xff"))
TAIL = (("x-probe-tail", "the end"), ("x-probe-tail-bin", b"\xff\x01\x00"))
DO_NOT_RETRY = 2**32 - 1

_Field = descriptor_pb2.FieldDescriptorProto


def _add_field(message, kind, name, number, map_type=False):
    field = message.field.add(name=name, number=int(number), json_name=re.sub("_(.)", lambda m: m[1].upper(), name))
    field.label = _Field.LABEL_REPEATED if map_type else _Field.LABEL_OPTIONAL
    if kind[0].islower():
        field.type = getattr(_Field, "TYPE_" + kind.upper())
    else:
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".{PACKAGE}.{kind}"


def _file():
    """The descriptor of probe.proto, so that it stands in one place. A test compares it with that of a compiler."""
    text = re.sub("//.*", "", pathlib.Path(__file__).with_name("probe.proto").read_text())
    file = descriptor_pb2.FileDescriptorProto(name="probe.proto", package=PACKAGE, syntax="proto3")
    for name, body in re.findall(r"message (\w+) {(.*?)}", text, re.S):
        message = file.message_type.add(name=name)
        for map_type, kind, field, number in re.findall(r"(?:map<string, (\w+)>|(\w+)) (\w+) = (\d+);", body):
            if map_type:
                entry = "".join(part.capitalize() for part in field.split("_")) + "Entry"
                nested = message.nested_type.add(name=entry)
                nested.options.map_entry = True
                _add_field(nested, "string", "key", 1)
                _add_field(nested, map_type, "value", 2)
                kind = f"{name}.{entry}"
            _add_field(message, kind, field, number, bool(map_type))
    service = file.service.add(name="Probe")
    for name, streams, takes, streamed, gives in re.findall(
        r"rpc (\w+)\((stream )?(\w+)\) returns \((stream )?(\w+)\)", text
    ):
        method = service.method.add(name=name, input_type=f".{PACKAGE}.{takes}", output_type=f".{PACKAGE}.{gives}")
        # Left out when false, as compilers do.
        if streams:
            method.client_streaming = True
        if streamed:
            method.server_streaming = True
    return file


def _message(name):
    return message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(f"{PACKAGE}.{name}"))


descriptor_pool.Default().AddSerializedFile(_file().SerializeToString())
EchoRequest, EchoReply = _message("EchoRequest"), _message("EchoReply")
CountRequest, CountReply = _message("CountRequest"), _message("CountReply")
SumRequest, SumReply = _message("SumRequest"), _message("SumReply")


def texts(metadata):
    """Metadata as a dict of texts: binary values in hex, repeated ones joined."""
    found = {}
    for key, value in metadata or ():
        value = value.hex() if isinstance(value, bytes) else value
        found[key] = f"{found[key]}, {value}" if key in found else value
    return found
