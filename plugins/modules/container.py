#!/usr/bin/python
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: container
short_description: Run isolated, limited processes without a daemon
version_added: 1.0.0
description:
  - Turns its options into an OCI bundle and runs it in namespaces and a control group of its own, hardened unless told
    otherwise. No Docker, no Podman, no daemon.
  - A container is described as a whole. An option that the task does not give has its default, so what disappears from
    the task disappears from the container. A task with neither O(command) nor O(image) only sets the state of one that
    is there.
  - What the kernel can tell of a running container is read from the kernel (host name, mounts, namespaces, kernel
    parameters, resource limits, control group), the rest from its bundle. What drifted is repaired.
  - Limits, names, kernel parameters and resource limits change under the running container. Other changes restart it
    and keep what it wrote. Another O(image), O(rootfs) or O(overlay) makes it anew. RV(plan) says which.
  - Before a running container is stopped for a change, the new one is started beside it, up to the first instruction
    of its program. If that does not work, the task fails and the old one goes on. If the new one does not start all the
    same once the old one was stopped, the old one is started again, with what it wrote.
  - With O(detach=false) the container is there during the task only. It is made, run to its end and removed, and the
    task returns what M(ansible.builtin.command) does. This is how a program is run that nobody trusts.
author:
  - The nsfleet.linux authors (@nsfleet)
extends_documentation_fragment:
  - nsfleet.linux._attributes
  - nsfleet.linux._policy
  - nsfleet.linux._limits
  - nsfleet.linux._talk
