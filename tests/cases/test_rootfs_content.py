# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is put into a tree that somebody else filled: it is there as asked, and nothing outside is touched."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import pathlib
import signal
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._model.errors import NsfleetError
from ansible_collections.nsfleet.linux.plugins.module_utils._model.field import Table
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.rootfs_content import Content
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.rootfs_fields import CONTENT_FIELDS
from support import enemy, laws, trees, world
from support.invoke import Run, invoke
from support.laws import Case

TABLE = Table(CONTENT_FIELDS)
#: What Ansible gives where a task gives nothing.
DEFAULTS = {
    field.name: {each.name: each.default for each in (field.table or TABLE).fields if each.default is not None}
    for field in CONTENT_FIELDS
}
PASSWD = "root:x:0:0::/root:/bin/sh\napp:x:70:71::/srv:/bin/sh\n"
GROUP = "root:x:0:\napp:x:71:\nwww:x:33:\n"


class Place:
    """A tree, and a host beside it on the same file system, which is to stay as it is."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.tree, self.host, self.kept = folder / "tree", folder / "host", folder / "kept"
        world.sh(
            f"mount -t tmpfs tmpfs {folder} && mkdir -p {self.tree}/etc {self.tree}/srv {self.host}"
            f" && echo secret > {self.host}/file && chmod 600 {self.host}/file && mkdir {self.host}/empty"
        )
        (self.tree / "etc/passwd").write_text(PASSWD)
        (self.tree / "etc/group").write_text(GROUP)
        self.fd = os.open(self.tree, os.O_RDONLY | os.O_DIRECTORY)

    def content(self, **options: t.Any) -> Content:
        """What options describe."""
        given = {option: [{**DEFAULTS[option], **item} for item in items] for option, items in options.items()}
        content = Content(TABLE.canonical(given), str(self.kept))
        assert content.errors == []
        content.prepare()
        return content

    def have(self, **options: t.Any) -> None:
        """Have this in the tree; a second time, there is nothing to do."""
        content = self.content(**options)
        assert list(content.obstacles(self.fd)) == []
        content.create(self.fd)
        before = trees.seen(self.tree)
        again = self.content(**options)
        again.create(self.fd)
        assert trees.seen(self.tree) == before
        self.is_as_asked(again)

    def is_as_asked(self, content: Content) -> None:
        """What is compared of a task with the tree is the same."""
        state = content.observe(self.fd)
        for option, items in content.wanted.items():
            for name, item in items.items():
                stateful = {each.name for each in t.cast("Table", TABLE[option].table).stateful()}
                wanted = {key: value for key, value in item.items() if key in stateful and value is not None}
                assert {key: state[option][name].get(key) for key in wanted} == wanted, f"{option}[{name}]"

    def ask(self, command: str) -> str:
        """What a witness says, in the tree."""
        return world.sh(f"cd {self.tree} && {command}").strip()


@pytest.fixture
def place(tmp_path: pathlib.Path) -> t.Iterator[Place]:
    """A tree, and a host that is the same in the end."""
    made = Place(tmp_path)
    host = trees.seen(made.host)
    yield made
    os.close(made.fd)
    after = trees.seen(made.host)
    world.sh(f"umount {tmp_path}")
    assert after == host, "the host was touched"


# --- files, directories, links -------------------------------------------------------------------


def test_files(place: Place, tmp_path: pathlib.Path) -> None:
    binary = bytes(range(256)) * 100
    (tmp_path / "source").write_bytes(binary)
    place.have(
        files=[
            {"path": "/etc/motd", "content": "hello\n"},
            {"path": "/etc/secret", "content": "x", "mode": "0400", "owner": "app", "group": "www"},
            {"path": "/srv/new/deep/file", "content": "", "mode": "4755", "owner": "7", "group": "8"},
            {"path": "/srv/binary", "content_base64": base64.b64encode(binary).decode()},
            {"path": "/srv/copied", "source": str(tmp_path / "source")},
        ],
        directories=[{"path": "/srv/data", "mode": "2750", "owner": "app", "group": "app"}, {"path": "/srv/plain"}],
        links=[{"path": "/etc/dangling", "target": "../no/such"}, {"path": "/srv/self", "target": "self"}],
    )
    assert place.ask("cat etc/motd") == "hello"
    words = place.ask("stat -c '%n %a %u %g' etc/motd etc/secret srv/new srv/new/deep/file srv/data srv/plain")
    assert words.splitlines() == [
        "etc/motd 644 0 0", "etc/secret 400 70 33", "srv/new 755 0 0", "srv/new/deep/file 4755 7 8",
        "srv/data 2750 70 71", "srv/plain 755 0 0",
    ]  # fmt: skip
    digest = world.sh(f"sha256sum < {tmp_path}/source")
    assert [world.sh(f"sha256sum < {place.tree}/srv/{name}") for name in ("binary", "copied")] == [digest] * 2
    assert place.ask("readlink etc/dangling srv/self").split() == ["../no/such", "self"]
    assert place.ask("find . -name '.nsfleet*'") == ""


@pytest.mark.parametrize("content", [b"", b"short\ttext\n", "\u00fc".encode(), b"x" * 4096])
def test_short_text_is_shown_as_it_is(place: Place, content: bytes) -> None:
    assert shown(place, content) == content.decode()


@pytest.mark.parametrize("content", [b"\xff", b"\x1b[31m", b"\0", b"x" * 4097, b"sha256:" + b"0" * 64])
def test_all_else_is_shown_by_its_digest(place: Place, content: bytes) -> None:
    found = shown(place, content)
    assert found == f"sha256:{place.ask('sha256sum < etc/file').split()[0]}, {len(content)} bytes"


def shown(place: Place, content: bytes) -> str:
    """What is shown of a file, and of an option that has the same."""
    (place.tree / "etc/file").write_bytes(content)
    wanted = place.content(files=[{"path": "/etc/file", "content_base64": base64.b64encode(content).decode()}])
    found: str = wanted.observe(place.fd)["files"]["/etc/file"]["content"]
    assert wanted.wanted["files"]["/etc/file"]["content"] == found
    return found


HOSTILE = {
    "a link out of the tree": "ln -s {host}/file {tree}/etc/x",
    "a relative link out of the tree": "ln -s ../../host/file {tree}/etc/x",
    "a link to itself": "ln -s x {tree}/etc/x",
    "a fifo": "mkfifo {tree}/etc/x",
    "a device": "mknod {tree}/etc/x c 1 3",
    "a socket": "/usr/bin/python3 -c \"import socket; socket.socket(socket.AF_UNIX).bind('{tree}/etc/x')\"",
    "another name of a file of the host": "ln {host}/file {tree}/etc/x",
    "a file that nobody may write": "echo x > {tree}/etc/x && chmod 0 {tree}/etc/x",
}


@pytest.mark.parametrize("trap", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("kind", ["files", "links"])
def test_what_is_there_is_replaced(place: Place, trap: str, kind: str) -> None:
    world.sh(trap.format(host=place.host, tree=place.tree))
    what = {"files": {"content": "mine"}, "links": {"target": "mine"}}[kind]
    place.have(**{kind: [{"path": "/etc/x", **what}]})
    read = {"files": "stat -c '%F %h' etc/x && cat etc/x", "links": "stat -c '%F %h' etc/x && readlink etc/x"}[kind]
    assert place.ask(read).splitlines() == [{"files": "regular file 1", "links": "symbolic link 1"}[kind], "mine"]


def test_mode_and_owner_of_another_name(place: Place) -> None:
    """The content is as asked: only mode and owner are to be others, and the file has a name on the host."""
    world.sh(f"ln {place.host}/file {place.tree}/etc/x")
    place.have(files=[{"path": "/etc/x", "content": "secret\n", "owner": "app"}])
    assert place.ask("stat -c '%a %u %h' etc/x") == "644 70 1"


@pytest.mark.parametrize("target", ["{host}", "/../../..{host}", "../../host", "/proc/self/root{host}", "/proc/1/cwd"])
@pytest.mark.parametrize("path", ["/way/x", "/way/empty/x", "/srv/../way"])
def test_links_on_the_way_stay_inside(place: Place, target: str, path: str) -> None:
    if ".." in path:
        with pytest.raises(NsfleetError, match=r"without '\.\.'"):
            place.content(files=[{"path": path, "content": "x"}])
        return
    (place.tree / "way").symlink_to(target.format(host=place.host))
    place.content(files=[{"path": path, "content": "x"}]).create(place.fd)
    found = [os.path.join(where, "x") for where, _folders, names in os.walk(place.tree) if "x" in names]
    assert len(found) == 1, "it is in the tree, wherever the link leads to there"


def test_links_inside_are_followed(place: Place) -> None:
    (place.tree / "lib").symlink_to("/usr/lib")
    (place.tree / "usr/lib").mkdir(parents=True)
    place.have(files=[{"path": "/lib/x", "content": "x\n"}], links=[{"path": "/data", "target": "srv"}],
               directories=[{"path": "/data/web"}])  # fmt: skip
    assert place.ask("cat usr/lib/x && stat -c %F srv/web").split("\n") == ["x", "directory"]


@pytest.mark.parametrize(
    ("trap", "options", "words"),
    [
        ("mkdir {tree}/x", {"files": [{"path": "/x", "content": ""}]}, "no directory there"),
        ("mkdir {tree}/x", {"links": [{"path": "/x", "target": "y"}]}, "no directory there"),
        ("touch {tree}/x", {"directories": [{"path": "/x"}]}, "no file there"),
        ("ln -s srv {tree}/x", {"directories": [{"path": "/x"}]}, "no link there"),
        ("mkfifo {tree}/x", {"directories": [{"path": "/x"}]}, "no special file there"),
        ("touch {tree}/x", {"files": [{"path": "/x/y", "content": ""}]}, "above it is no directory"),
        ("ln -s x {tree}/x", {"files": [{"path": "/x/y", "content": ""}]}, "in a circle"),
        ("mount --bind {host} {tree}/srv", {"files": [{"path": "/srv/y", "content": ""}]}, "is mounted"),
        ("true", {"files": [{"path": "/x", "content": "", "owner": "nobody"}]}, "no user nobody"),
        ("true", {"files": [{"path": "/x", "content": "", "group": "nogroup"}]}, "no group nogroup"),
        ("true", {"files": [{"path": "/x", "source": "/no/such"}]}, "/no/such: No such file"),
        ("true", {"users": [{"name": "new", "uid": 70}]}, "70 is that of app"),
        ("true", {"users": [{"name": "new", "group": "nogroup"}]}, "no group nogroup"),
        ("true", {"users": [{"name": "new", "groups": ["www", "nogroup"]}]}, "no group nogroup"),
        ("true", {"groups": [{"name": "new", "gid": 33}]}, "33 is that of www"),
    ],
)  # fmt: skip
def test_what_is_in_the_way(place: Place, trap: str, options: dict[str, t.Any], words: str) -> None:
    world.sh(trap.format(host=place.host, tree=place.tree))
    try:
        before = trees.seen(place.tree)
        (found,) = place.content(**options).obstacles(place.fd)
        assert words in str(found)
        with pytest.raises(NsfleetError):
            place.content(**options).create(place.fd)
        assert trees.seen(place.tree) == before
    finally:
        world.sh(f"umount {place.tree}/srv 2>/dev/null || true")


def test_somebody_swaps_links_meanwhile(place: Place) -> None:
    """A process in a container that has the tree exchanges a directory and a link to the host all the time."""
    world.sh(f"mkdir {place.tree}/way && ln -s {place.host} {place.tree}/trap")
    with enemy.swapping(place.tree, b"way", b"trap"):
        for number in range(100):
            content = place.content(files=[{"path": f"/way/{number}", "content": "x", "owner": "app"}])
            with contextlib.suppress(NsfleetError):
                content.create(place.fd)
    assert place.ask("find . -name '.nsfleet*'") == ""


# --- users and groups ----------------------------------------------------------------------------


def test_users_as_programs_in_the_tree_see_them(place: Place) -> None:
    (place.tree / "etc/shadow").write_text("root:*:19000:0:99999:7:::\n")
    os.chmod(place.tree / "etc/shadow", 0o640)
    os.chown(place.tree / "etc/shadow", 0, 42)
    place.have(
        groups=[{"name": "team", "gid": 500, "members": ["root"]}, {"name": "auto"}],
        users=[
            {"name": "web", "uid": 501, "group": "team", "groups": ["www", "auto"], "home": "/srv/web",
             "shell": "/bin/bash", "comment": "The Web"},
            {"name": "svc", "system": True, "password": "$6$salt$hash"},
            {"name": "app", "shell": "/usr/sbin/nologin"},
        ],
        files=[{"path": "/srv/mine", "content": "", "owner": "web", "group": "svc"}],
    )  # fmt: skip
    inside = (
        f"mkdir -p usr && mount --bind -o ro /usr usr && ln -sf usr/bin usr/lib usr/lib64 . && chroot {place.tree} "
    )
    try:
        assert place.ask(inside + "id web") == "uid=501(web) gid=500(team) groups=500(team),33(www),1000(auto)"
        assert place.ask(f"chroot {place.tree} getent passwd web svc app").splitlines() == [
            "web:x:501:500:The Web:/srv/web:/bin/bash", "svc:x:999:999::/home/svc:/usr/sbin/nologin",
            "app:x:70:71::/srv:/usr/sbin/nologin",
        ]  # fmt: skip
        assert place.ask(f"chroot {place.tree} getent group team").strip() == "team:x:500:root"
    finally:
        world.sh(f"umount {place.tree}/usr")
    shadow = {line.split(":")[0]: line.split(":")[1] for line in place.ask("cat etc/shadow").splitlines()}
    assert shadow == {"root": "*", "web": "!", "svc": "$6$salt$hash", "app": "!"}
    assert place.ask("stat -c '%a %u %g' etc/shadow srv/mine").splitlines() == ["640 0 42", "644 501 999"]


def test_numbers_that_are_given_are_nobody_else_s(place: Place) -> None:
    place.have(
        users=[{"name": "any"}, {"name": "first", "uid": 1000}],
        groups=[{"name": "some"}, {"name": "second", "gid": 1001}, {"name": "third", "gid": 1000}],
    )
    assert place.ask("cut -d: -f1,3 etc/passwd").split() == ["root:0", "app:70", "any:1001", "first:1000"]
    groups = dict(line.split(":") for line in place.ask("cut -d: -f1,3 etc/group").split())
    assert len(set(groups.values())) == len(groups)
    assert (groups["second"], groups["third"]) == ("1001", "1000")


@pytest.mark.parametrize(
    ("trap", "words"),
    [
        ("mkfifo {etc}/passwd", "read /etc/passwd of the tree: expected a regular file"),
        ("mknod {etc}/passwd c 1 5", "read /etc/passwd of the tree: expected a regular file"),
        ("mkdir {etc}/passwd", "read /etc/passwd of the tree: expected a regular file"),
        ("head -c 2000000 /dev/zero >{etc}/passwd", "expected a file of at most 1048576 bytes"),
        ("rm -r {etc} && ln -s etc {etc}", "users[new]: Too many levels of symbolic links"),
        ("rm -r {etc} && touch {etc}", "users[new]: Not a directory"),
    ],
)
def test_accounts_that_are_traps(place: Place, trap: str, words: str) -> None:
    world.sh(f"rm {place.tree}/etc/passwd && " + trap.format(etc=place.tree / "etc"))
    before = trees.seen(place.tree)
    with pytest.raises(NsfleetError) as error:
        place.content(users=[{"name": "new"}]).create(place.fd)
    assert words in str(error.value)
    assert trees.seen(place.tree) == before


def test_hash_is_not_shown(place: Place) -> None:
    content = place.content(users=[{"name": "svc", "password": "$6$salt$hash"}])
    content.create(place.fd)
    assert "$6$" not in str(content.wanted) + str(content.observe(place.fd))


# --- commands --------------------------------------------------------------------------------------


def command(script: str, **more: t.Any) -> dict[str, t.Any]:
    """A command of the shell, that creates ``/srv/done``."""
    return {"name": "case", "argv": ["/bin/sh", "-c", script], "creates": "/srv/done", **more}


@pytest.fixture
def programs(place: Place) -> Place:
    """A tree with a shell, and nothing that is needed from outside."""
    libraries = "$(ldd /bin/busybox | grep -o '/[^ ]*')"
    world.sh(f"mkdir {place.tree}/bin && cp -L --parents /bin/busybox {libraries} {place.tree}")
    world.sh(f"chroot {place.tree} /bin/busybox --install -s /bin")
    return place


def test_command(programs: Place) -> None:
    script = (
        "id -u; cat /proc/net/dev | tail -n +3 | cut -d: -f1; ls -d /host; echo $COLOUR; ps | wc -l;"
        "echo $(hostname) > /srv/done; echo 'svc:x:90:90::/:/bin/sh' >> /etc/passwd"
    )
    programs.have(
        commands=[command(f"({script}) > /srv/out 2>&1", env={"COLOUR": "red"})],
        files=[{"path": "/srv/of", "content": "", "owner": "svc"}],
    )
    lines = programs.ask("cat srv/out").splitlines()
    assert [line.strip() for line in lines][:4] == ["0", "lo", "ls: /host: No such file or directory", "red"]
    assert int(lines[4]) < 8, "it sees processes of the host"
    assert programs.ask("stat -c %u srv/of") == "90", "owner is who came by the command"


def test_command_that_fails(programs: Place) -> None:
    for options, words in (
        (command("echo out; echo err >&2; exit 3"), ("ended with exit code 3", "out", "err")),
        (command("true"), ("there is no /srv/done",)),
        (command("sleep 100", timeout=0.5), ("did not end within 0.5 s",)),
        ({**command(""), "argv": ["/no/such"]}, ("/no/such",)),
    ):
        with pytest.raises(NsfleetError) as error:
            programs.content(commands=[options]).create(programs.fd)
        for word in ("commands[case]", *words):
            assert word in str(error.value)


def test_network_of_the_host(programs: Place) -> None:
    """With it, names of hosts are asked for where the host asks."""
    programs.have(
        commands=[command("readlink /proc/self/ns/net > /srv/done; cat /etc/resolv.conf > /srv/names", network="host")]
    )
    assert programs.ask("cat srv/done") == os.readlink("/proc/self/ns/net")
    assert programs.ask("cat srv/names") == world.sh("cat /etc/resolv.conf").strip()
    assert programs.ask("ls etc").split() == ["group", "passwd"]


# --- through the module ----------------------------------------------------------------------------

FOLDER = pathlib.Path("/var/lib/nsfleet/rootfs")
ROOT = FOLDER / "case"
BIG = bytes(9000)


@pytest.fixture
def base(place: Place) -> dict[str, t.Any]:
    """Options of a tree that has something at most places already."""
    (place.tree / "etc/big").write_bytes(BIG)
    world.sh(
        f"cd {place.tree}/etc && printf 'root:*:1::::::\\napp:$6$old$hash:1::::::\\n' >shadow && chmod 640 shadow"
        " && echo old >motd && chmod 600 motd && ln -s nowhere link && mkdir -m 700 there && mkdir ../srv/full"
    )
    return {"path": str(ROOT), "directory": str(place.tree)}


def gone() -> None:
    """Remove the tree; the fixture ``clean_host`` sees that nothing is left."""
    laws.four_steps("rootfs", {"path": str(ROOT), "state": "absent"})


def at(*paths: str) -> t.Callable[[], list[str]]:
    """Witnesses of what is at some paths of the module's tree."""
    script = "stat -c '%n %A %u:%g' $path && { readlink $path || test -d $path || sha256sum <$path; } || true"
    return lambda: world.sh(f"cd {ROOT} && for path in {' '.join(paths)}; do {script}; done 2>/dev/null").splitlines()


