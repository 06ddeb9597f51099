# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store of images: what is fetched, how often, what is left when something goes wrong, and what goes."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import stat
import subprocess
import sys
import threading
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._image import draft, layout
from ansible_collections.nsfleet.linux.plugins.module_utils._image.catalog import Stored
from ansible_collections.nsfleet.linux.plugins.module_utils._image.errors import ImageError
from ansible_collections.nsfleet.linux.plugins.module_utils._image.pack import pack
from ansible_collections.nsfleet.linux.plugins.module_utils._image.reference import Reference
from ansible_collections.nsfleet.linux.plugins.module_utils._image.registry import Registry
from ansible_collections.nsfleet.linux.plugins.module_utils._image.store import Store
from ansible_collections.nsfleet.linux.plugins.module_utils._image.transport import Access
from ansible_collections.nsfleet.linux.plugins.module_utils._kernel import overlay
from ansible_collections.nsfleet.linux.plugins.module_utils._model.errors import KernelError
from support import archives, images, registry, world
from support.archives import archive, file, folder, symlink
from support.images import Image
from support.registry import Front

PACKAGE = Store.__module__.rpartition(".")[0]
#: A program that pulls from a server without TLS: ROOT REFERENCE.
PULL = f"""
import sys
from {PACKAGE} import reference, registry, store, transport
wanted = reference.Reference.parse(sys.argv[2])
store.Store(sys.argv[1]).pull(registry.Registry(wanted, transport.Access(plain_http=True)), wanted)
"""
LARGE = images.random(3 << 20)


@pytest.fixture
def store(tmp_path: pathlib.Path) -> Store:
    """A store that is not there yet."""
    return Store(str(tmp_path / "store"))


def simple(seed: int = 0, **options: t.Any) -> Image:
    """An image of two layers, of which the lower one is always the same."""
    upper = archive(folder("srv"), file("srv/data", images.random(1000, seed)))
    return Image(archive(folder("etc"), file("etc/large", LARGE)), upper, **options)


def reference(front: Front, tag: str = "1") -> Reference:
    """An image on a server."""
    return Reference.parse(f"{front.host}/app:{tag}")


def pull(store: Store, front: Front, tag: str = "1") -> Stored:
    """Pull an image from a server without TLS."""
    wanted = reference(front, tag)
    return store.pull(Registry(wanted, Access(plain_http=True)), wanted)


def puller(store: Store, front: Front) -> subprocess.Popen[bytes]:
    """Another process that does the same."""
    command = [sys.executable, "-c", PULL, store.root, str(reference(front))]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path.endswith(".build"))}
    return subprocess.Popen(command, env=environment)


def path_of(image: Image, layer: int = 0) -> str:
    """Where a server has a layer."""
    return f"/v2/app/blobs/{image.layers[layer]['digest']}"


def all_of(root: str) -> dict[str, tuple[int, int, bytes]]:
    """All files below a directory, with their modes, owners and contents."""
    found = {}
    for folder_, _folders, names in os.walk(root):
        for path in (os.path.join(folder_, name) for name in names):
            info = os.lstat(path)
            with open(path, "rb") as opened:
                found[path] = (info.st_mode, info.st_uid, opened.read())
    return found


