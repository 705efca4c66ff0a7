"""A mail server for the tests: keeps each mail as a file, refuses by the recipient's name."""
import json
import os
import signal
import ssl
import sys

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

want = json.loads(sys.argv[1])


class Handler:
    count = 0

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody"):
            return "550 5.1.1 no such user"
        if address.startswith("grey") and not os.path.exists(want["dir"] + "/known"):
            return "450 4.7.1 come back later"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 fine"

    async def handle_DATA(self, server, session, envelope):
        name = "%s/%04d" % (want["dir"], Handler.count)
        Handler.count += 1
        head = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": session.ssl is not None,
            "hello": session.host_name,
        }
        with open(name + ".new", "wb") as file:
            file.write(json.dumps(head).encode() + b"\n" + envelope.original_content)
        os.rename(name + ".new", name + ".mail")
        return "250 2.0.0 taken"


def login(server, session, envelope, mechanism, data):
    given = [data.login.decode(), data.password.decode()]
    return AuthResult(success=given == want["login"], handled=False)


context = None
if want["cert"]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(want["cert"], want["key"])
options = {}
if want["login"]:
    options = {"authenticator": login, "auth_required": True, "auth_require_tls": False}


class Server(Controller):
    def factory(self):
        if want["security"] == "starttls":
            options.update(tls_context=context, require_starttls=True)
        return SMTP(self.handler, ident="tests", hostname="tests", **options)

    def _trigger_server(self):
        pass  # Its self-test would need a certificate for its own name.


implicit = context if want["security"] == "tls" else None
server = Server(Handler(), hostname="127.0.0.1", port=want["port"], ssl_context=implicit)
server.start()
port = server.server.sockets[0].getsockname()[1]
print("port %d" % port, file=sys.stderr, flush=True)
signal.pause()