def line(path: str, mode: str, owner: str, content: bytes | str | None = None) -> list[str]:
    """What they say."""
    if isinstance(content, bytes):
        return [f"{path} -{mode} {owner}", f"{hashlib.sha256(content).hexdigest()}  -"]
    return [f"{path} d{mode} {owner}"] if content is None else [f"{path} l{mode} {owner}", content]


HOSTNAME = pathlib.Path("/etc/hostname").read_bytes()
ALL, OPEN, READ = "rwxrwxrwx", "rwxr-xr-x", "rw-r--r--"
CASES = (
    Case(
        "files",
        {"files": [
            {"path": "/etc/motd", "content": "new\n", "mode": "0640", "owner": "app", "group": "www"},
            {"path": "/etc/big", "content": "short"},
            {"path": "/etc/link", "source": "/etc/hostname"},
            {"path": "/etc/new", "content_base64": "AAEC"},
        ]},
        at("etc/motd", "etc/big", "etc/link", "etc/new"),
        [*line("etc/motd", "rw-r-----", "70:33", b"new\n"), *line("etc/big", READ, "0:0", b"short"),
         *line("etc/link", READ, "0:0", HOSTNAME), *line("etc/new", READ, "0:0", b"\0\1\2")],
        f"cd {ROOT}/etc && chmod 777 motd && chown 9:9 motd && rm big && ln -sf motd link && echo x >new",
        reverts_to=[*line("etc/motd", "rw-------", "0:0", b"old\n"), *line("etc/big", READ, "0:0", BIG),
                    *line("etc/link", ALL, "0:0", "nowhere")],
    ),
    Case(
        "directories",
        {"directories": [{"path": "/etc/there", "mode": "0755", "owner": "app", "group": "7"},
                         {"path": "/srv/new"}, {"path": "/srv/new/below"}, {"path": "/srv/full"}]},
        at("etc/there", "srv/new", "srv/new/below", "srv/full"),
        [*line("etc/there", OPEN, "70:7"), *line("srv/new", OPEN, "0:0"), *line("srv/new/below", OPEN, "0:0"),
         *line("srv/full", OPEN, "0:0")],
        f"cd {ROOT} && chmod 1777 etc/there && chown 9:9 etc/there && rm -r srv/new",
        reverts_to=[*line("etc/there", "rwx------", "0:0"), *line("srv/full", OPEN, "0:0")],
    ),
    Case(
        "links",
        {"links": [{"path": "/etc/link", "target": "/../../etc/shadow"}, {"path": "/etc/motd", "target": "x y"}]},
        at("etc/link", "etc/motd"),
        [*line("etc/link", ALL, "0:0", "/../../etc/shadow"), *line("etc/motd", ALL, "0:0", "x y")],
        f"cd {ROOT}/etc && ln -sfn other link && rm motd && mkfifo motd",
        reverts_to=[*line("etc/link", ALL, "0:0", "nowhere"), *line("etc/motd", "rw-------", "0:0", b"old\n")],
    ),
    Case(
        "users",
        {"users": [
            {"name": "app", "uid": 700, "group": "www", "groups": ["root"], "home": "/home", "shell": "/bin/x",
             "comment": "An app", "password": "$6$new$hash"},
            {"name": "svc", "system": True},
        ]},
        lambda: world.sh(f"cd {ROOT}/etc && cat passwd group shadow").splitlines(),
        ["root:x:0:0::/root:/bin/sh", "app:x:700:33:An app:/home:/bin/x", "svc:x:999:999::/home/svc:/usr/sbin/nologin",
         "root:x:0:app", "app:x:71:", "www:x:33:", "svc:x:999:", "root:*:1::::::", "app:$6$new$hash:1::::::",
         "svc:!::0:99999:7:::"],
        f"cd {ROOT}/etc && sed -i 's/:700:/:9:/; /^svc/d' passwd && sed -i s/new/by/ shadow && sed -i s/:app/:/ group",
        reverts_to=[*PASSWD.splitlines(), *GROUP.splitlines(), "root:*:1::::::", "app:$6$old$hash:1::::::"],
    ),
    Case(
        "groups",
        {"groups": [{"name": "www", "gid": 50, "members": ["app", "root"]}, {"name": "new", "system": True}]},
        lambda: world.sh(f"cat {ROOT}/etc/group").splitlines(),
        ["root:x:0:", "app:x:71:", "www:x:50:app,root", "new:x:999:"],
        f"sed -i 's/50:app/51:/; /^new/d' {ROOT}/etc/group",
        reverts_to=GROUP.splitlines(),
    ),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.option)
