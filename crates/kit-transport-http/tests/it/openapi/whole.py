"""To JSON Schema 1.0 is an integer; to Go and to serde it is none. So whole numbers are sent as such."""

import schemathesis


def whole(value):
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return int(value)
    if isinstance(value, list):
        return [whole(item) for item in value]
    if isinstance(value, dict):
        return {name: whole(item) for name, item in value.items()}
    return value


@schemathesis.hook
def map_body(_context, body):
    return whole(body)


@schemathesis.hook
def map_query(_context, query):
    return whole(query)