options:
  name:
    description:
      - Name of the container; letters, digits, C(_), C(.) and C(-).
    type: str
    required: true
  state:
    description:
      - What the container is to be.
    type: str
    default: started
    choices:
      present: It is there. Whether it runs is left as it is.
      started: It runs.
      stopped: It is there and does not run.
      restarted: It is stopped if it runs, and started. This changes something on every run.
      absent: It does not run, and nothing of it is left. Its O(image) or O(rootfs) is not part of it and stays.
  image:
    description:
      - Image in the store of this host whose layers are the root file system, shared with whoever has the same ones,
        with a layer of its own to write to. A task M(nsfleet.linux.image) gets it there.
      - What the image says is the default of O(command) (its entrypoint and cmd), O(env), O(user), O(cwd) and
        O(stop_signal). An environment variable that O(env) does not name is the image's.
      - If the name has come to mean another image, the container is made anew from that one.
    type: str
  rootfs:
    description:
      - Directory of the root file system. Required unless there is an O(image), or O(namespaces.mount) is not private.
    type: path
  overlay:
    description:
      - Where the container writes to. Without a layer of its own it writes into O(rootfs), and two containers with one
        rootfs see each other's writes.
      - The default is V(none). With O(image), which nobody writes to, it is V(disk), or V(copy) if overlayfs could not
        be used when the image came (V(plain) in the result of M(nsfleet.linux.image)); and V(none) with O(read_only).
    type: str
    choices:
      none: Into the root file system itself; an O(image) can only be read then.
      disk: Into a private layer on disk, which lives as long as the container.
      tmpfs: Into a private layer in memory, which lives as long as it runs.
      copy: Into a private copy of the O(image), which lives as long as the container, and needs neither overlayfs nor
        idmapped mounts.
  idmap:
    description:
      - Show the files of O(rootfs) with owners mapped as O(uid_mappings) and O(gid_mappings) say, so that no file has
        to be given to another owner. Needs Linux 5.12 (5.19 with a private layer) and a file system that can do it.
        With O(overlay=copy), the files of the copy are given to those owners where that cannot be.
      - The default is V(false).
    type: bool
  read_only:
    description: Whether the root file system is read-only. Mounts are not. The default is V(false).
    type: bool
  command:
    description:
      - The program and its arguments. A program without a slash is looked up in E(PATH) inside.
      - Without it, the task only says what O(state) a container that is there is to have, and its description stays as
        it is.
    type: list
    elements: str
  env:
    description:
      - Environment variables. E(PATH) has a usual default.
    type: dict
  cwd:
    description: Directory that the program starts in. The default is V(/).
    type: path
  user:
    description:
      - User that the program runs as, and its group if one is named; names are looked up in the container's own
        C(/etc/passwd) and C(/etc/group). Digits are always a number.
      - The default is V(0).
    type: str
  groups:
    description: Supplementary groups, names or numbers.
    type: list
    elements: str
  hostname:
    description: Host name inside. The default is O(name).
    type: str
  domainname:
    description: NIS domain name inside.
    type: str
  namespaces:
    description:
      - Which namespaces the container has of its own. V(private) is a new one, V(host) the host's, and a path joins
        the one that is there, such as C(/proc/1234/ns/ipc).
    type: dict
    suboptions:
      mount:
        description: Mounts. Unless private, the container sees the host's files.
        type: str
        default: private
      pid:
        description: Process ids.
        type: str
        default: private
      ipc:
        description: System V IPC and POSIX message queues.
        type: str
        default: private
      uts:
        description: Host name.
        type: str
        default: private
      net:
        description: Network. Also the name of a namespace of M(nsfleet.linux.netns), or the id of a process.
        type: str
        default: private
      cgroup:
        description: Control groups.
        type: str
        default: private
      user:
        description: Users. With V(private), O(subordinate_ids), or O(uid_mappings) and O(gid_mappings), are required.
        type: str
        default: host
      time:
        description: Monotonic and boot clock.
        type: str
        default: host
  uid_mappings:
    description: Users of a private user namespace; id 0 must be mapped.
    type: list
    elements: dict
    suboptions: &mappings
      container_id:
        description: First id inside.
        type: int
        required: true
      host_id:
        description: First id outside.
        type: int
        required: true
      size:
        description: How many ids.
        type: int
        default: 1
  gid_mappings:
    description: Groups of a private user namespace; id 0 must be mapped.
    type: list
    elements: dict
    suboptions: *mappings
  subordinate_ids:
    description:
      - How many users and groups a private user namespace gets. Ids 0 and up inside are then a range of their own on
        the host, in place of O(uid_mappings) and O(gid_mappings).
      - The range is taken from what C(/etc/subuid) and C(/etc/subgid) set aside for the user C(nsfleet), who needs no
        account, as by a line C(nsfleet:1000000:65536000). A container keeps its range as long as it is there, and no
        two containers get ids in common. The range is shown as O(uid_mappings) and O(gid_mappings).
      - The default is V(0), for none.
    type: int
  time_offsets:
    description: Seconds that the clocks of a private time namespace are ahead of the host's.
    type: dict
    suboptions:
      monotonic:
        description: Offset of the clock that only runs while the system does, to a thousandth of a second.
        type: float
        default: 0.0
      boottime:
        description: Offset of the clock that also runs while the system is suspended, to a thousandth of a second.
        type: float
        default: 0.0
  mounts:
    description:
      - Mounts beside those that every container has (C(/proc), C(/sys), C(/dev), C(/dev/pts), C(/dev/shm),
        C(/dev/mqueue), C(/sys/fs/cgroup)). One with the destination of such a mount replaces it.
    type: list
    elements: dict
    suboptions:
      destination:
        description: Where it is inside. What is missing of the path is made.
        type: str
        required: true
      type:
        description: V(bind) for a file or directory of the host, or a file system such as V(tmpfs).
        type: str
        default: bind
      source:
        description: File or directory of the host.
        type: str
        default: ""
      options:
        description:
          - Options of the OCI runtime-spec, and those of the file system, such as V(size=64m) and V(mode=1777).
          - Attributes of the mount are V(ro), V(nosuid), V(nodev), V(noexec), V(noatime), V(nodiratime),
            V(strictatime), V(nosymfollow) and their opposites. With an V(r) in front, as in V(rro), they are for all
            mounts below, too.
          - A bind mount shows the mounts below its source with V(rbind). What is mounted on the host later appears in
            it, but not the other way around, unless V(private), V(shared), V(unbindable), or these with an V(r) in
            front, say otherwise.
          - V(idmap), or V(ridmap) for all mounts below, too, shows files with owners as the mount's own mappings or
            those of the container say.
          - V(tmpcopyup) makes a V(tmpfs) begin with a copy of the directory that it covers, and V(remount) changes what
            is mounted there already. New SELinux labels (V(z), V(Z)) are refused.
        type: list
        elements: str
        default: []
      uid_mappings:
        description:
          - Users of a bind mount's files, from those that the file system has (O(mounts[].uid_mappings[].container_id))
            to those that the host would see (O(mounts[].uid_mappings[].host_id)). Needs Linux 5.12.
        type: list
        elements: dict
        default: []
        suboptions: *mappings
      gid_mappings:
        description: Groups of a bind mount's files, likewise; needed where there are user mappings.
        type: list
        elements: dict
        default: []
        suboptions: *mappings
  secrets:
    description:
      - Files in C(/run/secrets) inside, in memory that is never swapped out. What they hold is nowhere else - not on a
        disk, in the bundle, in a record of this collection, in a result, or on a command line.
      - Another content, mode or owner is there at once, under the running container, as another file in the place of
        the old one. The first secret and the end of the last one restart the container.
      - Since no record of their content is kept, another one in the task is told like one that somebody changed by
        hand, also to O(on_drift).
      - They live as long as the container, or until the host is started anew. After that the next task that gives them
        brings them back; one that only sets O(state) cannot, and fails rather than start the container without them.
      - The directory is read-only, and C(nosuid), C(nodev) and C(noexec). Needs O(namespaces.mount) to be private.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the file, without a slash.
        type: str
        required: true
      content:
        description: What it holds, at most 1 MiB.
        type: str
        required: true
      mode:
        description: Mode in octal, as text.
        type: str
        default: "0400"
      owner:
        description: User inside that it belongs to, a name or a number. The default is the user of O(user).
        type: str
      group:
        description: Group inside that it belongs to, likewise. The default is the first group of that user.
        type: str
  rootfs_propagation:
    description:
      - Who sees what is mounted later. With V(slave), what is mounted on the host appears in the root file system and
        in bind mounts, and with V(private) it does not. With V(shared), mounts of the container appear on the host
        where a bind mount is shared there. With V(unbindable), the root file system cannot be bound elsewhere.
      - With an V(r) in front it is for the mounts below, too. The default is V(rslave).
    type: str
    choices:
      - private
      - rprivate
      - slave
      - rslave
      - shared
      - rshared
      - unbindable
      - runbindable
  device_nodes:
    description:
      - Devices that are made inside, beside those that every container has. One at the place of such a device replaces
        it. Unless O(devices) is given, the container may use them.
    type: list
    elements: dict
    suboptions:
      path:
        description: Where it is inside. If something else is there, the container does not start.
        type: str
        required: true
      type:
        description: Character device (V(c), V(u)), block device (V(b)) or fifo (V(p)).
        type: str
        choices: [c, b, u, p]
        default: c
      major:
        description: Major number; not for a fifo.
        type: int
      minor:
        description: Minor number; not for a fifo.
        type: int
      mode:
        description: Mode in octal, as text.
        type: str
        default: "0666"
      uid:
        description: User that it belongs to inside.
        type: int
        default: 0
      gid:
        description: Group that it belongs to inside.
        type: int
        default: 0
  cap_add:
    description:
      - Capabilities beside the default ones, with or without C(CAP_); V(ALL) for all.
      - The default ones are AUDIT_WRITE, CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, MKNOD, NET_BIND_SERVICE, NET_RAW,
        SETFCAP, SETGID, SETPCAP, SETUID and SYS_CHROOT.
    type: list
    elements: str
  cap_drop:
    description: Default capabilities that it does not get; V(ALL) for all. O(cap_add) comes after it.
    type: list
    elements: str
  cap_ambient:
    description: Capabilities that a program keeps that does not run as root, such as NET_BIND_SERVICE.
    type: list
    elements: str
  no_new_privs:
    description: Whether nothing inside can gain privileges, as by set-user-id programs. The default is V(true).
    type: bool
  seccomp:
    description:
      - Which system calls the container may make.
      - V(default) is the profile that Docker ships, in effect. Which calls it allows depends on O(cap_add) and
        O(cap_drop), so that a capability is of use. What it refuses fails with EPERM; a system call that is newer than
        the host's libseccomp is answered with ENOSYS, so that programs take an older one.
      - V(unconfined) filters nothing.
      - The path of a file on the host is a profile in the format of the OCI runtime-spec (C(linux.seccomp)), or of
        Docker with its conditions (C(archMap), C(includes), C(excludes)). What counts is its content; another content
        restarts the container. System calls that the host's libseccomp does not know by name are left out.
      - All but V(unconfined) need libseccomp 2 on the host (Debian C(libseccomp2)); without it, a start is refused.
      - With C(SCMP_ACT_NOTIFY), the socket C(listenerPath) must be there on every start.
      - With O(no_new_privs=false), a profile must also allow what the start does after it is loaded (see the notes).
      - The default is V(default).
    type: str
  apparmor_profile:
    description:
      - Name of a profile of AppArmor that confines the program and the commands in it, or V(unconfined). It must be
        loaded (C(apparmor_parser(8))), and be one of the host's own. The default is none.
      - Of a running container, the kernel tells which one it has. Another one restarts it.
    type: str
  selinux_label:
    description:
      - Label that SELinux gives the program and the commands in it, such as
        V(system_u:system_r:container_t:s0:c1,c2). The default is none, and the policy decides. Another one restarts the
        container.
    type: str
  mount_label:
    description:
      - Label that SELinux gives all files of file systems that are made for the container, such as
        V(system_u:object_r:container_file_t:s0:c1,c2). Those of O(rootfs) and of bind mounts keep theirs.
    type: str
  masked_paths:
    description: Files and directories that are hidden. The default hides what is dangerous below C(/proc) and C(/sys).
    type: list
    elements: str
  readonly_paths:
    description: Files and directories that are read-only. The default is C(/proc/sys) and a few others.
    type: list
    elements: str
  rlimits:
    description:
      - Resource limits by the names of C(getrlimit(2)), such as V(nofile), to a number, V(SOFT:HARD) or V(unlimited).
    type: dict
  sysctls:
    description:
      - Kernel parameters that the container has of its own (V(net.*), V(kernel.msg*), V(kernel.sem), V(kernel.shm*),
        V(fs.mqueue.*)); their namespace must not be the host's.
      - A parameter that disappears from here becomes what it is in a new namespace.
    type: dict
  oom_score_adj:
    description: How readily the kernel kills the container when memory runs out, -1000 to 1000.
    type: int
  umask:
    description: Permission bits that its files do not get, in octal, as text. The default is V(0022).
    type: str
  scheduler:
    description:
      - How the kernel gives processors to the program, to all that it starts and to commands in it, see C(sched(7)).
        Without it, they are scheduled as whoever starts the container.
      - Another one restarts the container, and so does what a hand set instead, since what runs keeps what it has.
    type: dict
    suboptions:
      policy:
        description:
          - The realtime policies V(fifo), V(rr) and V(deadline) come before all others. Kernels that divide realtime by
            control groups (C(CONFIG_RT_GROUP_SCHED)) refuse V(fifo) and V(rr) to groups of version 1 that were given
            none.
          - A program with V(deadline) can only start others with the flag V(reset_on_fork).
        type: str
        choices: [other, batch, idle, fifo, rr, deadline]
        default: other
      nice:
        description: How nice it is to others, -20 to 19, with V(other) and V(batch).
        type: int
        default: 0
      priority:
        description: 1 to 99, with V(fifo) and V(rr).
        type: int
        default: 0
      flags:
        description:
          - With V(reset_on_fork), what the program starts is scheduled as usual.
          - V(reclaim) lets it use what others leave over, and V(dl_overrun) signals it when it takes longer; both are
            for V(deadline).
        type: list
        elements: str
        choices: [reset_on_fork, reclaim, dl_overrun]
        default: []
      runtime:
        description: Nanoseconds that it gets in each period, with V(deadline).
        type: int
        default: 0
      deadline:
        description: Nanoseconds from the beginning of a period in which it gets them, with V(deadline).
        type: int
        default: 0
      period:
        description: Nanoseconds of a period, with V(deadline).
        type: int
        default: 0
  io_priority:
    description:
      - Whose requests disks serve first, where their scheduler knows priorities (BFQ). Without it, the kernel makes one
        of how nice the program is.
      - Another one restarts the container, and so does what a hand set instead.
    type: dict
    suboptions:
      class:
        description: V(realtime) comes before V(best-effort), and V(idle) is served when nobody else wants anything.
        type: str
        choices: [realtime, best-effort, idle]
        default: best-effort
      priority:
        description: 0 is served first, 7 last; without meaning for V(idle).
        type: int
        default: 4
  exec_cpu_affinity:
    description:
      - Processors, such as V(0-3,7), on which commands run that M(nsfleet.linux.container_exec) starts in it. The
        default are those of the container (O(cpuset_cpus)).
    type: str
  personality:
    description:
      - What programs take the machine for. With V(linux32) it is a machine of 32 bits (C(setarch(8))). The default is
        V(linux).
    type: str
    choices:
      - linux
      - linux32
  devices:
    description:
      - Devices that the container may use, as rules. All others are denied. What every start does by itself is always
        allowed, which is making the devices that every container has, and reading C(/dev/null).
      - The default are the devices that every container has (C(null), C(zero), C(full), C(random), C(urandom), C(tty),
        and terminals of its own), those of O(device_nodes), and making any.
      - A rule is type (V(c), V(b), or V(a) for both), C(MAJOR:MINOR) with V(*) for any, and letters of C(rwm) for
        read, write and mknod, as in V(c 1:3 rwm). In place of type and numbers, the path of a device, as in
        V(/dev/kvm rw). V(a) alone allows everything.
    type: list
    elements: str
  cgroup_parent:
    description:
      - Control group that the container's own is put into, by its name in M(nsfleet.linux.cgroup). Limits of that
        group hold for all containers in it together.
      - The default is V(containers).
    type: str
  hooks:
    description:
      - Programs that are run at points of its life, those of a point one after the other, with the state of the
        container as JSON on their standard input, as the OCI runtime-spec says.
      - They are run on the host, as root and without any limit, but for those of V(create_container) and
        V(start_container). One that fails ends the start, with what it has written in the message.
      - Another one restarts the container. When it is tried out before that whether it starts, none is run.
    type: dict
    suboptions:
      prestart:
        description: When namespaces and mounts are made, on the host; kept for old descriptions.
        type: list
        elements: dict
        default: []
        suboptions: &hook
          path:
            description: The program.
            type: str
            required: true
          args:
            description: Its arguments, without its name.
            type: list
            elements: str
            default: []
          env:
            description: All of its environment.
            type: dict
            default: {}
          timeout:
            description: Seconds after which it is killed and has failed. Without it, it may take any time.
            type: int
      create_runtime:
        description: Likewise, after those.
        type: list
        elements: dict
        default: []
        suboptions: *hook
      create_container:
        description: After those, programs of the host in the namespaces of the container, before its root is changed.
        type: list
        elements: dict
        default: []
        suboptions: *hook
      start_container:
        description: Programs of the container, as its user, just before its own.
        type: list
        elements: dict
        default: []
        suboptions: *hook
      poststart:
        description: When its program was started, on the host.
        type: list
        elements: dict
        default: []
        suboptions: *hook
      poststop:
        description:
          - When it has ended, on the host, once for every start, whoever or whatever ended it; also when a start has
            failed. If nobody saw the end, since the host's own supervision was killed, the next task that starts, stops
            or removes it runs them.
          - What one that fails has written is in the log of the monitor.
        type: list
        elements: dict
        default: []
        suboptions: *hook
  restart_policy:
    description: What happens when the program ends by itself. The default is V(no).
    type: str
    choices:
      "no": It stays stopped.
      on-failure: It is started again unless its exit code is 0.
      always: It is started again.
  restart_max:
    description: How often it is started again; V(0), the default, for no limit. The pause between two starts grows.
    type: int
  stop_signal:
    description: Signal that asks the program to end. The default is V(SIGTERM).
    type: str
  stop_timeout:
    description: Seconds until a program that does not end is killed. The default is V(10).
    type: float
  detach:
    description:
      - Whether the container goes on when the task has ended.
      - With V(false) the task waits for the end of the program and returns its exit code and output. Nothing is left of
        the container then, neither of its processes nor of what it wrote into a private layer. The task fails if the
        exit code is not 0 or O(timeout) passes.
      - Such a task changes something on every run, and is skipped in check mode. There must be no container of this
        name yet, O(state) is V(started), and O(restart_policy) is V(no).
      - O(stdin), O(stdin_add_newline), O(strip_empty_ends), O(timeout) and O(output_limit) are about such a task; with
        V(true), O(stdin) and O(timeout) are refused.
      - If the task itself is killed, the program goes on until the next task of this module on the host, of whichever
        container, which ends and removes it.
    type: bool
    default: true
  labels:
    description: Notes of your own, kept as annotations in the bundle.
    type: dict
  adopt:
    description:
      - Whether a control group that this collection did not make is taken over, if it is where the container's own is
        to be. It is removed with the container then, and processes that were in it end with it.
      - Without it, a task that would start the container there fails before anything is touched.
    type: bool
    default: false
