"""What addsvc must answer to each request that its document allows; schemathesis loads it, and calls the check.

Two rules no JSON Schema can say: the sum needs 32 bits at most, the two texts ten bytes between them. And to JSON Schema
1.0 is an integer; to Go and to serde it is none.
"""

import schemathesis

MALFORMED = "application/problem+json"


def expected(path, body):
    """Status, media type, and the answer where it is one of the service's own."""
    if path == "/sum":
        a, b = body.get("a", 0), body.get("b", 0)
        if isinstance(a, float) or isinstance(b, float):
            return 400, MALFORMED, None
        if not -(2**31) <= a + b < 2**31:
            return 400, "application/json", {"error": "integer overflow"}
        return 200, "application/json", {"v": a + b}
    joined = body.get("a", "") + body.get("b", "")
    if len(joined.encode()) > 10:
        return 400, "application/json", {"error": "result exceeds maximum size"}
    return 200, "application/json", {"v": joined}


@schemathesis.check
def answers_as_addsvc(_ctx, response, case):
    if not case.meta.generation.mode.is_positive:
        return
    assert isinstance(case.body, dict), f"the document allows a body that is no object: {case.body!r}"
    status, media_type, answer = expected(case.path, case.body)
    got = response.status_code, response.headers["content-type"][0]
    assert got == (status, media_type), f"want {status} {media_type}, got {got}"
    assert answer is None or response.json() == answer, f"want {answer}, got {response.json()}"
