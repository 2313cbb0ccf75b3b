"""Asks a running server with OpenFeature's own packages, and prints a line of JSON per answer:
[name, value, variant, reason, layer, error]. The test beside it knows what they must be."""

import json
import os

from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext

BASE_URL = os.environ["SERVER"]
HEADERS = dict(json.loads(os.environ["HEADERS"]))


def client(name, headers, mangle=None):
    provider = OFREPProvider(BASE_URL, headers_factory=lambda: headers)
    provider.session.trust_env = False
    provider.session.auth = mangle
    api.set_provider(provider, name)
    return api.get_client(name)


def show(name, it):
    error = it.error_code.value if it.error_code else None
    reason = it.reason.value if hasattr(it.reason, "value") else it.reason
    layer = it.flag_metadata.get("layer")
    print(json.dumps([name, it.value, it.variant, reason, layer, error]), flush=True)


def evaluations():
    flags = client("good", HEADERS)

    def ask(name, kind, key, fallback, who="u_1", **attributes):
        context = EvaluationContext(who, attributes)
        show(name, getattr(flags, f"get_{kind}_details")(key, fallback, context))

    ask("boolean", "boolean", "on", False, plan="pro")
    ask("string", "string", "team/colour", "none", plan="pro")
    ask("encoded key", "string", "team%2Fcolour", "none", plan="pro")
    ask("integer", "integer", "count", -1, plan="pro")
    ask("float", "float", "ratio", -1.0, plan="pro")
    ask("object", "object", "shape", {}, plan="pro")
    ask("rule", "boolean", "pros", False, plan="pro")
    ask("no rule", "boolean", "pros", True, plan="free")
    ask("rollout", "boolean", "most", False, plan="pro")
    ask("disabled", "boolean", "off", True, plan="pro")
    ask("wrong type", "string", "on", "fallback", plan="pro")
    ask("unknown flag", "boolean", "nowhere", True, plan="pro")
    ask("no targeting key", "boolean", "most", True, who=None, plan="pro")
    ask("invalid context", "boolean", "on", False, who="k" * 2000)
    ask("invalid key", "boolean", "a b", True, plan="pro")


def unreadable(request):
    request.body = b"{"
    request.headers["Content-Length"] = "1"
    return request


def refusals():
    def ask(name, headers, mangle=None):
        show(name, client(name, headers, mangle).get_boolean_details("on", False))

    ask("unreadable body", HEADERS, unreadable)
    ask("wrong token", {**HEADERS, "authorization": "Bearer x"})
    ask("no tenant", {name: value for name, value in HEADERS.items() if name != "x-tenant-id"})


evaluations()
refusals()
