#!/usr/bin/env python3
"""Verifies an audit export or receipt offline; written from docs/audit-format.md alone.

    verify_audit.py TRUST.json EXPORT.jsonl|RECEIPT.json [KNOWN_CHECKPOINT.txt]

Needs the package `cryptography`. Ends with 0 and a summary, or with 1 and what is wrong, where.
"""
import base64, hashlib, json, re, sys
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

RECEIPT, EXPORT = "tenantry-audit/receipt/v1", "tenantry-audit/export/v1"
LINE_MAX, NOTE_MAX, BLOCK_MAX, NUMBER_MAX = 256 * 1024, 8 * 1024, 256, 2**48
EPOCH = r"tenantry-audit/epoch/v1\n(\d+)\n(\d+)\n(.{44})\n(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)\n"
HEAD = r"tenantry-audit/head/v1\n(\d+)\n(.{44})\n(\d+)\n(.{44})\n(-|legal-hold|training-denied|legal-hold,training-denied)\n"
LEAF = ["v", "tenant", "env", "time", "action", "phase", "actor", "request_id", "trace_id", "training"]
LEAF_OPTIONAL = ["project", "intent", "outcome", "target", "traceparent", "idempotency", "repeated", "metadata", "personal"]

class Refused(ValueError):
    pass

def need(holds, what):
    if not holds:
        raise Refused(what)

def unbase64(text, size):
    data = base64.b64decode(text, validate=True)
    need(len(data) == size and base64.b64encode(data).decode() == text, "not canonical base64 of the right length")
    return data

def parse(data):
    def unique(pairs):
        need(len(dict(pairs)) == len(pairs), "a JSON name is given twice")
        return dict(pairs)
    def constant(name):
        raise Refused(f"{name} is not JSON")
    value = json.loads(data.decode("utf-8"), object_pairs_hook=unique, parse_constant=constant)
    json.dumps(value, ensure_ascii=False).encode("utf-8")  # fails for half of a surrogate pair, which is no text
    return value

def names(value, required, optional=()):
    need(isinstance(value, dict) and set(required) <= set(value) <= {*required, *optional}, "unexpected JSON names")
    return value

def number(value):
    need(type(value) is int and 0 <= value <= NUMBER_MAX, "not a number of the format")
    return value

def decimal(text):
    need(re.fullmatch("0|[1-9][0-9]{0,15}", text), "not a number of the format")
    return number(int(text))

def fields(pattern, text):
    found = re.fullmatch(pattern, text, re.ASCII)
    need(found, "a checkpoint, epoch or head is malformed")
    return found.groups()

# Trees: RFC 6962, section 2.1
def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()

def leaf_hash(text):
    return sha256(b"\0", text.encode())

def node(left, right):
    return sha256(b"\1", left, right)

def split(low, high):
    return low + (1 << (high - low - 1).bit_length() - 1)

def root_by_inclusion(proof, low, high, index, leaf):
    if high - low == 1:
        need(not proof, "the proof is too long")
        return leaf
    *rest, last = proof
    middle = split(low, high)
    if index < middle:
        return node(root_by_inclusion(rest, low, middle, index, leaf), last)
    return node(last, root_by_inclusion(rest, middle, high, index, leaf))

def roots_by_consistency(proof, low, high, old, old_root):
    """The root of the leaves low..old and that of low..high."""
    if old == high:
        need(len(proof) == (low > 0), "the proof is of another length")
        return (old_root, old_root) if low == 0 else (proof[0], proof[0])
    *rest, last = proof
    middle = split(low, high)
    if old <= middle:
        before, after = roots_by_consistency(rest, low, middle, old, old_root)
        return before, node(after, last)
    before, after = roots_by_consistency(rest, middle, high, old, old_root)
    return node(last, before), node(last, after)

def included(leaf, index, size, root, proof):
    try:
        proof = [unbase64(one, 32) for one in proof]
        return 0 <= index < size and root_by_inclusion(proof, 0, size, index, leaf) == root
    except ValueError:  # the proof is too short or too long, or is no list of hashes
        return False

def consistent(old, old_root, size, root, proof):
    try:
        proof = [unbase64(one, 32) for one in proof]
        return 0 < old <= size and roots_by_consistency(proof, 0, size, old, old_root) == (old_root, root)
    except ValueError:
        return False

def push(frontier, size, leaf):
    while size & 1:
        leaf, size = node(frontier.pop(), leaf), size >> 1
    frontier.append(leaf)