notes:
  - A profile of O(seccomp) is loaded by the last program before O(command), and decides of nothing but its execve(2).
    Without O(no_new_privs) the kernel wants CAP_SYS_ADMIN for it, so it is loaded before capabilities are dropped. It
    then must allow the system calls by which user, capabilities and directory are set and the program is found, as
    V(default) does. With C(SCMP_ACT_NOTIFY) it is loaded just before the last program is executed.
  - With O(detach=false) there is no log, since the output is in the result.
  - The bundle is in C(/var/lib/nsfleet/containers/NAME), with the log of standard output and standard error.
seealso:
  - module: nsfleet.linux.container_info
  - module: nsfleet.linux.netns
  - module: nsfleet.linux.cgroup
"""

EXAMPLES = r"""
- name: A shell loop in namespaces of its own, on the host's files, with a layer in memory to write to
  nsfleet.linux.container:
    name: clock
    rootfs: /
    overlay: tmpfs
    command:
      - /bin/sh
      - -c
      - trap 'exit 0' TERM; while true; do date; sleep 10 & wait; done

- name: A network namespace that others can join, too
  nsfleet.linux.netns:
    name: clock

- name: Limits change while it runs; another user and another network need a restart
  nsfleet.linux.container:
    name: clock
    rootfs: /
    overlay: tmpfs
    command:
      - /bin/sh
      - -c
      - trap 'exit 0' TERM; while true; do date; sleep 10 & wait; done
    user: nobody
    namespaces:
      net: clock
    memory_max: 64M
    pids_max: 20
    cpu_max: 50%
    restart_policy: on-failure
  register: clock

