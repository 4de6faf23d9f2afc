"""A mail server for tests: takes mails with STARTTLS or TLS and a login, and writes each as a JSON file into a folder."""

import asyncio
import email
import email.policy
import json
import pathlib
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

folder, mode, certificate, user, password = sys.argv[1:6]
folder = pathlib.Path(folder)


class Keep:
    count = 0

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        text = message.get_body(("plain",))
        html = message.get_body(("html",))
        self.count += 1
        kept = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "subject": message["subject"],
            "headers": {name: str(value) for name, value in message.items()},
            "text": text.get_content() if text else "",
            "html": html.get_content() if html else "",
            "encrypted": session.ssl is not None or mode == "tls",
            "login": session.auth_data.decode() if session.auth_data else None,
        }
        making = folder / f".{self.count}"
        making.write_text(json.dumps(kept))
        making.rename(folder / f"{self.count:04}.json")
        # The mail is kept, and whoever sent it does not hear of it.
        while (folder / "hold").exists():
            await asyncio.sleep(0.01)
        return "250 kept"


def check(server, session, envelope, mechanism, data):
    good = data.login.decode() == user and data.password.decode() == password
    return AuthResult(success=good, auth_data=data.login if good else None)


async def main():
    context = None
    if mode != "plain":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    keep = Keep()

    def server():
        return SMTP(
            keep,
            hostname="localhost",
            tls_context=context if mode == "starttls" else None,
            require_starttls=mode == "starttls",
            auth_required=bool(user),
            auth_require_tls=mode == "starttls",
            authenticator=check if user else None,
        )

    loop = asyncio.get_running_loop()
    listening = await loop.create_server(server, "127.0.0.1", 0, ssl=context if mode == "tls" else None)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await listening.serve_forever()


asyncio.run(main())