def test_option(base: dict[str, t.Any], case: Case) -> None:
    laws.option_holds("rootfs", base, case)
    gone()


def test_command_through_the_module(programs: Place) -> None:
    base = {"path": str(ROOT), "directory": str(programs.tree), "verify": "content"}
    script = "echo $COLOUR > /srv/done; echo 'svc:x:90:90::/:/bin/sh' >> /etc/passwd; rm -r /bin/ar"
    options = {
        **base,
        "commands": [command(script, env={"COLOUR": "red"}, network="none", timeout=60)],
        "users": [{"name": "new", "uid": 91}],
        "files": [{"path": "/srv/of", "content": "", "owner": "svc"}],
    }
    laws.run("rootfs", base)
    done = laws.four_steps("rootfs", options)
    assert done["diff"]["after"]["commands"] == {"case": {"done": True}}
    assert world.sh(f"cat {ROOT}/srv/done; stat -c %u {ROOT}/srv/of").split() == ["red", "90"]
    assert world.sh(f"cut -d: -f1 {ROOT}/etc/passwd").split() == ["root", "app", "new", "svc"]
    first = os.stat(ROOT / "etc").st_ino
    done = laws.repaired("rootfs", options, f"rm {ROOT}/srv/done {ROOT}/bin/cat")
    assert [step["effect"] for step in done["plan"]] == ["recreate"], "what commands made, only they can make again"
    assert os.stat(ROOT / "etc").st_ino != first
    assert world.sh(f"cat {ROOT}/srv/done; test -e {ROOT}/bin/cat; stat -c %u {ROOT}/srv/of").split() == ["red", "90"]
    laws.run("rootfs", base)
    assert world.sh(f"cat {ROOT}/srv/done").split() == ["red"], "what commands did stays"
    gone()


