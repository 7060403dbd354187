# SPDX-License-Identifier: Apache-2.0
"""Files of jobs over the wire protocol: sent by credit, and taken as they come."""

from . import wire

CHUNK = 64000


class Upload:
    """The files of a Run, sent as far as there is credit. files is {name: content or (content, mode)}."""

    def __init__(self, connection, request_id, files, credit, **run):
        self.connection, self.id, self.credit = connection, request_id, credit
        self.responses = []  # what came for other reasons than credit
        entries = [f if isinstance(f, tuple) else (f, 0) for f in files.values()]
        self.parts = [(i, content[at:at + CHUNK]) for i, (content, _) in enumerate(entries)
                      for at in range(0, len(content), CHUNK)]
        messages = [wire.file_message(name, mode=mode, size=len(content))
                    for name, (content, mode) in zip(files, entries)]
        connection.send(wire.run(request_id, files=messages, **run))

    def take(self):
        """One response; True when it was credit."""
        response = self.connection.receive()
        if "file_credit" in response and response["id"] == self.id:
            self.credit += response["file_credit"]["bytes"]
            return True
        self.responses.append(response)
        return False

    def is_last(self, response):
        return response.get("id", 0) in (0, self.id) and ("result" in response or "error" in response)

    def send(self, count=None):
        """Sends that many parts, or all; less when the job ends before."""
        while self.parts and count != 0:
            index, content = self.parts[0]
            while self.credit < len(content):
                if not self.take() and self.is_last(self.responses[-1]):
                    return
            self.connection.send(wire.file_data(self.id, index, content))
            self.credit -= len(content)
            self.parts.pop(0)
            count = None if count is None else count - 1


class Fetched:
    """What came for one request, to its last response. give is how much credit each byte gives back."""

    def __init__(self, connection, request_id, give=False, before=(), timeout=60):
        self.names = []     # in the order in which they came
        self.content = {}   # of regular files
        self.modes = {}     # of files and folders
        self.errors = {}    # of what failed
        self.output = {1: b"", 2: b""}
        self.started = None
        self.last = None
        self.sizes = {}
        before = list(before)
        while self.last is None:
            response = before.pop(0) if before else connection.receive(timeout)
            if response.get("id", 0) not in (0, request_id):
                continue
            if "file_out" in response:
                self.take(response["file_out"])
                size = len(response["file_out"].get("data", b""))
                if give and size:
                    connection.send(wire.output_credit(request_id, wire.CREDIT_FILES, size))
            elif "output" in response:
                self.output[response["output"]["stream"]] += response["output"].get("data", b"")
            elif "started" in response:
                self.started = response["started"]
            elif any(x in response for x in ("result", "error", "done")):
                self.last = response
        self.content = {name: bytes(content) for name, content in self.content.items()}
        for name, size in self.sizes.items():
            assert len(self.content[name]) == size or name in self.errors, name

    def take(self, m):
        kind, name = m.get("kind", "DATA"), m.get("name", b"").decode(errors="surrogateescape")
        if kind == "DATA":
            self.content[self.names[-1]] += m["data"]
            return
        assert name and not name.startswith("/") and ".." not in name.split("/"), name
        self.names.append(name)
        if kind == "FAILED":
            assert m["error"], m
            self.errors[name] = m["error"]
        else:
            self.modes[name] = m.get("mode", 0)
        if kind == "REGULAR":
            self.content[name], self.sizes[name] = bytearray(), m.get("size", 0)

    @property
    def result(self):
        assert self.last and "result" in self.last, self.last
        return self.last["result"]


def run(connection, request_id, give=False, **fields):
    """A Run to its end."""
    connection.send(wire.run(request_id, **fields))
    return Fetched(connection, request_id, give)


def upload(connection, request_id, files, credit, give=False, **fields):
    """A Run whose files are sent by credit, to its end."""
    sending = Upload(connection, request_id, files, credit, **fields)
    sending.send()
    return Fetched(connection, request_id, give, before=sending.responses)