- name: A stranger's program, with no network and no capability; system calls are filtered unless they are unconfined
  nsfleet.linux.container:
    name: stranger
    rootfs: /
    overlay: tmpfs
    command:
      - /bin/sleep
      - infinity
    user: nobody
    cap_drop:
      - ALL
    seccomp: default
    memory_max: 256M
    pids_max: 20
    stop_signal: KILL

- name: A stranger's program that gets five seconds and a thousand bytes of output, and of which nothing is left
  nsfleet.linux.container:
    name: sum
    rootfs: /
    overlay: tmpfs
    read_only: true
    command:
      - /bin/sh
      - -c
      - wc -w; while true; do echo more; done
    stdin: how many words are there
    user: nobody
    cap_drop:
      - ALL
    memory_max: 64M
    pids_max: 20
    cpu_max: 50%
    detach: false
    timeout: 5
    output_limit: 1000
  register: sum
  failed_when: not sum.timed_out

- name: A password in memory, of Ansible Vault for instance; another one takes its place without a restart
  nsfleet.linux.container:
    name: vault
    rootfs: /
    overlay: tmpfs
    command:
      - /bin/sleep
      - infinity
    user: nobody
    stop_signal: KILL
    secrets:
      - name: password
        content: "{{ vault_password }}"

- name: On a host with AppArmor, confined by a profile that an earlier task has loaded
  nsfleet.linux.container:
    name: web
    rootfs: /
    overlay: tmpfs
    command:
      - /bin/sleep
      - infinity
    apparmor_profile: web
    stop_signal: KILL
  when: ansible_facts.apparmor.status == 'enabled'