def root_of(frontier):
    *rest, root = frontier
    for left in reversed(rest):
        root = node(left, root)
    return root

# Signed notes: C2SP signed-note and tlog-checkpoint
def signed_text(note, trust):
    names(trust, ["origin", "keys"], ["tenant", "env", "slot"])
    keys = {}
    for key in trust["keys"]:
        name, key_id, public = key.split("+", 2)
        public = unbase64(public, 33)
        right = name == trust["origin"] and sha256(name.encode(), b"\n", public)[:4].hex() == key_id and public[0] == 1
        need(right, "a key of the trust file is not an Ed25519 key of the origin")
        keys[bytes.fromhex(key_id)] = Ed25519PublicKey.from_public_bytes(public[1:])
    text, gap, signatures = note.rpartition("\n\n")
    need(gap and note.endswith("\n") and len(note.encode()) <= NOTE_MAX, "it is not a signed note")
    text, verified = text + "\n", False
    for line in signatures[:-1].split("\n"):
        found = re.fullmatch("\u2014 ([^ +]+) ([A-Za-z0-9+/]+={0,2})", line)
        need(found, "it is not a signed note")
        signature = base64.b64decode(found[2], validate=True)
        if found[1] == trust["origin"] and signature[:4] in keys:
            try:
                keys[signature[:4]].verify(unbase64(found[2], 68)[4:], text.encode())
            except InvalidSignature:
                raise Refused("its signature does not hold")
            verified = True
    need(verified, "no trusted key has signed it")
    return text

def checkpoint(note, trust):
    size, root = fields(re.escape(trust["origin"]) + r"\n(\d+)\n(.{44})\n", signed_text(note, trust))
    return decimal(size), unbase64(root, 32)

def evidence(found, trust, known):
    """From the signed checkpoint down to the size and root of the tenant's log, and where they stand."""
    names(found, ["tenant", "env", "salt", "head", "epoch", "checkpoint"], ["since"])
    size, root = checkpoint(found["checkpoint"], trust)
    if known:
        since = names(found.get("since", {"size": 0, "proof": []}), ["size", "proof"])
        need(size >= known[0], f"an old checkpoint is replayed: it covers {size} epochs, {known[0]} are known")
        if size == known[0]:
            need(root == known[1], "the checkpoint contradicts the known one")
        else:
            need(number(since["size"]) == known[0], "nothing shows that the checkpoint continues the known one")
            need(consistent(*known, size, root, since["proof"]), "the checkpoint contradicts the known one")
    epoch, head = (names(found[name], ["leaf", "proof"]) for name in ("epoch", "head"))
    count, slots, heads, time = fields(EPOCH, epoch["leaf"])
    at_epoch = included(leaf_hash(epoch["leaf"]), decimal(count) - 1, size, root, epoch["proof"])
    need(at_epoch, f"epoch {count} is not under the checkpoint")
    slot, binding, log_size, log_root, _ = fields(HEAD, head["leaf"])
    at_slot = included(leaf_hash(head["leaf"]), decimal(slot), decimal(slots), unbase64(heads, 32), head["proof"])
    need(at_slot, f"the head of slot {slot} is not in epoch {count}")
    who = found["tenant"].encode() + b"\0" + found["env"].encode()
    bound = sha256(b"tenantry-audit/tenant/v1\n", unbase64(found["salt"], 32), who)
    need(unbase64(binding, 32) == bound, f"the head of slot {slot} is of another tenant")
    for name, value in (("tenant", found["tenant"]), ("env", found["env"]), ("slot", int(slot))):
        need(trust.get(name) in (None, value), f"the trust file names another {name}")
    where = f"of {found['tenant']} in {found['env']}, epoch {count} closed {time}, checkpoint of {size} epochs"
    return decimal(log_size), unbase64(log_root, 32), where

def content(record, of):
    """Whose a leaf is that the log has, and that what is shown of it is true."""
    leaf, opened, erased = parse(record["leaf"].encode()), record.get("opened", {}), record.get("erased", [])
    names(leaf, LEAF, LEAF_OPTIONAL)
    need(number(leaf["v"]) == 1 and (leaf["tenant"], leaf["env"]) == (of["tenant"], of["env"]), "it belongs to another tenant")
    committed = {"personal." + name: value for name, value in leaf.get("personal", {}).items()}
    for name in ("actor", "target"):
        if isinstance(leaf.get(name, {}).get("id"), dict):
            committed[name + ".id"] = leaf[name]["id"]
    for field, value in opened.items():
        need(field in committed, f"it has no personal field {field}")
        salt, shown = names(value, ["salt", "value"])["salt"], value["value"].encode()
        made = sha256(b"tenantry-audit/personal/v1\n", unbase64(salt, 32), field.encode(), b"\0", shown)
        same = made == unbase64(names(committed[field], ["commitment"])["commitment"], 32)
        need(same, f"the value of {field} is not the one that was recorded")
    need(set(erased) <= set(committed) - set(opened), "a field is said to be erased that is not there, or is shown")

