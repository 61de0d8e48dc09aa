"""Makes accounts by in-band registration (XEP-0077), all on one stream before login.

usage: register.py SERVER_HOST SERVER_PORT CA_FILE DOMAIN
stdin: one account a line, NAME PASSWORD
"""

import socket
import ssl
import sys
import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape, quoteattr


class Stream:
    """A stream in either half of its life: before TLS and after it."""

    def __init__(self, sock, domain):
        self.sock = sock
        self.parser = ET.XMLPullParser(events=("start", "end"))
        self.depth = 0
        self.send("<?xml version='1.0'?><stream:stream xmlns='jabber:client' version='1.0' "
                  f"xmlns:stream='http://etherx.jabber.org/streams' to={quoteattr(domain)}>")
        self.next()  # features

    def send(self, text):
        self.sock.sendall(text.encode())

    def next(self):
        while True:
            for event, element in self.parser.read_events():
                self.depth += 1 if event == "start" else -1
                if event == "end" and self.depth == 1:
                    return element
            data = self.sock.recv(65536)
            if not data:
                sys.exit("the server closed the stream")
            self.parser.feed(data)


def main():
    host, port, ca, domain = sys.argv[1:5]
    sock = socket.create_connection((host, int(port)), timeout=20)
    stream = Stream(sock, domain)
    stream.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    if not stream.next().tag.endswith("proceed"):
        sys.exit("no TLS")
    context = ssl.create_default_context(cafile=ca)
    stream = Stream(context.wrap_socket(sock, server_hostname=domain), domain)
    for line in sys.stdin:
        name, password = line.split()
        stream.send(f"<iq type='set' id={quoteattr(name)} to={quoteattr(domain)}><query xmlns='jabber:iq:register'>"
                    f"<username>{escape(name)}</username><password>{escape(password)}</password></query></iq>")
        answer = stream.next()
        if answer.get("type") != "result":
            sys.exit(f"{name}: {ET.tostring(answer).decode()}")
    stream.send("</stream:stream>")


main()