def test_command_that_fails_leaves_no_tree(programs: Place) -> None:
    before = world.snapshot()
    failed = invoke("rootfs", {"path": str(ROOT), "directory": str(programs.tree), "commands": [command("ls /none")]})
    assert "commands[case]: /bin/sh ended with exit code 1: ls: /none: No such file or directory" in failed["msg"]
    assert world.difference(before, world.snapshot()) == []


@pytest.mark.parametrize("there", [False, True], ids=["while the tree is made", "in a tree that is there"])
def test_task_that_is_killed_while_a_command_runs(programs: Place, there: bool) -> None:
    base = {"path": str(ROOT), "directory": str(programs.tree)}
    if there:
        laws.run("rootfs", base)
    work = Run("rootfs", {**base, "commands": [command("sleep 7301")], "links": [{"path": "/etc/x", "target": "y"}]})
    world.until(lambda: bool(sleeping()), 20)
    os.kill(work.pid, signal.SIGKILL)
    assert work.killed()
    again = laws.run("rootfs", base)
    assert "an earlier run was killed" in str(again["warnings"])
    assert not sleeping()
    assert world.sh(f"find {FOLDER} -name '*nsfleet*' -o -name x").split() == []
    gone()


def sleeping() -> list[str]:
    """Processes of the command that is killed."""
    return world.sh("pgrep -xf 'sleep 7301' || true").split()


