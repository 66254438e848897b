"""Every command, with its line of help, and how what was typed becomes a call: cyclopts parses it, and the command is imported then."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

from cyclopts import App, CycloptsError, Group, MissingArgumentError, Parameter, UnusedCliTokensError

from discovery import __version__
from discovery.cli.errors import WrongArguments


class Command(NamedTuple):
    """`target`: `.MODULE:FUNCTION` here, or `.MODULE:APP` where there are commands below it. `text`: what it does, in one line."""

    name: str
    target: str
    text: str


COMMANDS: dict[str, tuple[Command, ...]] = {
    "Asking a running registry": (
        Command("get", ".nodes:get", "show services, instances, hosts, nodes, zones, or one of them"),
        Command("resolve", ".resolve:resolve", "show whom clients are given, over HTTP or DNS"),
        Command("explain", ".explain:explain", "show why each instance is in the answers or not, now or before"),
        Command("history", ".history:history", "show what happened to a service, a host, or by a token"),
        Command("watch", ".watch:watch", "show services, or one service, as they are and as they change"),
        Command("events", ".events:events", "print each change as it happens"),
        Command("wait", ".wait:wait", "wait until a service has so many healthy instances"),
        Command("top", ".top:top", "show who asks most, for what, and for what that is not there"),
        Command("log", ".log:log", "log each query or request of the server for a while"),
    ),
    "Changing what is registered": (
        Command("register", ".register:register", "register an instance"),
        Command("report", ".checks:report", "say what a ttl check of an instance found"),
        Command("deregister", ".register:deregister", "take an instance, or a service, out of the registry"),
        Command("drain", ".drain:drain", "take instances out of the answers, and wait until it is safe to stop them"),
        Command("undrain", ".drain:undrain", "let drained instances back into the answers"),
        Command("maintenance", ".maintenance:maintenance", "begin, end and list maintenance windows"),
        Command("run", ".run:run", "run a program that is registered while it runs"),
    ),
    "Moving from another registry": (
        Command("import", ".importing:importing", "copy what a Consul, a Eureka or a file has, and follow it"),
        Command("sync", ".importing:sync", "tell a Consul or a Eureka what registers here"),
    ),
    "The server": (
        Command("serve", ".flags:serve", "run the registry, HTTP and DNS; also without a command"),
        Command("settings", ".settings:settings", "show every setting: its value, default and source"),
        Command("token", ".token:token", "make, list and revoke tokens (TOKENS_FILE)"),
        Command("audit", ".audit:audit", "show who changed what, and how it was before (AUDIT_FILE)"),
        Command("backup", ".backup:backup", "copy the registry's data (DATA_DIR) into a file"),
        Command("restore", ".backup:restore", "put a backup in the place of the registry's data"),
        Command("cluster", ".cluster:cluster", "show or change what all nodes on one etcd agree on"),
        Command("migrate", ".migrate:migrate", "copy a single node's registry into etcd, or back"),
        Command("unit", ".deploy:unit", "print a systemd unit that runs this installation"),
        Command("deploy", ".deploy:deploy", "print a Dockerfile, a manifest, alert rules: files to run it with"),
        Command("doctor", ".doctor:doctor", "look for what keeps the server, or clients on this host, from working"),
        Command("completion", ".commands:completion", "print the completion script of a shell"),
    ),
}


def call(given: Sequence[str]) -> int:
    """The exit status. DiscoveryError."""
    try:
        status = application()(
            _without_files(given), exit_on_error=False, print_error=False, result_action="return_value"
        )
    except CycloptsError as error:
        path = " ".join(["discovery", *(error.command_chain or ()), "--help"])
        raise WrongArguments(f"{_wrong(error)} See: {path}") from error
    return status if isinstance(status, int) else 0


# For every command that asks a registry, before or behind its name; from here on they are DISCOVERY_CERT and its kin.
_FILES = ("--cert", "--key", "--ca")


def _without_files(given: Sequence[str]) -> list[str]:
    """WrongArguments. What stands behind `--` is another program's."""
    end = given.index("--") if "--" in given else len(given)
    rest, words = [], iter(given[:end])
    for word in words:
        option, equals, value = word.partition("=")
        if option not in _FILES:
            rest.append(word)
        elif file := value if equals else next(words, ""):
            os.environ[f"DISCOVERY_{option[2:].upper()}"] = file
        else:
            raise WrongArguments(f"{option}: the file is missing")
    return [*rest, *given[end:]]


def application() -> App:
    """All commands, none of them imported yet."""
    app = App(
        name="discovery",
        version=f"discovery {__version__}",
        help="A service registry with two faces, HTTP and DNS. Settings come from the environment and from .env. Commands that ask a "
        "running server find it by DISCOVERY_URL and show it DISCOVERY_TOKEN, or what is in DISCOVERY_TOKEN_FILE. Over TLS they take "
        "--ca FILE (DISCOVERY_CA), the authority of the server's certificate, and --cert FILE --key FILE (DISCOVERY_CERT, DISCOVERY_KEY), "
        "the certificate that is shown to it.",
        help_format="plaintext",
        default_parameter=Parameter(negative=(), show_default=False),
        suppress_keyboard_interrupt=False,
    )
    for number, (heading, commands) in enumerate(COMMANDS.items()):
        group = Group(heading, sort_key=number)
        for order, command in enumerate(commands):
            app.command(
                f"discovery.cli{command.target}", name=command.name, help=command.text, group=group, sort_key=order
            )
    return app


def group(name: str) -> App:
    """A command that has commands below it: `discovery token new`. Alone it says so, with the status of wrong arguments."""
    app = App(name=name)

    @app.default
    def alone(*given: Annotated[str, Parameter(show=False)]) -> None:
        below = ", ".join(each for each in app if not each.startswith("-"))
        wrong = f"there is no {given[0]!r}, there are" if given else "which one? There are"
        raise WrongArguments(f"{name}: {wrong} {below}; see discovery {name} --help")

    return app


def completion(shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(help="whose script")], /) -> None:
    print(application().generate_completion(shell=shell), end="")


def _wrong(error: CycloptsError) -> str:
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        return f"{error.unused_tokens[0]!r} is one argument too many."
    if isinstance(error, MissingArgumentError) and error.argument and not error.keyword:
        return f"{error.argument.name} is missing."  # cyclopts says "requires an argument", also of an option that was not typed
    text = str(error)
    return text if text.endswith((".", "?")) else f"{text}."