- name: Work that waits for all others, for processors and for disks; commands in it keep to one processor
  nsfleet.linux.container:
    name: index
    rootfs: /
    overlay: tmpfs
    command:
      - /bin/sleep
      - infinity
    umask: "0077"
    scheduler:
      policy: batch
      nice: 19
    io_priority:
      class: idle
    exec_cpu_affinity: "0"
    stop_signal: KILL

- name: Somebody is told when it begins, and when it has ended, for whatever reason
  nsfleet.linux.container:
    name: told
    rootfs: /
    overlay: tmpfs
    command:
      - /bin/sleep
      - infinity
    hooks:
      poststart:
        - path: /usr/bin/logger
          args:
            - it runs
          timeout: 5
      poststop:
        - path: /usr/bin/logger
          args:
            - it has ended
          timeout: 5
    stop_signal: KILL

- name: Stop it; its description stays as it is
  nsfleet.linux.container:
    name: clock
    state: stopped

- name: Start it again
  nsfleet.linux.container:
    name: clock
    state: started

- name: Nothing of it is left
  nsfleet.linux.container:
    name: clock
    state: absent
"""

RETURN = r"""
msg:
  description: Why the task failed, or why the program was not run; empty otherwise.
  returned: with O(detach=false)
  type: str
  sample: non-zero return code