def receipt(data, trust, known):
    value = names(parse(data), ["format", "seq", "leaf", "proof", "evidence"], ["opened"])
    need(len(data) <= LINE_MAX and value["format"] == RECEIPT, "neither an export nor a receipt of a known version")
    size, root, where = evidence(value["evidence"], trust, known)
    seq = number(value["seq"])
    try:
        need(included(leaf_hash(value["leaf"]), seq - 1, size, root, value["proof"]), "it was altered, or is not in the log")
        content(value, value["evidence"])
    except Exception as error:
        raise Refused(f"record {seq}: {error or type(error).__name__}")
    return f"record {seq} of {size} {where}"

def export(line, file, trust, known):
    header, digest, block = parse(line), hashlib.sha256(), []
    names(header, ["kind", "format", "from", "to", "frontier", "evidence"])
    need((header["kind"], header["format"]) == ("header", EXPORT), "not an export of a known version")
    size, root, where = evidence(header["evidence"], trust, known)
    first, to, frontier = number(header["from"]), number(header["to"]), [unbase64(one, 32) for one in header["frontier"]]
    need(1 <= first <= to + 1 <= size + 1 and len(frontier) == bin(first - 1).count("1"), "its range is not in the log")
    seq, value, erased = first, header, 0
    try:
        while value["kind"] != "trailer":
            need(line.endswith(b"\n"), "the line before it is cut")
            digest.update(line)
            line = file.readline(LINE_MAX)
            need(line, "it is missing")
            value = parse(line)
            if value["kind"] == "block":
                names(value, ["kind", "first", "hashes", "proof"])
                need(not block and seq <= to and number(value["first"]) == seq, "it is missing")
                block = [unbase64(one, 32) for one in value["hashes"]]
                need(1 <= len(block) <= min(BLOCK_MAX, to + 1 - seq), "its block is of another length")
                for place, leaf in enumerate(block, seq - 1):
                    push(frontier, place, leaf)
                shown = consistent(seq - 1 + len(block), root_of(frontier), size, root, value["proof"])
                need(shown, "the proof of the records from here on does not hold")
            elif value["kind"] == "record":
                names(value, ["kind", "seq", "leaf"], ["opened", "erased"])
                need(number(value["seq"]) == seq, f"record {value['seq']} stands in its place")
                need(block and block.pop(0) == leaf_hash(value["leaf"]), "it was altered, or is not in the log")
                content(value, header["evidence"])
                seq, erased = seq + 1, erased + ("erased" in value)
            else:
                need(value["kind"] == "trailer" and seq == to + 1, "it is missing")
    except Exception as error:
        raise Refused(f"record {seq}: {error or type(error).__name__}")
    covered = base64.b64encode(digest.digest()).decode()
    trailer = {"kind": "trailer", "records": seq - first, "sha256": covered, "note": value["note"]}
    spelled = json.dumps(trailer, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    need(line == spelled and not file.read(1), f"after record {seq - 1}: the trailer does not cover all that is there")
    same = signed_text(value["note"], trust) == f"{EXPORT}\n{trust['origin']}\n{seq - first}\n{covered}\n"
    need(same, f"after record {seq - 1}: the signature is of another export")
    return f"records {first} to {to} of {size} {where}; values erased in {erased}"

def verify(file, trust, known_note=None):
    """Returns a summary, or raises with what is wrong."""
    known = checkpoint(known_note, trust) if known_note else None
    line = file.readline(LINE_MAX)
    if line.startswith(b'{"kind":"header",'):
        return export(line, file, trust, known)
    return receipt(line + file.read(LINE_MAX), trust, known)

if __name__ == "__main__":
    try:
        read = lambda name: open(name, "rb").read(LINE_MAX)
        known_note = read(sys.argv[3]).decode() if len(sys.argv) > 3 else None
        print("verified:", verify(open(sys.argv[2], "rb"), parse(read(sys.argv[1])), known_note))
    except Exception as error:
        sys.exit(f"REFUSED: {error or type(error).__name__}")
