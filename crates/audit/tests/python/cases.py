"""Runs docs/verify_audit.py over the cases on standard input, one JSON object a line.

A case is {"name", "file", "trust", "known", "refused", "flip"}: `file` is base64; `refused` is null
if the file must verify, else a part of the message with which it must be refused. With `flip`,
every byte of it is flipped in turn, and each result must be refused. It ends with 0 and prints how
many cases there were, or with 1 and what was otherwise.
"""
import base64, importlib.util, io, json, sys

spec = importlib.util.spec_from_file_location("verify_audit", sys.argv[1])
verifier = importlib.util.module_from_spec(spec)
spec.loader.exec_module(verifier)


def refusal(data, case):
    """The message with which the file is refused, or None."""
    try:
        verifier.verify(io.BytesIO(data), case["trust"], case["known"])
        return None
    except Exception as error:
        return f"{error or type(error).__name__}"


count = wrong = 0
for line in sys.stdin:
    case, count = json.loads(line), count + 1
    data, expected = base64.b64decode(case["file"]), case["refused"]
    found = refusal(data, case)
    if (found is None) != (expected is None) or (found and expected not in found):
        print(f"{case['name']}: expected {expected!r}, found {found!r}")
        wrong += 1
    for at in range(len(data) if case["flip"] else 0):
        for flip in (0x01, 0x20):
            flipped = bytearray(data)
            flipped[at] ^= flip
            if refusal(bytes(flipped), case) is None:
                print(f"{case['name']}: byte {at} flipped by {flip:#x} was accepted")
                wrong += 1
print(count)
sys.exit(1 if wrong else 0)