rc:
  description: Exit code of the program; 128 and the signal where a signal ended it. V(0) if it was not run.
  returned: with O(detach=false), if the program was started
  type: int
  sample: 0
stdout:
  description: What the program wrote to its standard output. Bytes that are no UTF-8 are shown as V(\\xff).
  returned: with O(detach=false), if the program was started
  type: str
  sample: "5"
stderr:
  description: What the program wrote to its standard error, likewise.
  returned: with O(detach=false), if the program was started
  type: str
  sample: ""
stdout_lines:
  description: The lines of RV(stdout).
  returned: with O(detach=false), if the program was started
  type: list
  elements: str
  sample:
    - "5"
stderr_lines:
  description: The lines of RV(stderr).
  returned: with O(detach=false), if the program was started
  type: list
  elements: str
  sample: []
start:
  description: When the container was started; V(null) if it was not run.
  returned: with O(detach=false), if the program was started
  type: str
  sample: "2026-11-28 01:02:03.456789"
end:
  description: When it ended; V(null) if it was not run.
  returned: with O(detach=false), if the program was started
  type: str
  sample: "2026-11-28 01:02:03.567890"
delta:
  description: The time between; V(null) if it was not run.
  returned: with O(detach=false), if the program was started
  type: str
  sample: "0:00:00.111101"
