"""A person with slixmpp: logs in over verified TLS, talks to bots, prints what happens as JSON lines.

usage: person.py SERVER_HOST SERVER_PORT CA_FILE JID PASSWORD
stdin:  one JSON object a line: {"do": "say", "to": JID, "text": TEXT} | {"do": "subscribe", "to": JID}
        | {"do": "raw", "xml": STANZA} | {"do": "commands", "to": JID, "n": N}
        | {"do": "command", "to": JID, "n": N, "node": NODE, "action": ACTION, "session": ID, "values": {VAR: VALUE}}
        | {"do": "quit"}
stdout: one JSON object a line: {"online": JID} | {"message": TEXT, "from": JID, "id": ID} | {"presence": TYPE, "from": JID}
        | {"n": N, "commands": [[NODE, NAME]]} | {"n": N, "status": …, "notes": [[TYPE, TEXT]], …} | {"n": N, "error": CONDITION}
        | {"asked": ID, "from": JID} (a question of the test namespace, which is left unanswered) | {"failed": REASON}
"""

import asyncio
import json
import ssl
import sys

import slixmpp
from slixmpp.exceptions import IqError, IqTimeout
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

QUESTION = "{jabber:client}iq/{urn:example:question}question"


def tell(**what):
    print(json.dumps(what), flush=True)


class Person(slixmpp.ClientXMPP):
    def __init__(self, jid, password, ca):
        super().__init__(jid, password)
        self.ssl_context = ssl.create_default_context(cafile=ca)
        self.enable_direct_tls = False  # the port given is one for STARTTLS
        self.auto_authorize = True
        self.auto_subscribe = False
        for plugin in ("xep_0004", "xep_0030", "xep_0050"):
            self.register_plugin(plugin)
        self.add_event_handler("session_start", self.on_start)
        self.add_event_handler("message", self.on_message)
        self.add_event_handler("message_error", self.on_message)
        self.register_handler(Callback("question", MatchXPath(QUESTION), self.on_question))
        self.add_event_handler("failed_auth", lambda _: tell(failed="auth"))
        self.add_event_handler("connection_failed", lambda reason: tell(failed=str(reason)))
        self.add_event_handler("disconnected", lambda reason: tell(disconnected=str(reason)))
        for kind in ("available", "unavailable", "subscribed", "subscribe", "unsubscribed"):
            self.add_event_handler("presence_" + kind, self.on_presence)

    async def on_start(self, _):
        await self.get_roster()
        self.send_presence()
        cipher = self.transport.get_extra_info("ssl_object")
        tell(online=str(self.boundjid), tls=cipher.version() if cipher else None)

    def on_message(self, message):
        if message["type"] == "error":
            tell(bounce=message["error"]["condition"], **{"from": str(message["from"])})
        elif message["body"]:
            tell(message=message["body"], **{"from": str(message["from"])}, id=message["id"])

    def on_question(self, iq):
        tell(asked=iq["id"], **{"from": str(iq["from"])})

    async def answer(self, order, work):
        try:
            tell(n=order["n"], **await work(order))
        except IqError as error:
            tell(n=order["n"], error=error.condition, text=error.text)
        except IqTimeout:
            tell(n=order["n"], error="timeout")

    async def commands(self, order):
        found = await self["xep_0050"].get_commands(order["to"])
        return {"commands": sorted([node, name] for _, node, name in found["disco_items"]["items"])}

    async def command(self, order):
        form = None
        if order.get("values") is not None:
            form = self["xep_0004"].make_form(ftype="submit")
            for var, value in order["values"].items():
                form.add_field(var=var, value=value)
        iq = await self["xep_0050"].send_command(
            order["to"], order["node"], action=order["action"], payload=form, sessionid=order.get("session")
        )
        command = iq["command"]
        found = command.xml.find("{jabber:x:data}x")
        fields = [] if found is None else command["form"].get_fields().items()
        return {
            "status": command["status"],
            "session": command["sessionid"],
            "notes": [[kind, text] for kind, text in command["notes"]],
            "actions": sorted(command["actions"]),
            "fields": [[var, field["type"], bool(field["required"]), field.xml.findtext("{jabber:x:data}value") or None] for var, field in fields],
        }

    def on_presence(self, presence):
        tell(presence=presence["type"], **{"from": str(presence["from"])})


async def orders(person):
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while True:
        line = await reader.readline()
        order = json.loads(line) if line.strip() else {"do": "quit"}
        if order["do"] == "say":
            person.send_message(mto=order["to"], mbody=order["text"], mtype="chat")
        elif order["do"] == "subscribe":
            person.send_presence(pto=order["to"], ptype="subscribe")
        elif order["do"] == "raw":
            person.send_raw(order["xml"])
        elif order["do"] in ("command", "commands"):
            asyncio.ensure_future(person.answer(order, getattr(person, order["do"])))
        else:
            await person.disconnect()
            return


async def main():
    host, port, ca, jid, password = sys.argv[1:6]
    person = Person(jid, password, ca)
    person.connect(host, int(port))
    await orders(person)


asyncio.run(main())
