"""A mail server for the tests: keeps each mail as a file, refuses by the recipient's name."""
import asyncio
import json
import os
import ssl
import sys

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
            "tls": server.transport.get_extra_info("ssl_object") is not None,
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


async def serve():
    loop = asyncio.get_running_loop()
    implicit = context if want["security"] == "tls" else None
    if want["security"] == "starttls":
        options.update(tls_context=context, require_starttls=True)
    handler = Handler()

    def talk():
        return SMTP(handler, ident="tests", hostname="tests", loop=loop, **options)

    server = await loop.create_server(talk, "127.0.0.1", want["port"], ssl=implicit)
    print("port %d" % server.sockets[0].getsockname()[1], file=sys.stderr, flush=True)
    await server.serve_forever()


asyncio.run(serve())