TOP: dict[str, t.Any] = {
    "files": [{"path": "/etc/big", "content": "x"}, {"path": "/srv/new/x", "content": "x\0"}],
    "links": [{"path": "/etc/motd", "target": "x"}],
    "directories": [{"path": "/srv/new"}],
    "users": [{"name": "app", "password": "!"}, {"name": "svc"}],
}


def test_a_run_that_fails_takes_all_of_it_back(base: dict[str, t.Any], monkeypatch: pytest.MonkeyPatch) -> None:
    laws.failing(monkeypatch)
    laws.puts_back("rootfs", [{**base, **TOP}])
    monkeypatch.undo()
    for before in (base, {**base, **TOP}):
        laws.run("rootfs", {**before, "verify": "content"})
        seen = timeless(ROOT)
        laws.failing(monkeypatch)
        other = {**TOP, "files": [{"path": "/etc/big", "content": "y\0"}], "users": []}
        for task in ({**base, **TOP}, {**base, **other}, base):
            failed = invoke("rootfs", task)
            assert not failed.failed or "injected failure. Everything was put back" in failed["msg"], failed
            assert timeless(ROOT) == seen
        monkeypatch.undo()
        laws.settled("rootfs", {**before, "verify": "content"})
    gone()


def timeless(tree: pathlib.Path) -> dict[str, trees.Seen]:
    """A tree without times, which are others after going back, and without an empty directory that was needed."""
    return {path: each._replace(mtime=0) for path, each in trees.seen(tree).items()}