@contextlib.contextmanager
def mounted(stored: Stored, place: pathlib.Path) -> t.Iterator[pathlib.Path]:
    """What overlayfs shows of an image, mounted by mount(8) with the names that its layers have where they are."""
    place.mkdir()
    names = ":".join(os.path.basename(layer) for layer in reversed(stored.layers))
    command = ["mount", "-t", "overlay", "-o", f"lowerdir={names}", "overlay", str(place)]
    environment = {**os.environ, "LIBMOUNT_FORCE_MOUNT2": "always"}
    subprocess.run(command, cwd=os.path.dirname(stored.layers[0]), env=environment, check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


# --- what is there ---------------------------------------------------------------------------------


def test_an_image_is_found_with_its_configuration_and_its_layers(store: Store) -> None:
    image = simple(config={"Cmd": ["run"], "Env": ["A=1"]})
    with Front(registry.images("app", {"1": image})) as front:
        assert store.find(reference(front)) is None
        assert not os.path.exists(store.root), "who only looks writes nothing"
        pulled = pull(store, front)
        assert store.find(reference(front)) == pulled == store.image(image.digest, str(reference(front)))
        assert store.images() == [pulled]
    assert pulled.digest == pulled.resolved == image.digest
    assert (pulled.config.cmd, pulled.config.env) == (("run",), {"A": "1"})
    assert pulled.size == sum(map(len, image.blobs.values()))
    assert pulled.unpacked == image.plain
    lower, upper = map(pathlib.Path, pulled.layers)
    assert (lower / "etc/large").read_bytes() == LARGE
    assert (upper / "srv/data").read_bytes() == images.random(1000)


def test_all_of_it_is_for_root_alone_and_roots_of_layers_are_as_the_layers_want_them(store: Store) -> None:
    os.umask(0)
    with Front(registry.images("app", {"1": simple()})) as front:
        layers = pull(store, front).layers
    os.umask(0o022)
    modes = world.sh(f"find {store.root} -path '{store.root}/layers/*' -prune -o -printf '%y%m %U %G\\n' | sort -u")
    assert modes.split("\n")[:-1] == ["d700 0 0", "f600 0 0"]
    assert {os.stat(layer).st_mode & 0o777 for layer in layers} == {0o755}


def test_layers_together_are_what_the_image_is(store: Store, tmp_path: pathlib.Path) -> None:
    base = archive(
        folder("usr", mode=0o711, uid=7), folder("usr/lib", mode=0o750), file("usr/lib/one", b"1"),
        file("usr/lib/gone", b"2"), folder("opt"), folder("opt/old"), file("opt/old/file", b"3"),
    )  # fmt: skip
    image = Image(
        base,
        archive(file("usr/lib/.wh.gone"), file("usr/lib/new/deep", b"4")),  # says nothing of usr and usr/lib
        archive(file("opt/.wh.old")),
        archive(file("opt/old/again", b"5")),  # and nothing of opt; of old there is nothing below
        archive(symlink("bin", "usr/bin"), folder("usr/bin", mode=0o751)),
        archive(file("bin/tool", b"6")),  # it is elsewhere, where the link leads
    )
    with Front(registry.images("app", {"1": image})) as front:
        stored = pull(store, front)
    with mounted(stored, tmp_path / "root") as root:
        shown = world.sh(f"cd {root} && find . -mindepth 1 -printf '%P %y%m %U %T@\\n' | sort")
        assert (root / "usr/lib/new/deep").read_bytes() == b"4"
    assert [line.rstrip("0").rstrip(".") for line in shown.splitlines()] == [
        "bin l777 0 1000000000",
        "opt d755 0 1000000000",
        "opt/old d755 0 0",
        "opt/old/again f644 0 1000000000",
        "usr d711 7 1000000000",
        "usr/bin d751 0 1000000000",
        "usr/bin/tool f644 0 1000000000",
        "usr/lib d750 0 1000000000",
        "usr/lib/new d755 0 0",
        "usr/lib/new/deep f644 0 1000000000",
        "usr/lib/one f644 0 1000000000",
    ]


def test_a_layer_may_have_another_name_of_a_file_below(store: Store, tmp_path: pathlib.Path) -> None:
    link = archive(archives.hard_link("other", "file"), file("more"))
    image = Image(archive(file("file", b"1")), archive(file("file", b"22")), link)
    with Front(registry.images("app", {"1": image, "alone": Image(link)})) as front:
        stored = pull(store, front)
        with mounted(stored, tmp_path / "root") as root:
            assert (root / "other").read_bytes() == b"22"
            assert sorted(os.listdir(root)) == ["file", "more", "other"]
        with pytest.raises(ImageError, match="the lowest layer: other: it is a hard link to file, which is no file"):
            pull(store, front, "alone")
        assert store.find(reference(front, "alone")) is None
        store.collect()
        before = os.listdir(store.layers.directory)
        assert pull(store, front) == store.find(reference(front)) == stored
        assert os.listdir(store.layers.directory) == before, "what is there is not unpacked again"


def test_nothing_is_seen_below_a_layer_that_hides_all(store: Store, tmp_path: pathlib.Path) -> None:
    image = Image(archive(file("old")), archive(file(".wh..wh..opq"), file("new")), archive(file("newer")))
    with Front(registry.images("app", {"1": image})) as front:
        stored = pull(store, front)
    with mounted(stored, tmp_path / "root") as root:
        assert sorted(os.listdir(root)) == ["new", "newer"]
    assert stored.size == sum(map(len, image.blobs.values()))


def test_more_than_128_layers_fit_into_one_mount(store: Store, tmp_path: pathlib.Path) -> None:
    image = Image(
        *(archive(file(f"file-{number}", b"%d" % number), file("last", b"%d" % number)) for number in range(140))
    )
    with Front(registry.images("app", {"1": image})) as front:
        stored = pull(store, front)
    with mounted(stored, tmp_path / "root") as root:
        assert len(list(root.iterdir())) == 141
        assert (root / "last").read_bytes() == b"139"


# --- once -------------------------------------------------------------------------------------------


def test_what_is_there_is_not_fetched_again(store: Store) -> None:
    first, second = simple(1), simple(2)
    with Front(registry.images("app", {"1": first, "2": second})) as front:
        lower = pull(store, front).layers[0]
        inode = os.stat(lower).st_ino
        assert pull(store, front, "2").layers[0] == lower
        pull(store, front, "2")
        assert os.stat(lower).st_ino == inode
        fetched = front.paths("/blobs/")
        assert len(fetched) == len(set(fetched)) == 5, "a configuration and a layer for each, and one for both"
        asked = len(front.asked)
        pinned = Reference.parse(f"{front.host}/app@{first.digest}")
        assert store.pull(Registry(pinned, Access(plain_http=True)), pinned).digest == first.digest
        assert len(front.asked) == asked, "what a digest leads to is known"


def test_processes_that_pull_at_once_fetch_each_layer_once(store: Store) -> None:
    image = simple()
    with Front(registry.images("app", {"1": image})) as front:
        path = path_of(image)
        front.hold.clear()
        front.stop_after[path] = 1 << 20
        running = [puller(store, front) for _each in range(3)]
        world.until(lambda: len(front.paths("/manifests/")) == 3 and front.sent.get(path))
        front.hold.set()  # the connection breaks; the one that fetches goes on from there
        assert [each.wait() for each in running] == [0, 0, 0]
        assert front.sent[path] == image.layers[0]["size"]
        assert len(front.paths(path_of(image, 1))) == 1
        assert store.find(reference(front)) is not None


@pytest.mark.parametrize("locked", [draft.locked_file, draft.locked_folder])
def test_a_draft_that_comes_too_late_goes_again(
    tmp_path: pathlib.Path, locked: t.Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "thing"
    flock = fcntl.flock

    def finished_meanwhile(fd: int, how: int) -> None:
        path.touch()
        flock(fd, how)

    monkeypatch.setattr(fcntl, "flock", finished_meanwhile)
    with locked(str(path)) as mine:
        assert mine is None
    assert os.listdir(tmp_path) == ["thing"]


@pytest.mark.parametrize("record", ["names/*/1.json", "images/*.json"])
@pytest.mark.parametrize("wrong", ["", "{", "[]", "{}"])
def test_a_record_that_is_damaged_is_as_good_as_none(store: Store, record: str, wrong: str) -> None:
    with Front(registry.images("app", {"1": simple()})) as front:
        pull(store, front)
        (path,) = pathlib.Path(store.root).glob(record)
        path.write_text(wrong)
        assert store.find(reference(front)) is None
        asked = len(front.paths("blobs"))
        assert pull(store, front)
        assert len(front.paths("blobs")) == asked, "what is there was fetched again"


def test_several_layers_come_at_once(store: Store) -> None:
    image = Image(*(archive(file("file", images.random(100_000, number))) for number in range(3)))
    meeting = threading.Barrier(3)
    backend = registry.images("app", {"1": image})

    def together(asked: registry.Asked) -> registry.Reply:
        meeting.wait(60)
        return backend(asked)

    with Front(backend) as front:
        front.instead = {path_of(image, number): together for number in range(3)}
        pull(store, front)
        assert meeting.broken is False


# --- bad luck ---------------------------------------------------------------------------------------


def test_a_pull_that_was_killed_is_gone_on_with(store: Store) -> None:
    image = simple()
    path, half = path_of(image), 1 << 20
    with Front(registry.images("app", {"1": image})) as front:
        front.hold.clear()
        front.stop_after[path] = half
        killed = puller(store, front)
        begun = store.blobs.path(image.layers[0]["digest"]) + draft.DRAFT
        world.until(lambda: os.path.exists(begun) and os.stat(begun).st_size == half)
        killed.kill()
        killed.wait()
        assert store.find(reference(front)) is None
        pull(store, front)
        again = [asked.headers.get("range") for asked in front.asked if asked.path == path]
        assert again == [None, f"bytes={half}-"]
        assert front.sent[path] == image.layers[0]["size"], "no byte came twice"


def test_a_draft_that_is_damaged_is_begun_anew(store: Store) -> None:
    image = simple()
    with Front(registry.images("app", {"1": image})) as front:
        with store.using():
            pathlib.Path(store.blobs.path(image.layers[0]["digest"]) + draft.DRAFT).write_bytes(b"not what was sent")
        pull(store, front)
        assert [asked.headers.get("range") for asked in front.asked if asked.path == path_of(image)] == [
            "bytes=17-",
            None,
        ]
    assert store.verify() == []


def test_a_pull_that_was_killed_while_it_unpacked_is_done_again(store: Store) -> None:
    image = simple()
    with Front(registry.images("app", {"1": image})) as front:
        with store.using():
            left = pathlib.Path(store.layers.path(images.digest(archive(file("x")))[7:31]) + draft.DRAFT)
            mine = pathlib.Path(store.layers.path(image.diff_ids[0][7:31]) + draft.DRAFT)
            for path in (left, mine):
                (path / "etc/deep").mkdir(parents=True)
                (path / "etc/large").write_bytes(b"half")
        stored = pull(store, front)
        assert os.listdir(f"{stored.layers[0]}/etc") == ["large"]
        store.collect()
        assert not left.exists()
        assert store.find(reference(front)) == stored


def test_a_damaged_blob_is_found_and_fetched_again(store: Store) -> None:
    image = simple()
    with Front(registry.images("app", {"1": image})) as front:
        stored = pull(store, front)
        damaged = image.layers[0]["digest"]
        with open(store.blobs.path(damaged), "r+b") as blob:
            blob.seek(1000)
            blob.write(b"damage")
        assert store.verify() == [damaged]
        assert store.find(reference(front)) is None, "something of it is missing"
        assert pull(store, front) == stored
        assert store.verify() == []
        assert len(front.paths(path_of(image))) == 2
        assert len(front.paths(path_of(image, 1))) == 1


@pytest.mark.parametrize("what", ["manifest", "config"])
def test_a_damaged_document_is_fetched_again(store: Store, what: str) -> None:
    image = simple()
    with Front(registry.images("app", {"1": image})) as front:
        stored = pull(store, front)
        path = pathlib.Path(store.blobs.path(getattr(image, what)["digest"]))
        path.write_bytes(path.read_bytes().replace(b"2", b"3"))
        assert pull(store, front) == stored
        assert store.verify() == []


@pytest.mark.parametrize("lacking", ["", "No such device"], ids=["layers", "one tree"])
def test_a_blob_that_was_damaged_before_it_was_unpacked_is_fetched_again(
    store: Store, lacking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overlay, "objection", lambda _folder: lacking)
    image = simple()
    with Front(registry.images("app", {"1": image})) as front:
        store.layers.remove(os.path.basename(pull(store, front).layers[0]))
        with open(store.blobs.path(image.layers[0]["digest"]), "r+b") as blob:
            blob.truncate(5000)
        stored = pull(store, front)
        assert (pathlib.Path(stored.layers[0]) / "etc/large").read_bytes() == LARGE
        assert len(front.paths(path_of(image))) == 2


def test_a_disk_that_is_full_leaves_what_was_there(tmp_path: pathlib.Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    world.sh(f"mount -t tmpfs -o size=4m tmpfs {disk}")
    try:
        store = Store(str(disk / "store"))
        small = Image(archive(file("small", b"content")))
        more = Image(archive(file("more", images.random(1 << 20))))
        with Front(registry.images("app", {"1": small, "large": simple(), "more": more})) as front:
            stored = pull(store, front)
            before = all_of(store.root)
            with pytest.raises(KernelError, match="No space left on device"):
                pull(store, front, "large")  # it is unpacked that there is no room for
            assert store.find(reference(front)) == stored
            assert store.find(reference(front, "large")) is None
            assert store.verify() == []
            store.collect()
            assert all_of(store.root) == before
            filling = disk / "filling"
            filling.write_bytes(bytes(3_600_000))
            with pytest.raises(KernelError, match=r"store sha256:[0-9a-f]+ \(\d+ bytes\) .* No space left on device"):
                pull(store, front, "more")  # it is the blob that there is no room for
            assert not [name for name in os.listdir(store.blobs.directory) if name.endswith(draft.DRAFT)]
            assert store.find(reference(front)) == stored
            filling.unlink()
            assert pull(store, front, "more").digest == more.digest
    finally:
        world.sh(f"umount {disk}")


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        (archive(file("../outside", b"x")), "outside"),
        (archive(file("a", LARGE))[: 2 << 20], "ends within"),
        (b"not a tar archive at all" * 100, "checksum|header|archive"),
    ],
)
def test_a_layer_that_is_refused_leaves_nothing(store: Store, layer: bytes, says: str) -> None:
    with Front(registry.images("app", {"1": Image(layer)})) as front:
        with pytest.raises(ImageError, match=says):
            pull(store, front)
        assert store.find(reference(front)) is None
        assert os.listdir(store.layers.directory) == []
        store.collect()
        assert all_of(store.root) == {}


def test_a_layer_that_is_another_one_than_its_configuration_says_is_refused(store: Store) -> None:
    image, other = Image(archive(file("one"))), Image(archive(file("other")))
    layers = [image.add(other.blobs[each["digest"]], images.LAYER) for each in other.layers]
    lying = registry.images("app", {"1": image.but(layers=layers)})
    with Front(lying) as front, pytest.raises(ImageError, match="another one than its image says"):
        pull(store, front)
    assert os.listdir(store.layers.directory) == []


# --- what goes --------------------------------------------------------------------------------------


def test_only_what_nothing_refers_to_is_collected(store: Store) -> None:
    first, second, third = simple(1), simple(2), simple(3)
    with Front(registry.images("app", {"1": first, "2": second, "3": third})) as front:
        one, two, three = (pull(store, front, tag) for tag in "123")
        assert store.collect() == ((), 0, 0, 0)
        store.name(three.digest, reference(front, "other"))
        for tag in "123":
            assert store.remove(reference(front, tag)) is True
        assert store.remove(reference(front, "1")) is False
        gone = store.collect(in_use=[two.digest])
        assert gone.images == (one.digest,)
        assert (gone.blobs, gone.layers) == (3, 1)
        assert gone.size == sum(
            len(first.blobs[each["digest"]]) for each in (first.manifest, first.config, first.layers[1])
        )
        assert store.image(one.digest) is None
        assert store.image(two.digest) == two._replace(reference="")
        assert store.find(reference(front, "other")) == three._replace(reference=str(reference(front, "other")))
        assert not os.path.exists(one.layers[1])
        assert all(map(os.path.isdir, (*two.layers, *three.layers)))
        store.remove(reference(front, "other"))
        store.collect()
    assert all_of(store.root) == {}


def test_nothing_is_collected_while_something_is_pulled(store: Store) -> None:
    image = simple()
    with Front(registry.images("app", {"1": image})) as front:
        front.hold.clear()
        front.stop_after[path_of(image)] = 1 << 20
        running = puller(store, front)
        world.until(lambda: front.sent.get(path_of(image)))
        collecting = threading.Thread(target=store.collect)
        collecting.start()
        world.until(
            lambda: "WRITE" in world.sh(f"grep -- '-> FLOCK.*:{os.stat(store.root).st_ino} ' /proc/locks || true")
        )
        front.hold.set()
        assert running.wait() == 0
        collecting.join()
        assert store.find(reference(front)) is not None


def test_a_tag_that_moved_leads_to_the_new_image_and_the_old_one_goes(store: Store) -> None:
    old, new = simple(1), simple(2)
    tags: dict[str, Image | bytes] = {"1": old}

    def now(asked: registry.Asked) -> registry.Reply:
        return registry.images("app", tags)(asked)

    with Front(now) as front:
        pull(store, front)
        tags["1"] = new
        assert pull(store, front).digest == new.digest
        assert store.collect().images == (old.digest,)


# --- new images -------------------------------------------------------------------------------------


def built(store: Store, base: Stored, name: str, upper: pathlib.Path) -> Stored:
    """An image of another one and an upper directory of overlayfs."""
    fd = os.open(upper, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with store.using():
            added = store.add_layer(lambda out: pack(fd, out, layer=True).digest)
            config = base.config._replace(cmd=("new",))
            return store.build(Reference.parse(name), [*store.layers_of(base.digest), added], config)
    finally:
        os.close(fd)


def test_a_new_image_is_the_same_each_time_and_what_skopeo_and_umoci_see(store: Store, tmp_path: pathlib.Path) -> None:
    upper = tmp_path / "upper"
    (upper / "srv").mkdir(parents=True)
    (upper / "srv/new").write_text("new")
    os.mknod(upper / "srv/data", 0o600 | stat.S_IFCHR, 0)
    with Front(registry.images("app", {"1": simple(config={"Env": ["A=1"]})})) as front:
        base = pull(store, front)
    new = built(store, base, "example.org/new:1", upper)
    assert new.layers[:2] == base.layers
    again = Store(str(tmp_path / "again"))
    assert built(again, again.pull(store, Reference.parse(base.reference)), "other:2", upper).digest == new.digest
    saved = tmp_path / "saved"
    layout.save(store, Reference.parse(base.reference), str(saved))
    layout.save(store, Reference.parse("example.org/new:1"), str(saved))
    layout.save(store, Reference.parse("example.org/new:1"), str(saved))
    shown = json.loads(registry.skopeo("inspect", "--config", f"oci:{saved}:example.org/new:1"))
    assert shown["config"] == {"Cmd": ["new"], "Env": ["A=1"]}
    assert len(json.loads((saved / "index.json").read_text())["manifests"]) == 2
    copied = tmp_path / "copied"
    registry.skopeo("copy", f"oci:{saved}:example.org/new:1", f"oci:{copied}:1")
    world.sh(f"umoci raw unpack --image {copied}:1 {tmp_path}/unpacked")
    assert sorted(os.listdir(tmp_path / "unpacked/srv")) == ["new"]
    with mounted(new, tmp_path / "root") as root:
        assert sorted(os.listdir(root / "srv")) == ["new"]


def test_an_image_without_overlayfs_is_the_same_tree(
    store: Store, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = Image(
        archive(folder("a", mode=0o700, uid=3), file("a/one", b"1"), file("a/two", b"2"), folder("b"), file("b/old")),
        archive(file("a/.wh.one"), file("a/three", b"3"), folder("b"), file("b/.wh..wh..opq"), file("b/new")),
    )
    plain = Store(str(tmp_path / "plain"))
    with Front(registry.images("app", {"1": image})) as front:
        stored = pull(store, front)
        monkeypatch.setattr(overlay, "objection", lambda _folder: "No such device")
        other = pull(plain, front)
        assert (stored.plain, other.plain, len(other.layers)) == (False, True, 1)
        assert other.unpacked == stored.unpacked
    (tree,) = other.layers
    listing = "find . -mindepth 1 -printf '%P %y %m %U %G\\n' | sort; cat $(find . -type f | sort)"
    with mounted(stored, tmp_path / "root") as root:
        assert world.sh(f"cd {tree}; {listing}") == world.sh(f"cd {root}; {listing}")


def test_a_new_layer_that_cannot_be_written_leaves_nothing(store: Store) -> None:
    def broken(out: t.BinaryIO) -> str:
        out.write(b"some of it")
        raise KernelError("read the tree", OSError(5, "Input/output error"))

    with pytest.raises(KernelError, match="read the tree"):
        store.add_layer(broken)
    assert all_of(store.root) == {}


# --- files as sources -------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["directory", "tar", "tar.gz", "tar.zst", "docker save"])
def test_an_image_comes_out_of_files(store: Store, tmp_path: pathlib.Path, how: str) -> None:
    image = simple(config={"Cmd": ["run"]})
    path = images.layout(tmp_path / "layout", {"1": image})
    wanted = Reference.parse("example.org/app:1")
    if how == "docker save":
        saved = tmp_path / "saved.tar"
        registry.skopeo("copy", f"oci:{path}:1", f"docker-archive:{saved}:{wanted}")
        path = saved
    elif how != "directory":
        packed = tmp_path / f"packed.{how}"
        world.sh(f"tar --create --auto-compress --file {packed} --directory {path} .")
        path = packed
    with layout.opened(str(path), str(tmp_path)) as source:
        stored = store.pull(source, wanted)
    assert (stored.digest == image.digest) is (how != "docker save")
    assert stored.config.cmd == ("run",)
    assert (pathlib.Path(stored.layers[0]) / "etc/large").read_bytes() == LARGE
    assert store.verify() == []
    assert not [name for name in os.listdir(tmp_path) if name.startswith("tmp")]


def test_an_image_of_a_layout_is_chosen_by_its_name(tmp_path: pathlib.Path) -> None:
    one, two = simple(1), simple(2)
    path = images.layout(tmp_path / "layout", {"1": one, "example.org/app:2": two})
    with layout.opened(str(path), str(tmp_path)) as source:
        for name, digest in (("x:1", one.digest), ("example.org/app:2", two.digest), (f"x@{two.digest}", two.digest)):
            assert source.resolve(Reference.parse(name)).digest == digest
        with pytest.raises(ImageError, match=r"no image of that name; the place has 1, example\.org/app:2"):
            source.resolve(Reference.parse("x:3"))
        with pytest.raises(ImageError, match="no image of that name"):
            source.resolve(Reference.parse(f"x@sha256:{'0' * 64}"))


def test_nothing_outside_of_a_layout_is_read(tmp_path: pathlib.Path) -> None:
    image = simple()
    path = images.layout(tmp_path / "layout", {"1": image})
    secret = tmp_path / "secret"
    secret.write_text("{}")
    victim = path / "blobs" / image.digest.replace(":", "/")
    victim.unlink()
    victim.symlink_to(secret)
    with layout.opened(str(path), str(tmp_path)) as source:
        descriptor = source.resolve(Reference.parse("x:1"))
        with pytest.raises(ImageError, match="there is no such file in it"):
            source.open_blob(descriptor)
    victim.unlink()
    os.mkfifo(victim)
    with layout.opened(str(path), str(tmp_path)) as source, pytest.raises(ImageError, match="expected a regular file"):
        source.open_blob(descriptor)


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ([file("x")], "expected an OCI image layout"),
        ([file("oci-layout", b"{}")], "index.json: there is no such file"),
        ([file("oci-layout", b"{}"), file("index.json", b"{}")], "manifest: schemaVersion"),
        (
            [file("oci-layout", b"{}"), file("index.json", b"{}"), file("./index.json", b"{}")],
            "the archive has it twice",
        ),
        ([file("oci-layout"), archives.symlink("index.json", "/etc/hostname")], "there is no such file"),
        ([file("oci-layout"), archives.symlink("index.json", "index.json")], "there is no such file"),
        ([file("manifest.json", b"{}")], "manifest.json: expected a list of objects"),
        ([file("manifest.json", b'[{"Config": "/etc/passwd"}]')], "/etc/passwd: there is no such file"),
        ([file("manifest.json", b'[{"Config": "c", "Layers": ["../l"]}]'), file("c", b"{}")], "it has 0 layers, and"),
    ],
)
def test_an_archive_that_is_none_is_refused(tmp_path: pathlib.Path, members: list[t.Any], says: str) -> None:
    path = tmp_path / "archive.tar"
    path.write_bytes(archive(*members))
    with pytest.raises(ImageError, match=says), layout.opened(str(path), str(tmp_path)) as source:
        source.resolve(Reference.parse("x"))


def test_a_blob_of_a_layout_that_is_not_what_it_is_called_is_refused(store: Store, tmp_path: pathlib.Path) -> None:
    image = simple()
    path = images.layout(tmp_path / "layout", {"1": image})
    victim = path / "blobs" / image.layers[0]["digest"].replace(":", "/")
    data = victim.read_bytes()
    for wrong, says in ((data[:-1], "got"), (data + b"x", "and more came"), (b"x" + data[1:], "has the digest")):
        victim.write_bytes(wrong)
        with layout.opened(str(path), str(tmp_path)) as source, pytest.raises(ImageError, match=says):
            store.pull(source, Reference.parse("x:1"))
        assert not store.blobs.has(image.layers[0]["digest"])
    assert hashlib.sha256(data).hexdigest() in str(victim)