timed_out:
  description: Whether it was killed after O(timeout).
  returned: with O(detach=false), if the program was started
  type: bool
  sample: false
truncated:
  description: Whether the program wrote more than O(output_limit) to either.
  returned: with O(detach=false), if the program was started
  type: bool
  sample: false
plan:
  description: The steps that were taken, or in check mode would be taken; empty when nothing differs.
  returned: success, unless O(detach=false)
  type: list
  elements: dict
  contains:
    target:
      description: Kind and name of the object.
      type: str
      sample: container clock
    action:
      description: What the step does with it.
      type: str
      sample: set
    effect:
      description: V(live), V(restart) or V(recreate).
      type: str
      sample: restart
    changes:
      description: The options that the step changes, each with its path, value before, value after, and reason.
      type: list
      elements: dict
      sample:
        - option: user
          before: "0"
          after: nobody
          reason: request
container:
  description: The container as observed at the end, with the options of the module; V(null) if there is none.
  returned: success, unless O(detach=false)
  type: dict
  contains:
    running:
      description: Whether it runs.
      type: bool
      sample: true
    pid:
      description: Id of its first process on the host; V(null) if it does not run.
      type: int
      sample: 4711
    exit_code:
      description: How its first process ended the last time, 128 and the signal where a signal ended it.
      type: int
      sample: 0
    restarts:
      description: How often it was started again by itself.
      type: int
      sample: 0
    supervised:
      description: Whether its monitor runs.
      type: bool
      sample: true
    seccomp_profile:
      description: Digest of the profile that O(seccomp) comes to; empty if nothing is filtered.
      type: str
      sample: sha256:3c1f9ad3bb1b2f2c9ab1cf1c7c4b1b5c7a9a2f4f0f43a2e8f7f7e8f3a1f0c9d2
    capabilities:
      description: What O(cap_add) and O(cap_drop) come to.
      type: list
      elements: str
      sample:
        - CAP_NET_BIND_SERVICE
"""

from ansible_collections.nsfleet.linux.plugins.module_utils import _module
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.container import Container


def main() -> None:
    """Run the module."""
    _module.run(Container)


if __name__ == "__main__":
    main()