def test_the_tree_below_is_repaired_with_what_is_on_top(base: dict[str, t.Any]) -> None:
    options = {**base, **TOP, "verify": "content"}
    laws.run("rootfs", options)
    seen = timeless(ROOT)
    damage = "echo x >>etc/passwd; rm etc/group etc/shadow; ln -sf y etc/motd; chmod 0 srv; echo new >srv/added"
    done = laws.repaired("rootfs", options, f"cd {ROOT} && {damage}")
    assert {"changed", "links[/etc/motd].target"} <= {
        each["option"] for step in done["plan"] for each in step["changes"]
    }
    assert timeless(ROOT) == seen
    gone()


def test_another_source_and_less_on_top(base: dict[str, t.Any], place: Place) -> None:
    """What is on top is put on the new tree, and goes back to what is in that one."""
    options = {
        **base,
        "verify": "metadata",
        "files": [{"path": "/etc/motd", "content": "x"}],
    }
    laws.run("rootfs", {**options, "directories": [{"path": "/etc/there"}]})
    (place.tree / "etc/motd").write_text("newer")
    laws.four_steps("rootfs", options)
    assert at("etc/motd", "etc/there")() == [
        *line("etc/motd", READ, "0:0", b"x"),
        *line("etc/there", "rwx------", "0:0"),
    ]
    laws.four_steps("rootfs", base)
    assert at("etc/motd")() == line("etc/motd", "rw-------", "0:0", b"newer")
    gone()


def test_a_path_that_another_option_names_by_now(base: dict[str, t.Any]) -> None:
    """It goes back to what was there before the first of them named it."""
    for options in (
        {"links": [{"path": "/etc/big", "target": "x"}, {"path": "/etc/new", "target": "x"}]},
        {"files": [{"path": "/etc/big", "content": "y\0"}, {"path": "/etc/new", "content": "y"}]},
        {"links": [{"path": "/etc/big", "target": "z"}, {"path": "/etc/new", "target": "z"}]},
        {},
    ):
        laws.run("rootfs", {**base, **options})
    assert at("etc/big", "etc/new")() == line("etc/big", READ, "0:0", BIG)
    laws.settled("rootfs", base)
    gone()


def test_a_directory_with_something_in_it_stays(base: dict[str, t.Any]) -> None:
    laws.run("rootfs", {**base, **TOP})
    world.sh(f"touch {ROOT}/srv/new/y")
    laws.four_steps("rootfs", base)
    assert world.sh(f"cd {ROOT}/srv/new && ls").split() == ["y"]
    gone()


def test_a_directory_of_somebody_else_is_adopted(base: dict[str, t.Any], place: Place) -> None:
    FOLDER.mkdir(parents=True)
    world.sh(f"cp -a {place.tree} {ROOT}")
    laws.refused("rootfs", {"path": str(ROOT), **TOP}, "adopt")
    before = timeless(ROOT)
    laws.four_steps("rootfs", {**base, **TOP, "adopt": True})
    laws.four_steps("rootfs", base)
    assert timeless(ROOT) == before
    gone()


def test_refused_before_anything_is_made(base: dict[str, t.Any]) -> None:
    for there in (False, True):
        for more, words in (
            ({"files": [{"path": "/etc/x"}]}, "one of the following is required: content, content_base64, source"),
            (
                {"files": [{"path": "/etc/x", "content": "", "owner": "mallory"}]},
                "there is no user mallory in the tree",
            ),
            ({"links": [{"path": "/etc", "target": "x"}]}, "links[/etc]: expected no directory there"),
        ):
            if there or "one of" in words:
                laws.refused("rootfs", {**base, **more}, words)
            else:
                failed, before = invoke("rootfs", {**base, **more}), world.snapshot()
                assert words in failed["msg"]
                assert world.difference(before, world.snapshot()) == []
        laws.missing("rootfs", {**base, "files": [{"path": "/x", "source": "/no/such"}]}, "files[/x].source: /no/such")
        laws.run("rootfs", base)
    gone()


def test_every_option_is_proved() -> None:
    paths = [f"commands.{each}" for each in ("name", "argv", "creates", "env", "network", "timeout")]
    laws.covered(TABLE, CASES, dict.fromkeys(paths, test_command_through_the_module))
